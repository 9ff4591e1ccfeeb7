/** The leader's part of synchronous replication: which step, and in which order (contract 5.15; S5). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import { PLACEHOLDER } from '../../src/core/guarantee.ts';
import type { Member } from '../../src/core/model.ts';
import * as given from './observations.ts';
import {
  type Case,
  done,
  inForce,
  leading,
  members,
  named,
  seenAgo,
  sender,
  strict,
} from './synchronous-scenes.ts';

const gone = given.member('n2', { leaseId: null });
const without = (name: string): readonly Member[] => members().filter((one) => one.name !== name);

const priority: readonly Case[] = [
  {
    given: 'the mode has just been turned on',
    bent: {},
    does: ['sync n1:/0@0'],
    because: '/sync names the leader before anything depends on it',
  },
  {
    given: 'D33: /sync of another leader',
    bent: { sync: named(['n3'], { leader: 'n2' }) },
    does: ['sync n1:/0@40'],
    because: 'what was promised for its writes says nothing about these',
  },
  {
    given: '/sync that cannot be read',
    bent: { sync: { leader: null, standbys: [], quorum: 0, modRevision: 40, unreadable: true } },
    does: ['sync n1:/0@40'],
    because: 'what it promised is not known',
  },
  {
    given: 'nobody is named, and two stream',
    bent: { sync: named([]) },
    does: ['names "n2"'],
    because: 'PostgreSQL waits for a standby before it is named',
  },
  {
    given: 'a write of /sync that may still take effect',
    bent: { sync: named([]), memory: { syncUnsettled: true } },
    does: ['sync n1:/0@40'],
    because: 'it must not change the promise behind the back of what keeps it',
  },
  {
    given: 'the names are there, but not known to be in force',
    bent: { sync: named([]), names: '"n2"' },
    does: ['names "n2"'],
    because: 'an earlier life of the agent may not have seen them taken by every process',
  },
  {
    given: 'the names are in force, and the standby is behind what was acknowledged before',
    bent: { sync: named([]), names: '"n2"', memory: inForce('"n2"', 5001) },
    does: [],
    because: 'it would be named without holding everything',
  },
  {
    given: 'the names are in force, and the standby holds everything',
    bent: { sync: named([]), names: '"n2"', memory: inForce('"n2"', 5000) },
    does: ['sync n1:n2/0@40'],
    because: 'whatever is acknowledged from now on needs it too',
  },
  {
    given: 'all is as configured',
    bent: { sync: named(['n2']), names: '"n2"' },
    does: [],
    because: 'a standby that streams stays, whoever else could take its place',
  },
  {
    given: 'a standby that prefers to be synchronous',
    bent: {
      sync: named(['n2']),
      names: '"n2"',
      members: members(given.member('n3', { tags: { ...given.plainTags, syncPriority: 5 } })),
    },
    does: ['names 2 ("n2","n3")'],
    because:
      'sync_priority counts more than being named already; both confirm until one is exchanged',
  },
  {
    given: 'synchronous_node_count 2',
    bent: { settings: { synchronousNodeCount: 2 }, sync: named(['n2']), names: '"n2"' },
    does: ['names 2 ("n2","n3")'],
    because: 'both have to confirm before both are named',
  },
  {
    given: 'D29: one of two named standbys is gone',
    bent: {
      settings: { synchronousNodeCount: 2 },
      sync: named(['n2', 'n3']),
      names: '2 ("n2","n3")',
      senders: [sender('n3')],
    },
    does: ['sync n1:n3/0@40'],
    because: 'first nobody may rely on it, then nobody waits for it',
  },
  {
    given: 'and /sync has been written',
    bent: {
      settings: { synchronousNodeCount: 2 },
      sync: named(['n3']),
      names: '2 ("n2","n3")',
      senders: [sender('n3')],
    },
    does: ['names "n3"'],
    because: 'then nobody waits for it',
  },
  {
    given: 'D40: the named standby is gone, and another streams',
    bent: { sync: named(['n2']), names: '"n2"', members: without('n2'), senders: [sender('n3')] },
    does: ['names 2 ("n2","n3")'],
    because: 'nothing is acknowledged while they are exchanged, and /sync never gets empty',
  },
  {
    given: 'D40: and the other holds everything',
    bent: {
      sync: named(['n2']),
      names: '2 ("n2","n3")',
      members: without('n2'),
      senders: [sender('n3')],
      memory: inForce('2 ("n2","n3")'),
    },
    does: ['sync n1:n3/0@40'],
    because: 'it takes its place in one write',
  },
  {
    given: 'D36: a connection that is left, whose standby is gone',
    bent: { sync: named(['n2']), names: '"n2"', members: members(gone) },
    does: ['names 2 ("n2","n3")'],
    because: 'a member whose lease is over confirms nothing more',
  },
  {
    given: 'D43: the named standby is connected, but commits have waited for it for a second',
    bent: {
      sync: named(['n2']),
      names: '"n2"',
      senders: [sender('n2', { flushLsn: 4500 }), sender('n3')],
      memory: {
        waitingSince: given.NOW - 1500,
        standbys: {
          n2: { flushLsn: 4500, movedAt: given.NOW - 1500, streamingAt: given.NOW - 500 },
        },
      },
    },
    does: ['names 2 ("n2","n3")'],
    because: 'connected but stalled counts as gone',
  },
  {
    given: 'a standby that is slow, while no commit waits',
    bent: {
      sync: named(['n2']),
      names: '"n2"',
      senders: [sender('n2', { flushLsn: 4500 }), sender('n3')],
      memory: seenAgo(60_000, 'n2'),
    },
    does: [],
    because: 'nobody waits for it',
  },
  {
    given: 'the only standby is gone for a moment',
    bent: { sync: named(['n2']), names: '"n2"', senders: [], memory: seenAgo(2000, 'n2', 'n3') },
    does: [],
    because: 'one broken connection must not empty /sync',
  },
  {
    given: 'the only standby is gone, and its lease too',
    bent: {
      sync: named(['n2']),
      names: '"n2"',
      senders: [],
      members: members().slice(0, 1),
      memory: seenAgo(2000, 'n2'),
    },
    does: ['sync n1:/0@40'],
    because: 'nobody is left who may come back soon',
  },
  {
    given: 'the standbys have been away for half of ttl',
    bent: { sync: named(['n2']), names: '"n2"', senders: [], memory: seenAgo(15_001, 'n2', 'n3') },
    does: ['sync n1:/0@40'],
    because: 'then writing goes on without them',
  },
  {
    given: 'and /sync is empty',
    bent: { sync: named([]), names: '"n2"', senders: [], memory: seenAgo(15_001, 'n2', 'n3') },
    does: ['names '],
    because: 'S2: what waits is let go only after /sync was written',
  },
  {
    given: 'strict, and the standbys have been away for long',
    bent: {
      settings: strict,
      sync: named(['n2']),
      names: '"n2"',
      senders: [],
      memory: seenAgo(600_000, 'n2', 'n3'),
    },
    does: [],
    because: 'strict mode acknowledges nothing alone, and keeps who may lead',
  },
  {
    given: 'strict, and nobody was ever named',
    bent: { settings: strict, sync: named([]), senders: [] },
    does: [`names "${PLACEHOLDER}"`],
    because: 'nobody can acknowledge',
  },
  {
    given: 'the named standby asks to leave',
    bent: {
      sync: named(['n2']),
      names: '"n2"',
      members: members(given.member('n2', { tags: { ...given.plainTags, nosync: true } })),
      senders: [sender('n2')],
      memory: seenAgo(600_000, 'n3'),
    },
    does: ['sync n1:/0@40'],
    because: 'a member leaves /sync before its data directory is touched',
  },
  {
    given: 'nostream, nosync and members that are being made',
    bent: {
      sync: named([]),
      members: members(
        given.member('n2', { tags: { ...given.plainTags, nostream: true } }),
        given.member('n3', { state: 'creating replica' }),
      ),
      senders: [sender('n2'), sender('n3')],
      memory: seenAgo(600_000, 'n3'),
    },
    does: [],
    because: 'none of them is a synchronous standby',
  },
  {
    given: 'maximum_lag_on_syncnode',
    bent: {
      settings: { maximumLagOnSyncnode: 100 },
      sync: named([]),
      senders: [sender('n2', { flushLsn: 4000 }), sender('n3')],
    },
    does: ['names "n3"'],
    because: 'commits would wait for one that is far behind',
  },
  {
    given: 'a standby that streams from no slot of its own',
    bent: { sync: named([]), senders: [sender('n2', { slotName: null }), sender('n3')] },
    does: ['names "n3"'],
    because: 'only the member itself has that slot',
  },
  {
    given: 'two connections of one name',
    bent: {
      sync: named(['n2']),
      names: '"n2"',
      senders: [sender('n2'), sender('n2', { pid: 999, slotName: null }), sender('n3')],
    },
    does: ['end 999'],
    because: 'one standby would confirm for two',
  },
  {
    given: 'a copy that is being made under the name of a member',
    bent: {
      sync: named(['n2']),
      names: '"n2"',
      senders: [sender('n2'), sender('n2', { pid: 999, state: 'backup', flushLsn: null })],
    },
    does: [],
    because: 'pg_basebackup confirms nothing',
  },
  {
    given: 'a connection that has confirmed nothing for long, while commits wait',
    bent: {
      sync: named(['n3']),
      names: '"n3"',
      senders: [sender('n2', { flushLsn: 4500 }), sender('n3')],
      memory: {
        waitingSince: given.NOW - 6000,
        standbys: {
          n2: { flushLsn: 4500, movedAt: given.NOW - 6000, streamingAt: given.NOW - 6000 },
        },
      },
    },
    does: ['end 202'],
    because: 'it keeps the slot from the standby that comes back',
  },
  {
    given: 'the mode is off, and /sync is there',
    bent: { settings: { synchronousMode: 'off' }, sync: named(['n2']), names: '"n2"' },
    does: ['sync -'],
    because: 'the promise goes before what keeps it',
  },
  {
    given: 'the mode is off, /sync is gone, and the names are still ours',
    bent: { settings: { synchronousMode: 'off' }, names: '"n2"' },
    does: ['names of the user'],
    because: 'then what the user has configured applies',
  },
  {
    given: 'the mode is off, and something stands above what the user has configured',
    bent: {
      settings: { synchronousMode: 'off' },
      names: 'altered',
      memory: { inForce: { names: 'altered', lsn: 1, ofUser: true } },
    },
    does: [],
    because: 'an ALTER SYSTEM is theirs too',
  },
  {
    given: 'the mode is off, and the user has names of their own',
    bent: {
      settings: { synchronousMode: 'off', userSynchronousStandbyNames: 'mine' },
      names: 'mine',
    },
    does: [],
    because: 'they are theirs',
  },
];

describe('the leader, in priority mode', () => {
  it.each(priority)('$given: $does, because $because', ({ bent, does }) => {
    const observation = leading(bent);
    expect(done(observation), decide(observation).why).toEqual(does);
  });

  it('looks at least every 250 ms', () => {
    const steady = leading({ sync: named(['n2']), names: '"n2"' });
    expect(decide(steady)).toMatchObject({ rule: 'lead.steady', wakeInMs: 250 });
    expect(decide(given.leader()).wakeInMs).toBe(10_000);
    const behind = leading({ sync: named([]), names: '"n2"', memory: inForce('"n2"', 5001) });
    expect(decide(behind)).toMatchObject({ rule: 'lead.steady', wakeInMs: 50 });
    expect(decide(behind).why).toContain('waiting for n2');
  });

  it('goes on in pause, and never without a proven lease', () => {
    const bent = { sync: named([]), settings: { paused: true } };
    expect(done(leading(bent))).toEqual(['names "n2"']);
    const late = { ...leading(bent), lease: given.leaderLease({ deadline: given.NOW + 10 }) };
    expect(done(late)).not.toContain('names "n2"');
  });
});
