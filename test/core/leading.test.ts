import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { Observation } from '../../src/core/model.ts';
import * as given from './observations.ts';

const cases: readonly {
  given: string;
  observation: Observation;
  rule: string;
  steps: readonly string[];
  because: string;
}[] = [
  {
    given: 'a healthy leader',
    observation: given.leader(),
    rule: 'lead.steady',
    steps: [],
    because: 'there is nothing to do',
  },
  {
    given: 'a new member without a slot',
    observation: given.leader({
      cluster: given.known(
        given.cluster({ members: [...given.cluster().members, given.member('n-4.x')] }),
      ),
    }),
    rule: 'lead.steady',
    steps: ['slots'],
    because: 'its slot is made before its standby starts',
  },
  {
    given: 'an emptied /initialize and /config',
    observation: given.leader({
      cluster: given.known(
        given.cluster({ initialize: { kind: 'absent' }, config: { kind: 'absent' } }),
      ),
    }),
    rule: 'lead.steady',
    steps: ['writeInitialize', 'writeConfig'],
    because: 'only the leader restores them (D20)',
  },
  {
    given: 'a dead postmaster and a proven lease',
    observation: given.leader({ postgres: given.stopped('in production') }),
    rule: 'lead.restart-in-place',
    steps: ['startJob'],
    because: 'nobody else can have written, so the same timeline goes on',
  },
  {
    given: 'a dead postmaster and a lease that is nearly over',
    observation: given.leader({
      postgres: given.stopped('in production'),
      lease: given.leaderLease({ deadline: given.NOW + 500 }),
    }),
    rule: 'lead.unproven',
    steps: [],
    because: 'a start as primary must not outlive the lease (S1)',
  },
  {
    given: 'a server that has been down for longer than primary_start_timeout',
    observation: given.leader({
      postgres: given.stopped('in production'),
      memory: given.memory({ lastRole: 'primary', primaryDownSince: given.NOW - 300_001 }),
    }),
    rule: 'lead.give-up',
    steps: ['resign'],
    because: 'another member can serve',
  },
  {
    given: 'a server that failed to start',
    observation: given.leader({
      postgres: given.stopped('in production'),
      memory: given.memory({
        lastRole: 'primary',
        primaryDownSince: given.NOW - 100,
        failures: [{ kind: 'start', at: given.NOW - 10, why: 'PANIC' }],
      }),
    }),
    rule: 'lead.give-up',
    steps: ['resign'],
    because: 'a start that failed is not repeated while another member can lead (D69)',
  },
  {
    given: 'a server that failed to start, and no other member',
    observation: given.leader({
      cluster: given.known(given.cluster({ members: [given.member('n1')] })),
      postgres: given.stopped('in production'),
      memory: given.memory({
        lastRole: 'primary',
        primaryDownSince: given.NOW - 100,
        failures: [{ kind: 'start', at: given.NOW - 10, why: 'PANIC' }],
      }),
    }),
    rule: 'lead.restart-in-place',
    steps: ['startJob'],
    because: 'there is nobody to give the lease to',
  },
  {
    given: 'D67: a data directory that cannot be read any more',
    observation: given.leader({
      postgres: given.stopped('in production', {
        dataDirectory: { kind: 'unreadable', why: 'EIO' },
        control: given.unknown('EIO'),
      }),
      memory: given.memory({ lastRole: 'primary', primaryDownSince: given.NOW - 6000 }),
    }),
    rule: 'lead.unreadable',
    steps: ['killEverything', 'resign'],
    because: 'it will not be started from, and another member can serve (F2)',
  },
  {
    given: 'D11: a stop that does not come to its end on a disk that hangs',
    observation: given.leader({
      postgres: given.running(given.primarySql(), {
        sql: given.unknown('no answer'),
        ready: 'no answer',
      }),
      job: {
        ...given.ended('stop', true, 'immediate'),
        outcome: null,
        startedAt: given.NOW - 60_000,
      },
      memory: given.memory({ lastRole: 'primary', primaryDownSince: given.NOW - 331_000 }),
    }),
    rule: 'lead.stuck',
    steps: ['killEverything', 'resign'],
    because: 'SIGKILL pending on everything allows the release (S1)',
  },
  {
    given: 'a hand-over that nobody caught up with, and primary_start_timeout 0',
    observation: given.leader({
      settings: given.settings({ primaryStartTimeoutMs: 0 }),
      postgres: given.stopped('shut down', { standbySignal: true }),
      job: given.ended('handover', false, '', 'nobody caught up'),
      memory: given.memory({ lastRole: 'primary', primaryDownSince: given.NOW - 10_000 }),
    }),
    rule: 'lead.restart-in-place',
    steps: ['startJob'],
    because: 'a planned stop that ended in nothing loses nothing (F4)',
  },
  {
    given: 'a fast stop that hangs',
    observation: given.leader({
      postgres: given.running(given.primarySql(), {
        sql: given.unknown('57P03'),
        ready: 'rejecting',
      }),
      job: given.ended('handover', false, '', 'did not stop in 60000 ms'),
      memory: given.memory({ lastRole: 'primary', primaryDownSince: given.NOW - 60_000 }),
    }),
    rule: 'lead.wait-for-server',
    steps: ['startJob'],
    because: 'nothing else would end it',
  },
  {
    given: 'SIGTERM after a hand-over that nobody caught up with',
    observation: given.leader({
      stopping: true,
      postgres: given.stopped('shut down', { standbySignal: true }),
      job: given.ended('handover', false, '', 'nobody caught up'),
    }),
    rule: 'leave.stopped',
    steps: ['exit'],
    because: 'the lease is left to run out, so that this node can come back first (F4)',
  },
  {
    given: 'D6: the key is held, but no renewal was ever proven',
    observation: given.leader({
      postgres: given.running(given.standbySql()),
      lease: given.leaderLease({ deadline: null }),
    }),
    rule: 'lead.unproven',
    steps: [],
    because: 'a key that was set by an update that failed is no authority to promote',
  },
  {
    given: 'a standby that holds the key with its claim',
    observation: given.leader({
      postgres: given.running(given.standbySql('n3')),
      cluster: given.known(
        given.cluster({
          timelines: {
            claims: [
              [1, 'n3'],
              [2, 'n1'],
            ],
            modRevision: 9,
          },
        }),
      ),
    }),
    rule: 'lead.promote',
    steps: ['startJob'],
    because: 'it reserved timeline 2 with the key',
  },
  {
    given: 'a standby that holds the key, and whose claim was overtaken',
    observation: given.leader({
      postgres: given.running(given.standbySql('n3')),
      cluster: given.known(
        given.cluster({
          timelines: {
            claims: [
              [2, 'n1'],
              [3, 'n3'],
            ],
            modRevision: 9,
          },
        }),
      ),
    }),
    rule: 'lead.promote',
    steps: ['claim', 'startJob'],
    because: 'a timeline is never used twice (S6)',
  },
  {
    given: 'the key of an earlier life',
    observation: given.leader({
      lease: given.ownLease('new'),
      memory: given.memory({ formerLeaseId: 'lease-n1' }),
    }),
    rule: 'lead.take-over',
    steps: ['takeOver'],
    because: 'an adopted PostgreSQL goes on without an outage',
  },
  {
    given: 'D3: our name on the key, under a lease that was never ours',
    observation: given.leader({
      lease: given.ownLease('new'),
      postgres: given.running(given.standbySql()),
    }),
    rule: 'lead.foreign-lease',
    steps: [],
    because: "a second daemon of this name must not take the first one's key",
  },
  {
    given: 'D69: the third end within five minutes',
    observation: given.leader({
      postgres: given.stopped('in production'),
      memory: given.memory({
        lastRole: 'primary',
        crashes: [given.NOW - 200_000, given.NOW - 100_000, given.NOW - 10],
      }),
    }),
    rule: 'lead.crash-loop',
    steps: ['resign'],
    because: 'another member can serve',
  },
  {
    given: 'three ends, one of them long ago',
    observation: given.leader({
      postgres: given.stopped('in production'),
      memory: given.memory({
        lastRole: 'primary',
        crashes: [given.NOW - 400_000, given.NOW - 100_000, given.NOW - 10],
      }),
    }),
    rule: 'lead.restart-in-place',
    steps: ['startJob'],
    because: 'that is no loop',
  },
  {
    given: 'a crash loop, and no other member',
    observation: given.leader({
      cluster: given.known(given.cluster({ members: [given.member('n1')] })),
      postgres: given.stopped('in production'),
      memory: given.memory({
        lastRole: 'primary',
        crashes: [given.NOW - 30, given.NOW - 20, given.NOW - 10],
      }),
    }),
    rule: 'lead.restart-in-place',
    steps: ['startJob'],
    because: 'there is nobody to give the lease to',
  },
  {
    given: 'a restart that did not bring the primary back in time',
    observation: given.leader({
      postgres: given.running(given.primarySql(), {
        sql: given.unknown('57P03'),
        ready: 'rejecting',
        standbySignal: false,
      }),
      memory: given.memory({
        lastRole: 'primary',
        primaryDownSince: given.NOW - 100,
        failures: [{ kind: 'restart', at: given.NOW - 10, why: 'not up after 1000 ms' }],
      }),
    }),
    rule: 'lead.give-up',
    steps: ['startJob'],
    because: 'its timeout is the start timeout of C-5.6; it is stopped, then the lease released',
  },
  {
    given: 'SIGTERM',
    observation: given.leader({ stopping: true }),
    rule: 'leave.hand-over',
    steps: ['startJob'],
    because: 'the lease is handed over, not left to run out',
  },
  {
    given: 'SIGTERM in pause',
    observation: given.leader({ stopping: true, settings: given.settings({ paused: true }) }),
    rule: 'leave.paused',
    steps: ['exit'],
    because: 'PostgreSQL and the key stay as they are',
  },
  {
    given: 'etcd that cannot be read, before the deadline',
    observation: given.leader({ cluster: given.unknown('no endpoint answers') }),
    rule: 'blind.primary',
    steps: [],
    because: 'the lease was proven until then',
  },
  {
    given: 'D8: etcd that cannot be read, after the deadline',
    observation: given.leader({
      cluster: given.unknown('no endpoint answers'),
      lease: given.leaderLease({ deadline: given.NOW - 1 }),
    }),
    rule: 'blind.demote',
    steps: ['startJob'],
    because: "the lease may be another's by now",
  },
  {
    given: 'an empty data directory under the leader',
    observation: given.leader({ postgres: given.emptyDirectory() }),
    rule: 'join.lost-directory',
    steps: ['resign'],
    because: 'nobody can be served',
  },
];

describe('the leader', () => {
  it.each(cases)('$given: $rule, because $because', ({ observation, rule, steps }) => {
    const decision = decide(observation);
    expect(decision.rule, decision.why).toBe(rule);
    expect(decision.steps.map((step) => step.do)).toEqual(steps);
  });

  it('stops at once when another member holds the lease', () => {
    const observation = given.leader({
      cluster: given.known(
        given.cluster({ leader: { name: 'n2', leaseId: 'x', createRevision: 9, modRevision: 9 } }),
      ),
    });
    expect(decide(observation).steps).toEqual([
      { do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } },
    ]);
  });
});
