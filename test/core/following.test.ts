import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { Job, Observation } from '../../src/core/model.ts';
import * as given from './observations.ts';

/** n2 led once, n1 leads now on timeline 2, which left timeline 1 at 4500. */
const second = given.cluster({
  members: [
    given.member('n1', { role: 'primary', timeline: 2 }),
    given.member('n2'),
    given.member('n3'),
  ],
  history: [{ timeline: 1, switchLsn: 4500, reason: 'x' }],
  timelines: {
    claims: [
      [1, 'n2'],
      [2, 'n1'],
    ],
    modRevision: 9,
  },
});
const onTwo = given.upstream({
  timeline: 2,
  history: [{ timeline: 1, switchLsn: 4500, reason: 'x' }],
  lsn: 6000,
});

const rewindFailed = (how: { readonly notBegun?: true }) =>
  given.memory({
    lastRole: 'primary',
    failures: [{ kind: 'rewind', at: given.NOW - 10, why: 'x', ...how }],
  });

const exPrimary = (end: number, change: Partial<Observation> = {}): Observation =>
  given.replica({
    cluster: given.known(second),
    postgres: given.stopped('in production', { walEnd: given.known({ timeline: 1, lsn: end }) }),
    upstream: given.known(onTwo),
    memory: given.memory({ lastRole: 'primary' }),
    ...change,
  });

const cases: readonly {
  given: string;
  observation: Observation;
  rule: string;
  job: Job['kind'] | null;
  because: string;
}[] = [
  {
    given: 'a streaming replica',
    observation: given.replica(),
    rule: 'follow.steady',
    job: null,
    because: 'there is nothing to do',
  },
  {
    given: 'an old primary whose WAL ends before the switch',
    observation: exPrimary(4500),
    rule: 'follow.rejoin',
    job: 'start',
    because: 'the leader has all of it',
  },
  {
    given: 'an old primary whose WAL goes past the switch',
    observation: exPrimary(4501),
    rule: 'follow.rejoin',
    job: 'rewind',
    because: 'one byte too many is divergence',
  },
  {
    given: "D46: a timeline that the leader's history does not name",
    observation: exPrimary(100, {
      postgres: given.stopped('in production', { walEnd: given.known({ timeline: 5, lsn: 100 }) }),
    }),
    rule: 'follow.rejoin',
    job: 'rewind',
    because: 'a missing line is divergence, never agreement',
  },
  {
    given: 'D47: a leader that has not made its first checkpoint',
    observation: exPrimary(4501, {
      cluster: given.known({
        ...second,
        members: [
          given.member('n1', { role: 'primary', timeline: 2, checkpointAfterPromote: false }),
          given.member('n2'),
        ],
      }),
    }),
    rule: 'follow.rejoin',
    job: null,
    because: 'its pg_control still names the old timeline, and pg_rewind would find nothing to do',
  },
  {
    given: 'D47: a leader whose record is from before its promotion',
    observation: exPrimary(4501, {
      cluster: given.known({ ...second, members: [given.member('n1'), given.member('n2')] }),
    }),
    rule: 'follow.rejoin',
    job: null,
    because:
      'a standby has no checkpoint to wait for, and is none any more: nothing is known of it',
  },
  {
    given: 'D47: a leader whose record names the timeline before its last promotion',
    observation: exPrimary(4501, {
      cluster: given.known({
        ...second,
        members: [given.member('n1', { role: 'primary', timeline: 1 }), given.member('n2')],
      }),
    }),
    rule: 'follow.rejoin',
    job: null,
    because: 'the checkpoint that it speaks of is an earlier one',
  },
  {
    given: 'D48: a rewind that died midway',
    observation: exPrimary(4501, {
      postgres: given.stopped('in production', { interrupted: 'rewind' }),
    }),
    rule: 'follow.rejoin',
    job: 'clone',
    because: 'the directory is not whole',
  },
  {
    given: 'a clone that died midway',
    observation: exPrimary(4501, {
      postgres: given.stopped('in production', { interrupted: 'clone' }),
    }),
    rule: 'follow.rejoin',
    job: 'clone',
    because: 'the directory is not whole',
  },
  {
    given: 'D45: the same primary after crash recovery',
    observation: given.replica({
      postgres: given.stopped('in production', { walEnd: given.known({ timeline: 1, lsn: 5000 }) }),
      upstream: given.known(given.upstream({ lsn: 5200 })),
    }),
    rule: 'follow.rejoin',
    job: 'start',
    because: 'the same timeline is no divergence',
  },
  {
    given: 'S6: a timeline promoted here and reserved by another',
    observation: exPrimary(4000, {
      postgres: given.stopped('in production', { walEnd: given.known({ timeline: 2, lsn: 4700 }) }),
      memory: given.memory({ lastRole: 'primary', promotedHere: [2] }),
      settings: given.settings({ removeDataDirectoryOnDivergedTimelines: true }),
    }),
    rule: 'follow.rejoin',
    job: 'clone',
    because: 'equal numbers hide different contents, from pg_rewind too',
  },
  {
    given: 'a diverged member whose rewind failed',
    observation: exPrimary(4501, { memory: rewindFailed({}) }),
    rule: 'follow.rejoin',
    job: null,
    because: 'nothing is destroyed without leave (S7)',
  },
  {
    given: 'a diverged member whose rewind never ran, as the guard had fired',
    observation: exPrimary(4501, { memory: rewindFailed({ notBegun: true }) }),
    rule: 'follow.rejoin',
    job: 'rewind',
    because: 'what never ran can still succeed',
  },
  {
    given: 'a diverged member with pg_rewind off',
    observation: exPrimary(4501, { settings: given.settings({ usePgRewind: false }) }),
    rule: 'follow.rejoin',
    job: null,
    because: 'nothing is destroyed without leave (S7)',
  },
  {
    given: 'a diverged member with pg_rewind off and removal allowed',
    observation: exPrimary(4501, {
      settings: given.settings({
        usePgRewind: false,
        removeDataDirectoryOnDivergedTimelines: true,
      }),
    }),
    rule: 'follow.rejoin',
    job: 'clone',
    because: 'the operator allowed it',
  },
  {
    given: 'an unknown end of the local WAL',
    observation: exPrimary(0, {
      postgres: given.stopped('in production', { walEnd: given.unknown('pg_waldump failed') }),
    }),
    rule: 'follow.rejoin',
    job: null,
    because: 'unknown is no position (S4)',
  },
  {
    given: 'a leader that cannot be asked',
    observation: exPrimary(4501, { upstream: given.unknown('connection refused') }),
    rule: 'follow.rejoin',
    job: null,
    because: 'unknown is no agreement (S4)',
  },
  {
    given: 'orphans of a dead postmaster',
    observation: exPrimary(4500, { postgres: given.stopped('in production', { orphans: 2 }) }),
    rule: 'follow.end-orphans',
    job: null,
    because: 'they go on acknowledging',
  },
  {
    given: 'a standby that stopped cleanly',
    observation: given.replica({
      postgres: given.stopped('shut down in recovery', { standbySignal: true }),
    }),
    rule: 'follow.restart-standby',
    job: 'start',
    because: 'it can be compared once it runs',
  },
  {
    given: 'a running standby that does not stream and went past the switch',
    observation: given.replica({
      cluster: given.known(second),
      postgres: given.running(
        given.standbySql('n1', { walReceiver: null, receiveLsn: 4600, replayLsn: 4600 }),
      ),
      upstream: given.known(onTwo),
      memory: given.memory({ lastRole: 'replica', notStreamingSince: given.NOW - 2000 }),
    }),
    rule: 'follow.diverged',
    job: 'stop',
    because: 'it can never stream again as it is',
  },
  {
    given: 'D51: a running standby that heads for a timeline nobody continued',
    observation: given.replica({
      cluster: given.known(second),
      postgres: given.running(
        given.standbySql('n1', { walReceiver: null, receiveLsn: 4500, replayLsn: 4500 }),
      ),
      upstream: given.known(onTwo),
      memory: given.memory({ lastRole: 'replica', notStreamingSince: given.NOW - 25_000 }),
    }),
    rule: 'follow.lost-way',
    job: 'stop',
    because: 'only a start looks at the histories anew',
  },
  {
    given: 'a running primary beside a leader',
    observation: given.replica({ postgres: given.running(given.primarySql()) }),
    rule: 'follow.demote',
    job: 'stop',
    because: 'only the leader writes',
  },
  {
    given: 'a server of unknown state without a standby signal beside a leader',
    observation: given.replica({
      postgres: given.running(given.primarySql(), {
        sql: given.unknown('timeout'),
        ready: 'no answer',
      }),
    }),
    rule: 'follow.demote',
    job: 'stop',
    because: 'it may be a primary, and unknown is not standby (S4)',
  },
  {
    given: 'an empty data directory',
    observation: given.replica({ postgres: given.emptyDirectory() }),
    rule: 'join.clone',
    job: 'clone',
    because: 'there is a leader to copy',
  },
  {
    given: 'two clones that failed just now',
    observation: given.replica({
      postgres: given.emptyDirectory(),
      memory: given.memory({
        failures: [1, 2].map(() => ({ kind: 'clone' as const, at: given.NOW - 10, why: 'x' })),
      }),
    }),
    rule: 'join.clone',
    job: null,
    because: 'the second failure is followed by a pause',
  },
];

const jobOf = (observation: Observation): Job | null => {
  const step = decide(observation).steps.find((candidate) => candidate.do === 'startJob');
  return step?.do === 'startJob' ? step.job : null;
};

describe('another member leads', () => {
  it.each(cases)('$given: $rule $job, because $because', ({ observation, rule, job }) => {
    const decision = decide(observation);
    expect(decision.rule, decision.why).toBe(rule);
    expect(jobOf(observation)?.kind ?? null, decision.why).toBe(job);
  });

  it('says how many bytes a rewind discards', () => {
    expect(decide(exPrimary(4600)).why).toContain('100 bytes');
  });

  it('points a standby of the former leader at the new one', () => {
    const observation = given.replica({
      name: 'n3',
      postgres: given.running(given.standbySql('n2')),
    });
    expect(decide(observation).steps).toContainEqual({
      do: 'follow',
      upstream: { name: 'n1', host: '127.0.0.1', port: 5431 },
    });
  });

  it("S7: another cluster's directory is left alone, with exit code 1", () => {
    const foreign = given.known(given.control({ systemIdentifier: '1' }));
    const decision = decide(
      given.replica({ postgres: given.stopped('shut down', { control: foreign }) }),
    );
    expect(decision.rule).toBe('join.other-cluster');
    expect(decision.steps).toEqual([
      { do: 'exit', code: 1, message: expect.stringContaining('another cluster') },
    ]);
  });

  it('S4: an unreadable directory is not an empty one', () => {
    const postgres = given.stopped('shut down', {
      dataDirectory: { kind: 'unreadable', why: 'EACCES' },
      control: given.unknown('EACCES'),
    });
    expect(decide(given.replica({ postgres, memory: given.memory() })).steps).toEqual([
      { do: 'exit', code: 1, message: expect.stringContaining('EACCES') },
    ]);
    const ran = given.memory({ lastRole: 'replica' });
    expect(
      decide(
        given.replica({
          postgres: {
            ...postgres,
            postmaster: { kind: 'alive', pid: 1, startTicks: 1, adopted: true },
          },
          memory: ran,
        }),
      ).steps,
    ).toEqual([]);
  });
});
