/** Observations for tests of the core: a healthy cluster of three, to be bent in one place at a time. */
import type {
  ClusterView,
  ControlFile,
  JobState,
  LeaseFacts,
  Member,
  Memory,
  Observation,
  PeerFacts,
  PostgresFacts,
  SqlFacts,
  UpstreamFacts,
} from '../../src/core/model.ts';
import type { Settings, Tags } from '../../src/core/settings.ts';
import { DISK_HEARD, HEARD } from '../../src/core/silence.ts';
import { NO_STREAMING } from '../../src/core/streaming.ts';

export const SYSTEM = '7710215941031662088';
export const NOW = 1_000_000;
/** 2026-12-01T03:00:00Z */
export const WALL_NOW = 1_796_094_000_000;

export const plainTags: Tags = {
  nofailover: false,
  failoverPriority: 1,
  noloadbalance: false,
  clonefrom: false,
  nostream: false,
  nosync: false,
  syncPriority: 1,
  replicatefrom: null,
  raw: {},
};

export const settings = (change: Partial<Settings> = {}): Settings => ({
  ttlMs: 30_000,
  loopWaitMs: 10_000,
  retryTimeoutMs: 10_000,
  maximumLagOnFailover: 1_048_576,
  checkTimeline: false,
  primaryStartTimeoutMs: 300_000,
  primaryStopTimeoutMs: 0,
  maximumTimelinesHistory: 0,
  memberSlotsTtlMs: 1_800_000,
  permanentSlots: [],
  ignoreSlots: [],
  useSlots: true,
  usePgRewind: true,
  removeDataDirectoryOnRewindFailure: false,
  removeDataDirectoryOnDivergedTimelines: false,
  paused: false,
  synchronousMode: 'off',
  synchronousModeStrict: false,
  synchronousNodeCount: 1,
  maximumLagOnSyncnode: -1,
  userSynchronousStandbyNames: '',
  standbyCluster: false,
  failsafeMode: false,
  failsafeTimeoutMs: 2000,
  tags: plainTags,
  mayBootstrap: true,
  ...change,
});

const port = (name: string): number => 5430 + Number(name.replace(/\D/g, '') || 0);

export const member = (name: string, change: Partial<Member> = {}): Member => ({
  name,
  leaseId: `lease-${name}`,
  modRevision: 1,
  connUrl: `postgres://127.0.0.1:${port(name)}/postgres`,
  apiUrl: `http://127.0.0.1:${port(name) + 1000}/patroni`,
  state: 'running',
  role: 'replica',
  version: '4.1.4',
  checkpointAfterPromote: true,
  tags: plainTags,
  pendingRestart: false,
  pendingRestartReason: null,
  scheduledRestart: null,
  position: 5000,
  replayLsn: 5000,
  receiveLsn: 5000,
  replicationState: 'streaming',
  timeline: 1,
  pause: false,
  tenure: { version: '0.1.0', incarnation: null },
  ...change,
});

/** n1 leads, n2 and n3 follow, timeline 1. */
export const cluster = (change: Partial<ClusterView> = {}): ClusterView => ({
  revision: 100,
  initialize: { kind: 'initialized', systemIdentifier: SYSTEM, modRevision: 2 },
  leader: { name: 'n1', leaseId: 'lease-n1', createRevision: 5, modRevision: 5 },
  members: [member('n1', { role: 'primary', replicationState: null }), member('n2'), member('n3')],
  config: { kind: 'valid', values: { ttl: 30 }, modRevision: 3 },
  status: { optime: 5000, slots: { n1: 5000, n2: 5000, n3: 5000 }, retainSlots: [] },
  history: [],
  failover: null,
  sync: null,
  failsafe: null,
  timelines: { claims: [[1, 'n1']], modRevision: 5 },
  handover: null,
  unconfirmed: null,
  problems: [],
  ...change,
});

/** The same after the leader is gone, lease and member key with it. */
export const leaderless = (change: Partial<ClusterView> = {}): ClusterView =>
  cluster({ leader: null, members: [member('n2'), member('n3')], ...change });

export const control = (change: Partial<ControlFile> = {}): ControlFile => ({
  systemIdentifier: SYSTEM,
  state: 'in production',
  timeline: 1,
  checkpointLsn: 4000,
  redoLsn: 4000,
  minRecoveryEndLsn: 0,
  minRecoveryEndTimeline: 0,
  dataChecksums: true,
  walLogHints: true,
  ...change,
});

const slot = (name: string) => ({
  name,
  type: 'physical' as const,
  active: true,
  restartLsn: 5000,
});

export const primarySql = (change: Partial<SqlFacts> = {}): SqlFacts => ({
  inRecovery: false,
  serverVersion: 150020,
  systemIdentifier: SYSTEM,
  postmasterStartTime: '2026-11-20 11:35:41.199757+00:00',
  timeline: 1,
  currentLsn: 5000,
  receiveLsn: null,
  replayLsn: null,
  replayTimestamp: null,
  replayPaused: false,
  walReceiver: null,
  walSenders: [],
  slots: ['n1', 'n2', 'n3'].map(slot),
  follows: false,
  synchronousStandbyNames: '',
  commitsWait: false,
  waitingCommits: [],
  pendingRestart: [],
  ...change,
});

export const standbySql = (leader = 'n1', change: Partial<SqlFacts> = {}): SqlFacts =>
  primarySql({
    inRecovery: true,
    currentLsn: null,
    follows: true,
    receiveLsn: 5000,
    replayLsn: 5000,
    walReceiver: {
      status: 'streaming',
      timeline: 1,
      host: '127.0.0.1',
      port: port(leader),
      slotName: 'n2',
      latestEndLsn: 5000,
    },
    ...change,
  });

const alive = { kind: 'alive', pid: 100, startTicks: 1, adopted: false } as const;
const known = <T>(value: T): { known: true; value: T } => ({ known: true, value });
export const unknown = (why: string): { known: false; why: string } => ({ known: false, why });

export const running = (sql: SqlFacts, change: Partial<PostgresFacts> = {}): PostgresFacts => ({
  dataDirectory: { kind: 'cluster', majorVersion: 15 },
  control: known(
    control({
      state: sql.inRecovery ? 'in archive recovery' : 'in production',
      timeline: sql.timeline ?? 1,
    }),
  ),
  standbySignal: sql.inRecovery,
  postmaster: alive,
  orphans: 0,
  ready: 'accepting',
  sql: known(sql),
  interrupted: null,
  incarnation: 'i1',
  walEnd: unknown('running'),
  ...change,
});

/** Stopped; `state` is what pg_control says. */
export const stopped = (
  state: ControlFile['state'],
  change: Partial<PostgresFacts> = {},
): PostgresFacts =>
  running(primarySql(), {
    control: known(control({ state })),
    postmaster: { kind: 'none' },
    ready: 'no answer',
    sql: unknown('stopped'),
    walEnd: known({ timeline: 1, lsn: 5000 }),
    ...change,
  });

export const emptyDirectory = (change: Partial<PostgresFacts> = {}): PostgresFacts =>
  stopped('unrecognized', {
    dataDirectory: { kind: 'empty' },
    control: unknown('empty'),
    incarnation: null,
    ...change,
  });

export const memory = (change: Partial<Memory> = {}): Memory => ({
  startedAt: 0,
  lastLeader: { name: 'n1', leaseId: 'lease-n1', tenure: true },
  leaderlessSince: null,
  memberSince: 0,
  primaryDownSince: null,
  lastRole: null,
  failures: [],
  promotedHere: [],
  formerLeaseId: null,
  historyWrittenFor: null,
  notStreamingSince: null,
  postmaster: null,
  crashes: [],
  failedHandover: null,
  streaming: NO_STREAMING,
  silence: HEARD,
  diskSilence: DISK_HEARD,
  promotionRefused: null,
  withdrawingSince: null,
  memberSlots: {},
  ...change,
});

export const ownLease = (name: string, change: Partial<LeaseFacts> = {}): LeaseFacts => ({
  leaseId: `lease-${name}`,
  holdsLeaderKey: false,
  leaderModRevision: null,
  deadline: null,
  ...change,
});

export const leaderLease = (change: Partial<LeaseFacts> = {}): LeaseFacts =>
  ownLease('n1', { holdsLeaderKey: true, leaderModRevision: 5, deadline: NOW + 25_000, ...change });

export const peer = (
  name: string,
  position: number,
  change: Partial<Extract<PeerFacts['answer'], { known: true }>['value']> = {},
): PeerFacts => ({
  name,
  answer: known({
    inRecovery: true,
    position,
    timeline: 1,
    tags: plainTags,
    watchdogFailed: false,
    receiving: false,
    ...change,
  }),
});

export const silent = (name: string): PeerFacts => ({
  name,
  answer: unknown('no answer in 2000 ms'),
});

export const upstream = (change: Partial<UpstreamFacts> = {}): UpstreamFacts => ({
  name: 'n1',
  systemIdentifier: SYSTEM,
  timeline: 1,
  lsn: 5000,
  history: [],
  inRecovery: false,
  ...change,
});

export const ended = (kind: JobState['kind'], ok: boolean, detail = '', why = ''): JobState => ({
  kind,
  detail,
  phase: '',
  startedAt: NOW - 100,
  outcome: { ok, why, endedAt: NOW - 50 },
});

/** n2, a healthy replica of n1. */
export const replica = (change: Partial<Observation> = {}): Observation => ({
  now: NOW,
  wallNow: WALL_NOW,
  name: 'n2',
  settings: settings(),
  cluster: known(cluster()),
  postgres: running(standbySql()),
  lease: ownLease('n2'),
  peers: [],
  upstream: unknown('not asked'),
  vanishedLeaseMs: known(0),
  job: null,
  request: null,
  scheduledRestart: null,
  promise: null,
  stopping: false,
  watchdogFailure: null,
  memory: memory({ lastRole: 'replica' }),
  ...change,
});

/** n1, the healthy leader. */
export const leader = (change: Partial<Observation> = {}): Observation =>
  replica({
    name: 'n1',
    postgres: running(primarySql()),
    lease: leaderLease(),
    memory: memory({ lastRole: 'primary', historyWrittenFor: 1 }),
    ...change,
  });

/** n2 after n1 is gone: lease over, nobody leads, n3 answers. */
export const contender = (change: Partial<Observation> = {}): Observation =>
  replica({
    cluster: known(leaderless()),
    peers: [peer('n3', 5000)],
    memory: memory({ lastRole: 'replica', leaderlessSince: NOW - 100 }),
    ...change,
  });

export { known };
