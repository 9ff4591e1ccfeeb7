/** Maintenance mode, rule by rule (contract 5.2 to 5.18, as far as it speaks of pause). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { Observation } from '../../src/core/model.ts';
import { newMemory, remember } from '../../src/memory.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const PAUSED = given.settings({ paused: true });
const leader = (change: Partial<Observation> = {}) => given.leader({ settings: PAUSED, ...change });
const replica = (change: Partial<Observation> = {}) =>
  given.replica({ settings: PAUSED, ...change });
const contender = (change: Partial<Observation> = {}) =>
  given.contender({ settings: PAUSED, ...change });
const without = (name: string) => given.primarySql().slots.filter((slot) => slot.name !== name);

const cases: readonly Case[] = [
  {
    given: 'the leader',
    observation: leader(),
    rule: 'paused.keep',
    steps: [],
    because: 'it holds the key and changes nothing',
  },
  {
    given: 'a leader whose lease is over',
    observation: leader({ lease: given.leaderLease({ deadline: given.NOW - 1 }) }),
    rule: 'paused.keep',
    steps: [],
    because: 'in pause the deadline is not in force (S1)',
  },
  {
    given: 'a primary while another member holds the key',
    observation: leader({
      cluster: given.known(
        given.cluster({ leader: { name: 'n2', leaseId: 'l', createRevision: 9, modRevision: 9 } }),
      ),
      lease: given.ownLease('n1'),
    }),
    rule: 'paused.keep',
    steps: [],
    because: 'it continues to run as primary without lock (5.10.3)',
  },
  {
    given: 'a primary while the key is free',
    observation: leader({
      cluster: given.known(given.leaderless({ members: [given.member('n1')] })),
      lease: given.ownLease('n1'),
    }),
    rule: 'paused.keep',
    steps: ['campaign'],
    because: 'its cluster is its own (5.9a.4)',
  },
  {
    given: 'a leader without /initialize and /config',
    observation: leader({
      cluster: given.known(
        given.cluster({ initialize: { kind: 'absent' }, config: { kind: 'absent' } }),
      ),
    }),
    rule: 'paused.keep',
    steps: ['writeInitialize', 'writeConfig'],
    because: 'the owner of the key writes them in pause too (5.3.5)',
  },
  {
    given: 'a leader with a new member',
    observation: leader({
      postgres: given.running(given.primarySql({ slots: without('n3') })),
    }),
    rule: 'paused.keep',
    steps: ['slots'],
    because: 'slots are synchronised, and only unknown ones not dropped (5.16)',
  },
  {
    given: 'a leader of another cluster',
    observation: leader({
      cluster: given.known(
        given.cluster({
          initialize: { kind: 'initialized', systemIdentifier: '7', modRevision: 2 },
        }),
      ),
    }),
    rule: 'join.other-cluster',
    steps: ['resign'],
    because: 'it warns and releases the key, and does not end (5.3.11)',
  },
  {
    given: 'a replica of another cluster',
    observation: replica({
      cluster: given.known(
        given.cluster({
          initialize: { kind: 'initialized', systemIdentifier: '7', modRevision: 2 },
        }),
      ),
    }),
    rule: 'join.other-cluster',
    steps: [],
    because: 'it warns, and does not end (5.3.11)',
  },
  {
    given: 'a leader whose PostgreSQL was stopped by hand',
    observation: leader({ postgres: given.stopped('shut down') }),
    rule: 'paused.release',
    steps: ['resign'],
    because: 'nobody can be served by this key (5.3.12)',
  },
  {
    given: 'a leader whose PostgreSQL was made a standby by hand',
    observation: leader({ postgres: given.running(given.standbySql('n2')) }),
    rule: 'paused.release',
    steps: ['resign'],
    because: 'the owner that is no primary deletes the key (5.10.1)',
  },
  {
    given: 'a leader whose PostgreSQL gives no answer',
    observation: leader({
      postgres: given.running(given.primarySql(), { sql: given.unknown('timeout') }),
    }),
    rule: 'paused.wait',
    steps: [],
    because: 'unknown is not stopped (S4)',
  },
  {
    given: 'a replica whose PostgreSQL was stopped by hand',
    observation: replica({ postgres: given.stopped('shut down in recovery') }),
    rule: 'paused.wait',
    steps: [],
    because: 'whoever stopped it had a reason (5.3.12)',
  },
  {
    given: 'an empty data directory with a leader to clone from',
    observation: replica({ postgres: given.emptyDirectory() }),
    rule: 'join.wait-for-leader',
    steps: [],
    because: 'paused: running with empty data directory (5.3.10)',
  },
  {
    given: 'an empty store and an empty data directory',
    observation: contender({
      cluster: given.known(given.leaderless({ initialize: { kind: 'absent' }, members: [] })),
      postgres: given.emptyDirectory(),
    }),
    rule: 'join.wait-for-leader',
    steps: [],
    because: 'nothing is bootstrapped in pause (5.3.10)',
  },
  {
    given: 'a leader whose data directory is gone',
    observation: leader({ postgres: given.emptyDirectory() }),
    rule: 'join.lost-directory',
    steps: ['resign'],
    because: 'the owner releases the key (5.3.10)',
  },
  {
    given: 'a replica while nobody leads',
    observation: contender(),
    rule: 'paused.wait',
    steps: [],
    because: 'nobody is elected (5.9a.5)',
  },
  {
    given: 'a replica that an operator named while nobody leads',
    observation: contender({
      cluster: given.known(
        given.leaderless({
          failover: { leader: null, candidate: 'n2', scheduledAt: null, modRevision: 4 },
        }),
      ),
    }),
    rule: 'paused.candidate',
    steps: ['campaign', 'startJob'],
    because: 'what an operator asks for is done (5.9a.2, 5.9c)',
  },
  {
    given: 'another replica than the one that an operator named',
    observation: contender({
      cluster: given.known(
        given.leaderless({
          failover: { leader: null, candidate: 'n3', scheduledAt: null, modRevision: 4 },
        }),
      ),
    }),
    rule: 'paused.wait',
    steps: [],
    because: 'it is not its turn (5.9c)',
  },
  {
    given: 'a replica that streams',
    observation: replica(),
    rule: 'paused.follow',
    steps: [],
    because: 'there is nothing to do',
  },
  {
    given: 'a replica whose leader is another now',
    observation: replica({ postgres: given.running(given.standbySql('n3')) }),
    rule: 'paused.follow',
    steps: ['follow'],
    because: 'following by a reload interrupts nothing (5.10.3)',
  },
  {
    given: 'a replica whose slots lag behind those of the leader',
    observation: replica({
      postgres: given.running(
        given.standbySql('n1', {
          slots: ['n1', 'n3'].map((name) => ({
            name,
            type: 'physical',
            active: false,
            restartLsn: 1000,
          })),
        }),
      ),
    }),
    rule: 'paused.follow',
    steps: ['slots'],
    because: 'they would keep WAL for as long as the pause lasts (5.16)',
  },
  {
    given: 'a primary without a view of the store, its lease over',
    observation: leader({
      cluster: given.unknown('no endpoint answers'),
      lease: given.leaderLease({ deadline: given.NOW - 1 }),
    }),
    rule: 'blind.wait',
    steps: [],
    because: 'paused: nothing (5.4)',
  },
  {
    given: 'a switchover without a candidate',
    observation: leader({
      cluster: given.known(
        given.cluster({
          failover: { leader: 'n1', candidate: null, scheduledAt: null, modRevision: 9 },
        }),
      ),
    }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'in pause only a named candidate (5.11)',
  },
  {
    given: 'a switchover that is scheduled and due',
    observation: leader({
      cluster: given.known(
        given.cluster({
          failover: {
            leader: 'n1',
            candidate: 'n2',
            scheduledAt: new Date(given.WALL_NOW).toISOString(),
            modRevision: 9,
          },
        }),
      ),
    }),
    rule: 'paused.keep',
    steps: [],
    because: 'schedules are ignored while paused (5.11)',
  },
  {
    given: 'a leader that is told to end',
    observation: leader({ stopping: true }),
    rule: 'leave.paused',
    steps: ['exit'],
    because: 'PostgreSQL and leader key stay (5.13)',
  },
];

describe('in pause', () => itDecides(cases));

const LAST = { name: 'n1', leaseId: 'lease-n1', tenure: true, paused: true };

describe('after a pause', () => {
  const resumed = (pause: boolean | null, change: Partial<Observation> = {}): Observation =>
    given.contender({
      cluster: given.known(
        given.leaderless({
          members: [
            ...(pause === null ? [] : [given.member('n1', { role: 'primary', pause })]),
            given.member('n2'),
            given.member('n3'),
          ],
        }),
      ),
      memory: given.memory({
        lastRole: 'replica',
        lastLeader: LAST,
        leaderlessSince: given.NOW - 1000,
      }),
      ...change,
    });

  itDecides([
    {
      given: 'a leader that still says it is paused',
      observation: resumed(true),
      rule: 'campaign.still-paused',
      steps: [],
      because: 'nothing stops its writes',
    },
    {
      given: 'a leader that was paused when it was last heard of',
      observation: resumed(null),
      rule: 'campaign.still-paused',
      steps: [],
      because: 'it may be cut off, and believe in the pause',
    },
    {
      given: 'a leader that has heard of the end',
      observation: resumed(false),
      rule: 'campaign.race',
      steps: ['campaign', 'startJob'],
      because: 'its fence is armed again',
    },
    {
      given: 'a leader that was not heard of for a ttl',
      observation: resumed(null, {
        memory: given.memory({
          lastRole: 'replica',
          lastLeader: LAST,
          leaderlessSince: given.NOW - 30_001,
        }),
      }),
      rule: 'campaign.race',
      steps: ['campaign', 'startJob'],
      because: 'somebody has to lead',
    },
  ]);

  it('what its record said last is remembered', () => {
    const memory = newMemory(0, { promotedHere: [], leaseId: null });
    const look = (pause: boolean | null) => ({
      now: 1,
      name: 'n2',
      cluster: given.known(
        given.cluster({
          members: pause === null ? [] : [given.member('n1', { role: 'primary', pause })],
        }),
      ),
      postgres: given.running(given.standbySql()),
      lease: given.ownLease('n2'),
      job: null,
      ended: null,
    });
    const paused = remember(memory, look(true));
    expect(paused.lastLeader?.paused).toBe(true);
    expect(remember(paused, look(null)).lastLeader?.paused).toBe(true);
    expect(remember(paused, look(false)).lastLeader?.paused).toBeUndefined();
  });

  it('the first decision is that of a cluster that never was paused', () => {
    expect(decide(given.leader()).rule).toBe('lead.steady');
  });
});
