/**
 * The latest observation, decision and outcome. Everything that is shown (REST, member key, log)
 * is a view of it; nothing here asks anybody anything (rule F6).
 */
import type { Clock } from './clock.ts';
import type {
  ClusterView,
  Decision,
  GuardFacts,
  JobState,
  Known,
  MemberRecord,
  MemberRole,
  MemberState,
  Memory,
  PendingSetting,
  PostgresFacts,
  ScheduledRestart,
  WatchdogFacts,
} from './core/model.ts';
import { pendingReasons, scheduledFields } from './core/published.ts';
import type { Settings } from './core/settings.ts';
import type { LeaseKeeper } from './lease.ts';
import type { Measures } from './measures.ts';
import { PATRONI_PROTOCOL_VERSION, TENURE_VERSION } from './version.ts';

export interface Snapshot {
  /** Monotonic ms of now, from the agent's clock: deadlines below are compared with it. */
  readonly now: number;
  readonly scope: string;
  readonly name: string;
  readonly settings: Settings;
  /** Last view of the store that could be read, null before the first. */
  readonly cluster: ClusterView | null;
  /** Monotonic ms of the read behind `cluster`. */
  readonly clusterReadAt: number | null;
  /** Epoch seconds of the same, for `dcs_last_seen`. */
  readonly storeLastSeen: number | null;
  /** Null before the first observation. */
  readonly postgres: PostgresFacts | null;
  readonly state: MemberState;
  readonly role: MemberRole;
  readonly paused: boolean;
  /** Rule S1 deadline while this agent holds the leader key; null otherwise. */
  readonly leaderDeadline: number | null;
  readonly decision: Pick<Decision, 'rule' | 'why'> | null;
  readonly job: JobState | null;
  /** Monotonic ms when the next tick is due at the latest. */
  readonly nextTickDue: number;
  readonly pendingRestart: readonly PendingSetting[];
  readonly scheduledRestart: ScheduledRestart | null;
  /** A leader goes on without the store: this node, or one that it has agreed to (contract 5.4). */
  readonly failsafeActive: boolean;
  readonly systemIdentifier: string | null;
  readonly guard: GuardFacts;
  readonly watchdog: WatchdogFacts;
  /** Counts and times since this agent began; they go on changing. */
  readonly measures: Measures;
}

export interface StatusSource {
  /** The latest; never waits. */
  snapshot(): Snapshot;
}

/** What only readers of the member key itself care about. */
interface Published {
  readonly extra?: Readonly<Record<string, unknown>>;
}

export interface Identity {
  readonly scope: string;
  readonly name: string;
  readonly connUrl: string;
  readonly apiUrl: string;
  /** A pool or proxy in front of PostgreSQL, for clients; absent: none. */
  readonly proxyUrl?: string;
}

export class Status implements StatusSource {
  readonly #identity: Identity;
  readonly #clock: Clock;
  readonly #lease: Pick<LeaseKeeper, 'facts'>;
  readonly #job: () => JobState | null;
  readonly #guard: () => GuardFacts;
  readonly #watchdog: () => WatchdogFacts;
  readonly #scheduledRestart: () => ScheduledRestart | null;
  readonly #failsafe: () => boolean;
  readonly #measures: Measures;
  readonly #listeners = new Set<() => void>();
  #settings: Settings;
  #cluster: ClusterView | null = null;
  #clusterReadAt: number | null = null;
  #storeLastSeen: number | null = null;
  #postgres: PostgresFacts | null = null;
  #decision: Pick<Decision, 'rule' | 'why'> | null = null;
  #memory: Memory | null = null;
  #nextTickDue: number;
  #gone: string | null = null;
  #withdrawing = false;
  #goneAt: number | null = null;
  #seenSince = Number.NEGATIVE_INFINITY;

  constructor(
    identity: Identity,
    settings: Settings,
    sources: {
      readonly clock: Clock;
      readonly lease: Pick<LeaseKeeper, 'facts'>;
      readonly job: () => JobState | null;
      readonly guard: () => GuardFacts;
      readonly watchdog: () => WatchdogFacts;
      readonly scheduledRestart: () => ScheduledRestart | null;
      readonly failsafe: () => boolean;
      readonly measures: Measures;
    },
  ) {
    this.#identity = identity;
    this.#settings = settings;
    this.#clock = sources.clock;
    this.#lease = sources.lease;
    this.#job = sources.job;
    this.#guard = sources.guard;
    this.#watchdog = sources.watchdog;
    this.#scheduledRestart = sources.scheduledRestart;
    this.#failsafe = sources.failsafe;
    this.#measures = sources.measures;
    this.#nextTickDue = sources.clock.now();
  }

  set settings(settings: Settings) {
    this.#settings = settings;
  }

  /** This member asks not to be a synchronous standby, whatever its tags say (contract 5.12). */
  set withdrawing(withdrawing: boolean) {
    this.#withdrawing = withdrawing;
  }

  /** Calls `listener` whenever there may be something new to see; the returned function ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** A tick has looked. */
  looked(cluster: Known<ClusterView>, memory: Memory): void {
    if (cluster.known) {
      this.#cluster = cluster.value;
      this.#clusterReadAt = this.#clock.now();
      this.#storeLastSeen = Math.floor(this.#clock.wall().getTime() / 1000);
    }
    this.#memory = memory;
    this.changed();
  }

  /** Facts about the local server, from a look that began at `since` (monotonic ms). */
  sawPostgres(postgres: PostgresFacts, since: number): void {
    // A look that began before the server went may bring back what is over.
    if (this.#goneAt !== null && since < this.#goneAt) return;
    this.#postgres = postgres;
    this.#seenSince = since;
    this.#gone = null;
    this.#goneAt = null;
  }

  get apiUrl(): string {
    return this.#identity.apiUrl;
  }

  /** When the look began that the present facts about the local server come from, monotonic ms. */
  get seenSince(): number {
    return this.#seenSince;
  }

  decided(decision: Pick<Decision, 'rule' | 'why'>, nextTickDue: number): void {
    this.#decision = { rule: decision.rule, why: decision.why };
    this.#nextTickDue = nextTickDue;
    this.changed();
  }

  /** What was seen of the server is over; until it is looked at again nothing is known of it (field D7). */
  serverGone(why: string): void {
    this.#gone = why;
    this.#goneAt = this.#clock.now();
    this.changed();
  }

  snapshot(): Snapshot {
    const postgres = this.#facts();
    const lease = this.#lease.facts();
    const sql = postgres?.sql.known === true ? postgres.sql.value : null;
    return {
      now: this.#clock.now(),
      scope: this.#identity.scope,
      name: this.#identity.name,
      settings: this.#settings,
      cluster: this.#cluster,
      clusterReadAt: this.#clusterReadAt,
      storeLastSeen: this.#storeLastSeen,
      postgres,
      state: this.#state(postgres),
      role: this.#role(postgres),
      paused: this.#settings.paused,
      leaderDeadline: lease.holdsLeaderKey ? lease.deadline : null,
      decision: this.#decision,
      job: this.#job(),
      nextTickDue: this.#nextTickDue,
      pendingRestart: sql?.pendingRestart ?? [],
      scheduledRestart: this.#scheduledRestart(),
      failsafeActive: this.#failsafe(),
      systemIdentifier:
        sql?.systemIdentifier ??
        (postgres?.control.known === true ? postgres.control.value.systemIdentifier : null),
      guard: this.#guard(),
      watchdog: this.#watchdog(),
      measures: this.#measures,
    };
  }

  /** What `members/<name>` should say (contract 2.5). */
  record(checkpointDone: boolean): MemberRecord & Published {
    const now = this.snapshot();
    const sql = now.postgres?.sql.known === true ? now.postgres.sql.value : null;
    const received = sql === null ? null : Math.max(sql.receiveLsn ?? 0, sql.replayLsn ?? 0);
    const positive = (lsn: number | null): number | null =>
      lsn === null || lsn === 0 ? null : lsn;
    return {
      connUrl: this.#identity.connUrl,
      apiUrl: this.#identity.apiUrl,
      state: now.state,
      role: now.role,
      version: PATRONI_PROTOCOL_VERSION,
      checkpointAfterPromote: checkpointDone || now.role !== 'primary',
      tags: this.#withdrawing ? withdrawn(now.settings.tags) : now.settings.tags,
      pendingRestart: now.pendingRestart.length > 0,
      pendingRestartReason: pendingReasons(now.pendingRestart),
      scheduledRestart:
        now.scheduledRestart === null ? null : scheduledFields(now.scheduledRestart),
      position: sql === null ? null : sql.inRecovery ? positive(received) : sql.currentLsn,
      replayLsn: sql?.inRecovery === true ? positive(sql.replayLsn) : null,
      receiveLsn: sql?.inRecovery === true ? positive(sql.receiveLsn) : null,
      replicationState:
        sql?.inRecovery === true && sql.walReceiver?.status === 'streaming' ? 'streaming' : null,
      timeline: sql?.timeline ?? null,
      pause: now.paused,
      tenure: { version: TENURE_VERSION, incarnation: now.postgres?.incarnation ?? null },
      ...(this.#identity.proxyUrl && { extra: { proxy_url: this.#identity.proxyUrl } }),
    };
  }

  #facts(): PostgresFacts | null {
    const ends = this.#stopping() || this.#restarting() || this.#running()?.kind === 'reinitialize';
    const why = this.#gone ?? (ends ? 'PostgreSQL is being stopped' : null);
    if (this.#postgres === null || why === null) return this.#postgres;
    return { ...this.#postgres, ready: 'no answer', sql: { known: false, why } };
  }

  #stopping(): boolean {
    const job = this.#running();
    return job?.kind === 'stop' || (job?.kind === 'handover' && job.stoppingSince !== undefined);
  }

  /** From the stop on; while it still makes its checkpoint the server serves (appendix E). */
  #restarting(): boolean {
    const job = this.#running();
    return job?.kind === 'restart' && job.stoppingSince !== undefined;
  }

  #running(): JobState | null {
    const job = this.#job();
    return job !== null && job.outcome === null ? job : null;
  }

  #state(postgres: PostgresFacts | null): MemberState {
    const job = this.#running();
    if (job?.kind === 'bootstrap') return 'initializing new cluster';
    if (job?.kind === 'clone') return 'creating replica';
    if (job?.kind === 'reinitialize')
      return job.phase === 'stopping' ? 'stopping' : 'creating replica';
    if (this.#restarting()) return 'restarting';
    if (job?.kind === 'start') return 'starting';
    if (this.#stopping()) return 'stopping';
    if (postgres === null) return 'stopped';
    if (postgres.postmaster.kind === 'none') {
      const last = this.#memory?.failures.at(-1)?.kind;
      if (last === 'start') return 'start failed';
      if (last === 'restart') return 'restart failed';
      const wanted = this.#memory?.lastRole !== null && this.#memory !== null;
      const meant = ['stop', 'handover', 'reinitialize'].includes(this.#job()?.kind ?? '');
      return wanted && !meant ? 'crashed' : 'stopped';
    }
    if (this.#gone !== null) return 'crashed';
    return postgres.ready === 'rejecting' ? 'starting' : 'running';
  }

  #role(postgres: PostgresFacts | null): MemberRole {
    if (postgres === null) return 'uninitialized';
    if (postgres.sql.known) return postgres.sql.value.inRecovery ? 'replica' : 'primary';
    // A restart changes nothing but the process (appendix E).
    if (this.#restarting()) return this.#running()?.detail === 'as primary' ? 'primary' : 'replica';
    const { kind } = postgres.dataDirectory;
    if (kind === 'absent' || kind === 'empty' || postgres.interrupted !== null)
      return 'uninitialized';
    if (postgres.standbySignal) return this.#memory?.lastRole === 'primary' ? 'demoted' : 'replica';
    if (postgres.postmaster.kind === 'none')
      return this.#lease.facts().holdsLeaderKey ? 'primary' : 'demoted';
    return this.#memory?.lastRole ?? 'replica';
  }
}

/** As Patroni publishes it while a synchronous standby shuts down or restarts (contract 5.12). */
function withdrawn(tags: Settings['tags']): Settings['tags'] {
  const raw = { ...tags.raw, nosync: true, sync_priority: 0 };
  return { ...tags, nosync: true, syncPriority: 0, raw };
}
