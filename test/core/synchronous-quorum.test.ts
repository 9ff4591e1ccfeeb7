/** The leader's part of synchronous replication by quorum: the orders of contract 5.15 (S5). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import {
  type Case,
  done,
  inForce,
  leading,
  members,
  named,
  quorum,
  seenAgo,
  sender,
} from './synchronous-scenes.ts';

const without = (name: string) => members().filter((one) => one.name !== name);

const byQuorum: readonly Case[] = [
  {
    given: 'nobody is named, and two stream',
    bent: { sync: named([]) },
    does: ['names ANY 1 ("n2","n3")'],
    because: 'from empty, PostgreSQL waits first',
  },
  {
    given: 'one of them holds everything',
    bent: {
      sync: named([]),
      names: 'ANY 1 ("n2","n3")',
      senders: [sender('n2'), sender('n3', { flushLsn: 3000 })],
      memory: inForce('ANY 1 ("n2","n3")'),
    },
    does: ['sync n1:n2,n3/1@40'],
    because: 'two of leader and voters are one too many to miss it',
  },
  {
    given: 'a third member comes',
    bent: {
      settings: { synchronousNodeCount: 1 },
      sync: named(['n2'], { quorum: 0 }),
      names: 'ANY 1 ("n2")',
    },
    does: ['sync n1:n2,n3/1@40'],
    because: 'voters first, then those whom PostgreSQL asks',
  },
  {
    given: 'and is a voter',
    bent: { sync: named(['n2', 'n3'], { quorum: 1 }), names: 'ANY 1 ("n2")' },
    does: ['names ANY 1 ("n2","n3")'],
    because: 'then it may acknowledge',
  },
  {
    given: 'one of two voters is away for a moment',
    bent: {
      sync: named(['n2', 'n3'], { quorum: 1 }),
      names: 'ANY 1 ("n2","n3")',
      senders: [sender('n3')],
      memory: seenAgo(1000, 'n2'),
    },
    does: [],
    because: 'nobody waits for it',
  },
  {
    given: 'one of two voters is gone',
    bent: {
      sync: named(['n2', 'n3'], { quorum: 1 }),
      names: 'ANY 1 ("n2","n3")',
      members: without('n2'),
      senders: [sender('n3')],
    },
    does: ['names ANY 1 ("n3")'],
    because: 'those whom PostgreSQL asks first, then the voters',
  },
  {
    given: 'more have to confirm',
    bent: {
      settings: { synchronousNodeCount: 2 },
      sync: named(['n2', 'n3'], { quorum: 1 }),
      names: 'ANY 1 ("n2","n3")',
    },
    does: ['names ANY 2 ("n2","n3")'],
    because: 'before fewer votes are enough',
  },
  {
    given: 'fewer have to confirm',
    bent: { sync: named(['n2', 'n3'], { quorum: 0 }), names: 'ANY 2 ("n2","n3")' },
    does: ['sync n1:n2,n3/1@40'],
    because: 'more votes are asked for first',
  },
];

describe('the leader, in quorum mode', () => {
  it.each(byQuorum)('$given: $does, because $because', ({ bent, does }) => {
    const observation = leading({ ...bent, settings: { ...quorum, ...bent.settings } });
    expect(done(observation), decide(observation).why).toEqual(does);
  });
});
