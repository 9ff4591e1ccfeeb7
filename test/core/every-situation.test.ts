/** Field D66: no situation without a rule, no rule that never applies, no decision that cannot be carried out. */
import { describe, expect, it } from 'vitest';
import { decide, rules } from '../../src/core/decide.ts';
import type {
  ClusterView,
  Known,
  LeaseFacts,
  Memory,
  Observation,
  PostgresFacts,
} from '../../src/core/model.ts';
import * as given from './observations.ts';

const claims = (timelines: ClusterView['timelines']): Partial<ClusterView> => ({ timelines });
const clusters: readonly Known<ClusterView>[] = [
  given.unknown('no endpoint answers'),
  given.known(given.cluster()),
  given.known(
    given.cluster({
      ...claims({
        claims: [
          [1, 'n1'],
          [2, 'n2'],
        ],
        modRevision: 9,
      }),
      leader: { name: 'n2', leaseId: 'lease-n2', createRevision: 5, modRevision: 6 },
    }),
  ),
  given.known(
    given.cluster({ leader: { name: 'n2', leaseId: 'former', createRevision: 5, modRevision: 6 } }),
  ),
  given.known(
    given.cluster({
      leader: { name: 'n2', leaseId: 'strange', createRevision: 5, modRevision: 6 },
    }),
  ),
  given.known(
    given.cluster({ leader: { name: 'ghost', leaseId: null, createRevision: 5, modRevision: 5 } }),
  ),
  given.known(
    given.cluster({
      leader: { name: 'n2', leaseId: 'lease-n2', createRevision: 5, modRevision: 6 },
      failover: { leader: 'n2', candidate: 'n3', scheduledAt: null, modRevision: 7 },
    }),
  ),
  given.known(
    given.cluster({
      leader: { name: 'n2', leaseId: 'lease-n2', createRevision: 5, modRevision: 6 },
      failover: { leader: 'n2', candidate: 'n3', scheduledAt: 'tomorrow', modRevision: 7 },
    }),
  ),
  given.known(
    given.cluster({
      leader: { name: 'n2', leaseId: 'lease-n2', createRevision: 5, modRevision: 6 },
      failover: { leader: null, candidate: 'n2', scheduledAt: null, modRevision: 4 },
    }),
  ),
  given.known(given.leaderless()),
  given.known(
    given.leaderless({
      failover: { leader: null, candidate: 'n2', scheduledAt: null, modRevision: 4 },
    }),
  ),
  given.known(
    given.leaderless({
      handover: { leader: 'n1', floorLsn: 9000, timeline: 1, candidate: 'n3', modRevision: 9 },
    }),
  ),
  given.known(given.leaderless({ initialize: { kind: 'absent' }, members: [] })),
  given.known(
    given.leaderless({ initialize: { kind: 'bootstrapping', owner: 'n2', modRevision: 3 } }),
  ),
  given.known(
    given.leaderless({ initialize: { kind: 'bootstrapping', owner: null, modRevision: 3 } }),
  ),
  given.known(given.leaderless({ initialize: { kind: 'garbage', text: 'x', modRevision: 3 } })),
  given.known(given.leaderless({ history: [{ timeline: 1, switchLsn: 10, reason: '' }] })),
];
const servers: readonly PostgresFacts[] = [
  given.running(given.primarySql()),
  given.running(given.standbySql()),
  given.running(given.standbySql('n1', { walReceiver: null, timeline: null })),
  given.running(given.standbySql('n1', { walReceiver: null })),
  given.running(given.primarySql(), {
    sql: given.unknown('57P03'),
    ready: 'rejecting',
    standbySignal: false,
  }),
  given.running(given.standbySql(), {
    sql: given.unknown('timeout'),
    ready: 'no answer',
    silent: 'timeout',
  }),
  given.running(given.standbySql(), {
    postmaster: { kind: 'unknown', why: 'EIO' },
    sql: given.unknown('EIO'),
  }),
  given.stopped('in production'),
  given.stopped('in production', { orphans: 3 }),
  given.stopped('shut down', { standbySignal: true }),
  given.stopped('in archive recovery', { standbySignal: true }),
  given.stopped('in production', { interrupted: 'clone' }),
  given.stopped('in production', { interrupted: 'rewind' }),
  given.stopped('in production', { interrupted: 'bootstrap' }),
  given.stopped('shut down', { control: given.unknown('EIO') }),
  given.stopped('shut down', { control: given.known(given.control({ systemIdentifier: '1' })) }),
  given.stopped('shut down', {
    dataDirectory: { kind: 'foreign', why: 'photos' },
    control: given.unknown('none'),
  }),
  given.stopped('shut down', {
    dataDirectory: { kind: 'unreadable', why: 'EACCES' },
    control: given.unknown('none'),
  }),
  given.emptyDirectory(),
];
const leases: readonly LeaseFacts[] = [
  given.ownLease('n2', { leaseId: null }),
  given.ownLease('n2'),
  given.ownLease('n2', { deadline: given.NOW - 1 }),
  given.ownLease('n2', {
    holdsLeaderKey: true,
    leaderModRevision: 6,
    deadline: given.NOW + 20_000,
  }),
  given.ownLease('n2', { holdsLeaderKey: true, leaderModRevision: 6, deadline: given.NOW + 10 }),
];
const failures = (kind: 'start' | 'promote' | 'rewind'): Memory['failures'] =>
  [1, 2, 3].map(() => ({ kind, at: given.NOW - 10, why: 'x' }));
const memories: readonly Memory[] = [
  given.memory({
    formerLeaseId: 'former',
    lastLeader: { name: 'n1', leaseId: 'lease-n1', tenure: false, paused: true },
  }),
  given.memory({ lastRole: 'primary', primaryDownSince: 1, leaderlessSince: given.NOW - 100_000 }),
  given.memory({
    lastRole: 'replica',
    notStreamingSince: 1,
    leaderlessSince: given.NOW - 10,
    failures: failures('rewind'),
  }),
  given.memory({
    lastRole: 'replica',
    failures: failures('promote'),
    promotedHere: [1],
    crashes: [1, 2, 3].map((ago) => given.NOW - ago),
  }),
  given.memory({
    lastRole: 'primary',
    failures: failures('start'),
    silence: {
      answeredBy: { pid: 100, startTicks: 1 },
      since: given.NOW - 60_000,
      lastAt: given.NOW,
      looks: 9,
    },
    promotionRefused: given.NOW - 100,
  }),
  given.memory({
    lastRole: 'primary',
    diskSilence: { since: given.NOW - 60_000, lastAt: given.NOW, flushedLsn: 5000, looks: 9 },
  }),
];
const jobs: readonly Observation['job'][] = [
  null,
  { ...given.ended('clone', true, 'gone'), outcome: null },
  { ...given.ended('start', true, 'as primary'), outcome: null },
  {
    ...given.ended('start', true, 'as standby of gone'),
    outcome: null,
    startedAt: given.NOW - 20_000,
  },
  { ...given.ended('promote', true), outcome: null },
  given.ended('handover', false, '', 'nobody caught up'),
  given.ended('reinitialize', true, 'n1'),
  given.ended('stop', false, 'fast', 'timeout'),
];
const modes: readonly Pick<Observation, 'stopping' | 'settings'>[] = [
  { stopping: false, settings: given.settings() },
  { stopping: true, settings: given.settings() },
  { stopping: false, settings: given.settings({ paused: true }) },
  { stopping: true, settings: given.settings({ paused: true }) },
];
const FILTER = { role: null, olderThan: null, pendingOnly: false };
const NONE = { request: null, scheduledRestart: null, promise: null };
const asked: readonly Pick<
  Observation,
  'upstream' | 'vanishedLeaseMs' | 'peers' | 'request' | 'scheduledRestart' | 'promise'
>[] = [
  {
    ...NONE,
    upstream: given.known(
      given.upstream({ timeline: 2, history: [{ timeline: 1, switchLsn: 5000, reason: '' }] }),
    ),
    vanishedLeaseMs: given.known(0),
    peers: [],
  },
  {
    ...NONE,
    upstream: given.unknown('refused'),
    vanishedLeaseMs: given.known(0),
    peers: [],
    request: { do: 'restart', id: 1, filter: FILTER, timeoutMs: null },
  },
  {
    ...NONE,
    upstream: given.known(given.upstream()),
    vanishedLeaseMs: given.known(0),
    peers: [],
    request: { do: 'reinitialize', id: 1, force: true, fromLeader: false },
  },
  {
    ...NONE,
    upstream: given.unknown('refused'),
    vanishedLeaseMs: given.known(0),
    peers: [],
    scheduledRestart: {
      filter: FILTER,
      timeoutMs: null,
      at: '2026-12-01T03:00:00Z',
      postmasterStartTime: null,
    },
  },
  {
    ...NONE,
    upstream: given.unknown('refused'),
    vanishedLeaseMs: given.known(0),
    peers: [given.peer('n3', 5000)],
  },
  {
    ...NONE,
    upstream: given.unknown('refused'),
    vanishedLeaseMs: given.known(0),
    peers: [given.peer('n3', 5000)],
    promise: { leader: 'n1', until: given.NOW + 5000, slots: { n3: 4500 } },
  },
  {
    ...NONE,
    upstream: given.known(
      given.upstream({ timeline: 2, history: [{ timeline: 1, switchLsn: 4000, reason: '' }] }),
    ),
    vanishedLeaseMs: given.known(5000),
    peers: [],
  },
];

function* situations(): Generator<Observation> {
  for (const cluster of clusters)
    for (const postgres of servers)
      for (const lease of leases)
        for (const memory of memories)
          for (const job of jobs)
            for (const mode of modes)
              for (const answers of asked) {
                // What an operator asks does not depend on what has been.
                const requests = answers.request !== null || answers.scheduledRestart !== null;
                if (requests && memory !== memories[0]) continue;
                yield given.replica({ cluster, postgres, lease, memory, job, ...mode, ...answers });
              }
}

const sender = {
  pid: 1,
  applicationName: 'n3',
  userName: '',
  clientAddress: null,
  state: 'streaming',
  syncState: 'sync',
  syncPriority: 1,
  flushLsn: 5000,
  slotName: 'n3',
  startedAt: '',
};
const led = (sync: ClusterView['sync']): ClusterView =>
  given.cluster({
    leader: { name: 'n2', leaseId: 'lease-n2', createRevision: 5, modRevision: 6 },
    sync,
  });
const syncKeys: readonly ClusterView['sync'][] = [
  null,
  { leader: 'n2', standbys: ['n3'], quorum: 0, modRevision: 9 },
  { leader: 'n1', standbys: ['n2', 'n3'], quorum: 1, modRevision: 9 },
  { leader: 'n1', standbys: ['n2'], quorum: 0, modRevision: 9 },
  { leader: null, standbys: [], quorum: 0, modRevision: 9, unreadable: true },
];

/** Every state of `/sync`, in every mode. */
function* synchronousSituations(): Generator<Observation> {
  const senders = [[], [sender], [sender, { ...sender, pid: 2, slotName: null }]];
  const more = senders.map((walSenders) => given.running(given.primarySql({ walSenders })));
  for (const sync of syncKeys)
    for (const cluster of [led(sync), given.cluster({ sync }), given.leaderless({ sync })])
      for (const synchronousMode of ['on', 'quorum', 'off'] as const)
        for (const synchronousModeStrict of [false, true])
          for (const stopping of [false, true])
            for (const lease of leases)
              for (const memory of memories)
                for (const postgres of [...servers, ...more]) {
                  const settings = given.settings({ synchronousMode, synchronousModeStrict });
                  const known = given.known(cluster);
                  const peers = [given.peer('n3', 5000)];
                  yield given.replica({
                    cluster: known,
                    settings,
                    stopping,
                    lease,
                    memory,
                    postgres,
                    peers,
                  });
                }
}

function* all(): Generator<Observation> {
  yield* situations();
  const unconfirmed = { leader: 'n3', timeline: 0, lsn: 1, count: 1 };
  for (const postgres of servers)
    yield given.leader({ postgres, cluster: given.known(given.cluster({ unconfirmed })) });
  const watchdogFailure = 'the watchdog /dev/watchdog cannot be used: EIO';
  for (const postgres of servers) yield given.leader({ postgres, watchdogFailure });
  for (const postgres of servers)
    yield given.contender({ postgres, peers: [given.peer('n3', 5001)] });
  yield* synchronousSituations();
}

const JOB_STEPS = new Set(['startJob']);

describe('every situation', () => {
  it('has a rule, a reason, at most one job, and steps that can be carried out', () => {
    const used = new Set<string>();
    let count = 0;
    for (const observation of all()) {
      const decision = decide(observation);
      count += 1;
      used.add(decision.rule);
      if (decision.rule === 'none') expect.fail(`no rule for ${JSON.stringify(observation)}`);
      if (decision.why === '') expect.fail(`${decision.rule} gives no reason`);
      if (!(decision.wakeInMs >= 0 && decision.wakeInMs <= 10_000))
        expect.fail(`${decision.rule} waits ${decision.wakeInMs} ms`);
      const begun = decision.steps.filter((step) => JOB_STEPS.has(step.do));
      const busy = observation.job !== null && observation.job.outcome === null;
      if (begun.length > (busy ? 0 : 1)) expect.fail(`${decision.rule} begins a second job (S9)`);
      const leads = decision.steps.some(
        (step) =>
          step.do === 'startJob' &&
          (step.job.kind === 'promote' ||
            ((step.job.kind === 'start' || step.job.kind === 'restart') &&
              step.job.as === 'primary')),
      );
      const wins = decision.steps.some((step) => step.do === 'campaign');
      if (
        leads &&
        !wins &&
        !(observation.lease.holdsLeaderKey && (observation.lease.deadline ?? 0) > observation.now)
      ) {
        expect.fail(`${decision.rule} makes a primary without a proven lease (S1)`);
      }
      const byOperator = ['paused.candidate', 'request.restart'].includes(decision.rule);
      if (leads && observation.settings.paused && !byOperator)
        expect.fail(`${decision.rule} promotes in pause`);
      if (leads && observation.postgres.interrupted !== null)
        expect.fail(`${decision.rule} starts a directory that is not whole (S7)`);
    }
    expect(count).toBeGreaterThan(100_000);
    const dead = rules.map((rule) => rule.id).filter((id) => !used.has(id));
    expect(dead).toEqual([]);
  }, 60_000);

  it('is decided the same way twice', () => {
    for (const postgres of servers) {
      const observation = given.replica({ postgres });
      expect(decide(observation)).toEqual(decide(structuredClone(observation)));
    }
  });

  it('names each rule once', () => {
    const ids = rules.map((rule) => rule.id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
