/** Snapshots of the cluster behind `fixtures/`: n1 leads, n2 and n3 stream, n3 is synchronous. */
import type {
  ClusterView,
  ControlFile,
  Member,
  PostgresFacts,
  SqlFacts,
  WalSenderFacts,
} from '../../src/core/model.ts';
import type { Settings, Tags } from '../../src/core/settings.ts';
import { Measures } from '../../src/measures.ts';
import type { Snapshot } from '../../src/status.ts';

export const NOW = 1_000_000;
export const SYSTEM_IDENTIFIER = '7710215941031662088';
const OPTIME = 67236192;
const POSITION = 67508992;

export const tags = (raw: Record<string, unknown> = {}): Tags => ({
  nofailover: raw.nofailover === true,
  failoverPriority: 1,
  noloadbalance: raw.noloadbalance === true,
  clonefrom: raw.clonefrom === true,
  nostream: raw.nostream === true,
  replicatefrom: null,
  nosync: false,
  syncPriority: 1,
  raw,
});

export const settings = (change: Partial<Settings> = {}): Settings => ({
  ttlMs: 30_000,
  loopWaitMs: 10_000,
  retryTimeoutMs: 10_000,
  maximumLagOnFailover: 1048576,
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
  synchronousMode: 'on',
  synchronousModeStrict: false,
  synchronousNodeCount: 1,
  maximumLagOnSyncnode: -1,
  userSynchronousStandbyNames: '',
  standbyCluster: false,
  failsafeMode: false,
  failsafeTimeoutMs: 2000,
  tags: tags(),
  mayBootstrap: true,
  ...change,
});

export const member = (name: string, change: Partial<Member> = {}): Member => ({
  name,
  leaseId: '1',
  modRevision: 1,
  connUrl: `postgres://127.0.0.1:560${name.slice(1)}/postgres`,
  apiUrl: `http://127.0.0.1:570${name.slice(1)}/patroni`,
  state: 'running',
  role: 'replica',
  version: '4.1.4',
  checkpointAfterPromote: true,
  tags: tags(),
  pendingRestart: false,
  pendingRestartReason: null,
  scheduledRestart: null,
  position: POSITION,
  replayLsn: POSITION,
  receiveLsn: POSITION,
  replicationState: 'streaming',
  timeline: 1,
  pause: false,
  tenure: null,
  ...change,
});

export const view = (change: Partial<ClusterView> = {}): ClusterView => ({
  revision: 10,
  initialize: { kind: 'initialized', systemIdentifier: SYSTEM_IDENTIFIER, modRevision: 2 },
  leader: { name: 'n1', leaseId: '1', createRevision: 3, modRevision: 3 },
  members: [
    member('n1', {
      role: 'primary',
      position: OPTIME,
      replayLsn: null,
      receiveLsn: null,
      replicationState: null,
    }),
    member('n2'),
    member('n3'),
  ],
  config: { kind: 'valid', values: { synchronous_mode: true }, modRevision: 4 },
  status: { optime: OPTIME, slots: {}, retainSlots: [] },
  history: [],
  failover: null,
  failsafe: null,
  sync: { leader: 'n1', standbys: ['n3'], quorum: 0, modRevision: 5 },
  timelines: null,
  handover: null,
  unconfirmed: null,
  problems: [],
  ...change,
});

const control: ControlFile = {
  systemIdentifier: SYSTEM_IDENTIFIER,
  state: 'in production',
  timeline: 1,
  checkpointLsn: OPTIME,
  redoLsn: OPTIME,
  minRecoveryEndLsn: 0,
  minRecoveryEndTimeline: 0,
  dataChecksums: false,
  walLogHints: true,
};

const sender = (applicationName: string, change: Partial<WalSenderFacts>): WalSenderFacts => ({
  pid: 1,
  applicationName,
  userName: 'replicator',
  clientAddress: '127.0.0.1',
  state: 'streaming',
  syncState: 'async',
  syncPriority: 0,
  flushLsn: POSITION,
  slotName: 'n2',
  startedAt: '',
  ...change,
});

export const primarySql = (change: Partial<SqlFacts> = {}): SqlFacts => ({
  inRecovery: false,
  serverVersion: 150020,
  systemIdentifier: SYSTEM_IDENTIFIER,
  postmasterStartTime: '2026-11-20 11:35:41.199757+00:00',
  timeline: 1,
  currentLsn: POSITION,
  receiveLsn: null,
  replayLsn: null,
  replayTimestamp: null,
  replayPaused: false,
  walReceiver: null,
  walSenders: [sender('n3', { syncState: 'sync', syncPriority: 1 }), sender('n2', {})],
  slots: [],
  follows: false,
  synchronousStandbyNames: '',
  commitsWait: false,
  waitingCommits: [],
  pendingRestart: [],
  ...change,
});

export const replicaSql = (change: Partial<SqlFacts> = {}): SqlFacts => ({
  ...primarySql(),
  inRecovery: true,
  postmasterStartTime: '2026-11-20 11:35:43.302330+00:00',
  currentLsn: null,
  receiveLsn: POSITION,
  replayLsn: POSITION,
  replayTimestamp: '2026-11-20 11:37:01.512356+00:00',
  walReceiver: {
    status: 'streaming',
    timeline: 1,
    host: '127.0.0.1',
    port: 5601,
    slotName: 'n2',
    latestEndLsn: POSITION,
  },
  walSenders: [],
  ...change,
});

export const postgres = (sql: SqlFacts, change: Partial<PostgresFacts> = {}): PostgresFacts => ({
  dataDirectory: { kind: 'cluster', majorVersion: 15 },
  control: { known: true, value: control },
  standbySignal: sql.inRecovery,
  postmaster: { kind: 'alive', pid: 100, startTicks: 1, adopted: false },
  orphans: 0,
  ready: 'accepting',
  sql: { known: true, value: sql },
  interrupted: null,
  incarnation: null,
  walEnd: { known: false, why: 'running' },
  ...change,
});

/** n1: the leader, proven for another 20 s. */
export const primary = (change: Partial<Snapshot> = {}): Snapshot => ({
  now: NOW,
  scope: 'bench',
  name: 'n1',
  settings: settings(),
  cluster: view(),
  clusterReadAt: NOW - 1_000,
  storeLastSeen: 1795174631,
  postgres: postgres(primarySql()),
  state: 'running',
  role: 'primary',
  paused: false,
  leaderDeadline: NOW + 20_000,
  decision: { rule: 'lead.hold', why: 'the lease is proven' },
  job: null,
  nextTickDue: NOW + 9_000,
  pendingRestart: [],
  scheduledRestart: null,
  failsafeActive: false,
  systemIdentifier: SYSTEM_IDENTIFIER,
  guard: { state: 'armed', pid: 7 },
  watchdog: { state: 'off', failure: null },
  measures: new Measures(),
  ...change,
});

/** n2: an asynchronous replica. */
export const replica = (change: Partial<Snapshot> = {}): Snapshot => ({
  ...primary(),
  name: 'n2',
  postgres: postgres(replicaSql()),
  role: 'replica',
  leaderDeadline: null,
  decision: { rule: 'follow.leader', why: 'n1 leads' },
  ...change,
});
