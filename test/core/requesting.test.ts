/** What an operator asks of one node: what is begun, what is refused and in which words (contract 3.6, 5.19). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type {
  Observation,
  ReinitializeRequest,
  RestartFilter,
  RestartRequest,
  ScheduledRestart,
} from '../../src/core/model.ts';
import * as given from './observations.ts';

const ANY: RestartFilter = { role: null, olderThan: null, pendingOnly: false };
const restart = (filter: Partial<RestartFilter> = {}): RestartRequest => ({
  do: 'restart',
  id: 1,
  filter: { ...ANY, ...filter },
  timeoutMs: null,
});
const reinitialize = (change: Partial<ReinitializeRequest> = {}): ReinitializeRequest => ({
  do: 'reinitialize',
  id: 2,
  force: false,
  fromLeader: false,
  ...change,
});
const plan = (change: Partial<ScheduledRestart> = {}): ScheduledRestart => ({
  filter: ANY,
  timeoutMs: null,
  at: '2026-12-01T03:00:00+00:00',
  postmasterStartTime: given.primarySql().postmasterStartTime,
  ...change,
});
const busy = (kind: 'clone' | 'start' | 'promote'): Observation['job'] => ({
  ...given.ended(kind, true, 'n1'),
  outcome: null,
});
const reachable = { upstream: given.known(given.upstream()) };
const job = (kind: string, rest: object): object => ({
  do: 'startJob',
  job: expect.objectContaining({ kind, ...rest }),
});
const answer = (text: string): object =>
  expect.objectContaining({ do: 'answer', status: 503, text });

const cases: readonly {
  given: string;
  observation: Observation;
  step: object | null;
}[] = [
  {
    given: 'a restart of the leader: it keeps its lease and comes back as a primary',
    observation: given.leader({ request: restart() }),
    step: job('restart', { as: 'primary', request: 1 }),
  },
  {
    given: 'a restart of the leader in pause',
    observation: given.leader({
      request: restart(),
      settings: given.settings({ paused: true }),
    }),
    step: job('restart', { as: 'primary' }),
  },
  {
    given: 'a restart of a replica: as a standby of the leader',
    observation: given.replica({ request: restart({ role: 'replica' }) }),
    step: job('restart', { as: 'standby', upstream: expect.objectContaining({ name: 'n1' }) }),
  },
  {
    given: 'S1: a restart of a primary whose lease is not proven',
    observation: given.leader({
      request: restart(),
      lease: given.leaderLease({ deadline: given.NOW + 10 }),
    }),
    step: answer('restart failed'),
  },
  {
    given: 'a role that it does not have',
    observation: given.leader({ request: restart({ role: 'replica' }) }),
    step: answer('restart conditions are not satisfied'),
  },
  {
    given: 'a version that is not older',
    observation: given.leader({ request: restart({ olderThan: 150020 }) }),
    step: answer('restart conditions are not satisfied'),
  },
  {
    given: 'an older version',
    observation: given.leader({ request: restart({ olderThan: 150021 }) }),
    step: job('restart', {}),
  },
  {
    given: 'nothing that waits for a restart',
    observation: given.leader({ request: restart({ pendingOnly: true }) }),
    step: answer('restart conditions are not satisfied'),
  },
  {
    given: 'a setting that waits for a restart',
    observation: given.leader({
      request: restart({ pendingOnly: true }),
      postgres: given.running(
        given.primarySql({
          pendingRestart: [{ name: 'max_connections', oldValue: '60', newValue: '61' }],
        }),
      ),
    }),
    step: job('restart', {}),
  },
  ...(
    [
      ['is refused while a replica waits for it too', 'max_connections', '60', '61', false],
      ['is not what replicas need less of', 'max_connections', '61', '60', true],
      ['is nothing to replicas', 'shared_buffers', '10', '20', true],
    ] as const
  ).map(([what, name, oldValue, newValue, goes]) => ({
    given: `a raised setting of the leader ${what}`,
    observation: given.leader({
      request: restart(),
      postgres: given.running(given.primarySql({ pendingRestart: [{ name, oldValue, newValue }] })),
      cluster: given.known(
        given.cluster({
          members: [
            given.member('n1', { role: 'primary' }),
            given.member('n2', {
              pendingRestart: true,
              pendingRestartReason: { [name]: { old_value: oldValue, new_value: newValue } },
            }),
          ],
        }),
      ),
    }),
    step: goes ? job('restart', {}) : answer('restart failed'),
  })),
  {
    given: 'other work in progress',
    observation: given.replica({ request: restart(), job: busy('clone') }),
    step: answer('clone already in progress'),
  },
  {
    given: 'a start in progress',
    observation: given.replica({ request: restart(), job: busy('start') }),
    step: answer('postgres is still starting'),
  },
  {
    given: 'a stopped server',
    observation: given.replica({ request: restart(), postgres: given.stopped('shut down') }),
    step: answer('restart failed'),
  },
  {
    given: 'a store that cannot be read',
    observation: given.replica({ request: restart(), cluster: given.unknown('no endpoint') }),
    step: answer('restart failed'),
  },
  {
    given: 'a reinitialization',
    observation: given.replica({ request: reinitialize(), ...reachable }),
    step: job('reinitialize', { request: 2, from: expect.objectContaining({ name: 'n1' }) }),
  },
  {
    given: 'a reinitialization of the leader',
    observation: given.leader({ request: reinitialize(), ...reachable }),
    step: answer('I am the leader, can not reinitialize'),
  },
  {
    given: 'a reinitialization without a leader',
    observation: given.contender({ request: reinitialize(), ...reachable }),
    step: answer('Cluster has no leader, can not reinitialize'),
  },
  {
    given: 'S7: a reinitialization from a leader that cannot be reached',
    observation: given.replica({ request: reinitialize() }),
    step: answer('Cluster has no leader, can not reinitialize'),
  },
  {
    given: 'S7: a reinitialization from another cluster',
    observation: given.replica({
      request: reinitialize(),
      upstream: given.known(given.upstream({ systemIdentifier: '1' })),
    }),
    step: answer('Cluster has no leader, can not reinitialize'),
  },
  {
    given: 'a reinitialization while a clone runs',
    observation: given.replica({ request: reinitialize(), job: busy('clone'), ...reachable }),
    step: answer('clone already in progress'),
  },
  {
    given: 'a forced one: the clone is cancelled',
    observation: given.replica({ request: reinitialize({ force: true }), job: busy('clone') }),
    step: { do: 'cancelJob' },
  },
  {
    given: 'S9: a forced one never cuts a promotion',
    observation: given.replica({ request: reinitialize({ force: true }), job: busy('promote') }),
    step: null,
  },
  {
    given: 'a scheduled restart whose time has come',
    observation: given.replica({ scheduledRestart: plan() }),
    step: { do: 'dropSchedule', why: expect.any(String) },
  },
  {
    given: 'a scheduled restart of a server that has been restarted since',
    observation: given.replica({ scheduledRestart: plan({ postmasterStartTime: 'before' }) }),
    step: { do: 'dropSchedule', why: expect.stringContaining('since') },
  },
  {
    given: 'a scheduled restart for later',
    observation: given.replica({ scheduledRestart: plan({ at: '2026-12-01T03:00:03Z' }) }),
    step: null,
  },
];

describe('a request', () => {
  it.each(cases)('$given', ({ observation, step }) => {
    const { steps } = decide(observation);
    if (step === null) expect(steps).toEqual([]);
    else expect(steps[0]).toEqual(step);
  });

  it('goes on from a dropped schedule to the restart only when it is due', () => {
    const kinds = (scheduledRestart: ScheduledRestart): string[] =>
      decide(given.replica({ scheduledRestart })).steps.map((step) => step.do);
    expect(kinds(plan())).toEqual(['dropSchedule', 'startJob']);
    expect(kinds(plan({ at: '2026-12-01T02:00:00Z' }))).toEqual(['dropSchedule']);
    expect(kinds(plan({ filter: { ...ANY, role: 'primary' } }))).toEqual(['dropSchedule']);
    expect(
      decide(given.replica({ scheduledRestart: plan({ at: '2026-12-01T03:00:03Z' }) })).wakeInMs,
    ).toBe(3000);
  });
});
