/**
 * The running agent over given interfaces: loop, lease keeper, fence, jobs and status, connected.
 * It knows neither etcd nor PostgreSQL nor files; the daemon gives it the real ones, the simulator
 * its own.
 */
import { Act } from './act.ts';
import type { Clock } from './clock.ts';
import { isOurs, mayBeOurs, perhapsPrimary } from './core/belonging.ts';
import type { CallbackEvent } from './core/events.ts';
import type { ClusterView, JobState } from './core/model.ts';
import { parseScheduled } from './core/published.ts';
import type { Settings } from './core/settings.ts';
import { Failsafe } from './failsafe/failsafe.ts';
import { Fence } from './fence/fence.ts';
import type { Guard } from './fence/guard.ts';
import type { Watchdog } from './fence/watchdog.ts';
import { Jobs } from './jobs.ts';
import { LeaseKeeper } from './lease.ts';
import { type Exit, Loop } from './loop.ts';
import { Measures } from './measures.ts';
import { newMemory } from './memory.ts';
import type { NodeJournal } from './node-journal.ts';
import type { Seen } from './observe.ts';
import type { Peers } from './peers.ts';
import type { Postgres, ServerSettings } from './postgres/postgres.ts';
import { noScripts, type Scripts } from './postgres/scripts.ts';
import { Publisher } from './publish.ts';
import { Requests } from './requests.ts';
import { type Identity, Status } from './status.ts';
import type { Store } from './store/store.ts';
import { Telling } from './telling.ts';
import { twin } from './twin.ts';

export type Say = (
  level: 'debug' | 'info' | 'warning' | 'error' | 'critical',
  text: string,
) => void;

/** The configuration in force, wherever it comes from. */
export interface PolicySource {
  readonly settings: Settings;
  readonly server: ServerSettings;
  /** What becomes `/config` of a new cluster. */
  readonly initialConfig: Readonly<Record<string, unknown>>;
  /** True when something in force has changed with this view. */
  see(cluster: ClusterView): boolean;
}

export interface RuntimeOptions {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly store: Store;
  readonly postgres: Postgres;
  readonly peers: Peers;
  readonly journal: NodeJournal;
  readonly policy: PolicySource;
  /** Stops PostgreSQL when this process cannot. */
  readonly guard: Guard;
  /** Resets the machine when nothing else stops PostgreSQL; absent: none. */
  readonly watchdog?: Watchdog;
  /** The operator's own programs around promotions and stops; absent: none. */
  readonly scripts?: Scripts;
  /** Told of what becomes of PostgreSQL; returns at once. Absent: nobody is told. */
  readonly tell?: (event: CallbackEvent) => void;
  readonly say: Say;
  /** Where times and counts go; absent: into new ones. */
  readonly measures?: Measures;
  /** After every look that found this cluster's data directory. */
  readonly onSeen?: () => Promise<void>;
}

/** Beyond everything that bounds a tick, ms. */
const STUCK_AFTER_MS = 10_000;

/** A fresh look for peers is not repeated within this time, ms. */
const FRESH_MS = 50;

/** After new settings: for the server to have read them and to say which need a restart, ms. */
const SETTLED_MS = 250;

export class Runtime {
  readonly status: Status;
  readonly requests: Requests;
  readonly failsafe: Failsafe;
  readonly #options: RuntimeOptions;
  readonly #jobs: Jobs;
  readonly #lease: LeaseKeeper;
  readonly #fence: Fence;
  readonly #measures: Measures;
  #loop: Loop | null = null;
  #fresh: Promise<void> | null = null;
  #freshAt = Number.NEGATIVE_INFINITY;
  #stopRequested = false;
  /** No other daemon of this name was found when the store could first be read. */
  #unique = false;
  #problems: ReadonlySet<string> = new Set();
  readonly #telling: Telling;
  /** The policy in force has been applied. */
  #applied = false;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    const { clock, store, postgres, policy, identity, say } = options;
    this.#telling = new Telling((event) => options.tell?.(event));
    this.#measures = options.measures ?? new Measures();
    this.requests = new Requests((why) => this.hint(why));
    const onEnd = (job: JobState): void => {
      const ok = job.outcome?.ok !== false;
      this.#measures.worked(job);
      say(ok ? 'info' : 'warning', `${job.kind} ${job.detail}: ${job.outcome?.why ?? ''}`);
      this.hint(`${job.kind} has ended`);
    };
    this.#jobs = new Jobs(clock, onEnd, () => {
      this.status.changed();
      this.hint('PostgreSQL is being stopped');
    });
    this.#lease = new LeaseKeeper({
      store,
      clock,
      name: identity.name,
      log: say,
      onChange: (why) => this.hint(why),
      onDeadline: (deadline, ttlMs, proven) => {
        if (policy.settings.paused) return;
        if (proven) this.#fence.extend(deadline, ttlMs);
        else this.#fence.arm(deadline, ttlMs);
      },
      healthy: () => this.#healthy(),
      onMissed: () => {
        this.#measures.renewalsMissed += 1;
        this.failsafe.missed();
      },
      onSettled: () => this.failsafe.settled(),
      measures: this.#measures,
    });
    this.failsafe = new Failsafe({
      ...options,
      lease: this.#lease,
      settings: () => policy.settings,
      snapshot: () => this.status.snapshot(),
      healthy: () => this.#healthy(),
      hint: (why) => this.hint(why),
      log: say,
    });
    this.#fence = new Fence({
      clock,
      postgres,
      guard: options.guard,
      ...(options.watchdog && { watchdog: options.watchdog }),
      look: () => this.freshen(),
      mayTakeWrites: () => this.#mayTakeWrites(),
      log: say,
      onShot: (stage) => {
        this.status.serverGone(`stopped by the fence: ${stage}`);
        this.hint(`the fence acted: ${stage}`);
      },
    });
    const job = (): ReturnType<Status['snapshot']>['job'] => this.#jobs.state;
    this.status = new Status(identity, policy.settings, {
      clock,
      lease: this.#lease,
      job,
      guard: () => this.#fence.guard,
      watchdog: () => this.#fence.watchdog,
      scheduledRestart: () => this.requests.scheduled,
      failsafe: () => this.failsafe.active,
      measures: this.#measures,
    });
  }

  /**
   * The first look, before anything is begun or shown. A primary found running gets its time to be
   * proven: what its guard still gives it, or a new guard's (S8).
   * @throws GuardError there is no guard and none can be started
   */
  async lookFirst(): Promise<void> {
    const { clock, postgres, policy } = this.#options;
    this.failsafe.load();
    const inForce = await this.#fence.open();
    const startedAt = clock.now();
    const facts = await postgres.observe({ searchWalEnd: false });
    this.status.sawPostgres(facts, startedAt);
    const { ttlMs, retryTimeoutMs } = policy.settings;
    this.#lease.begin(
      ttlMs,
      retryTimeoutMs,
      perhapsPrimary(facts) ? (inForce ?? startedAt + retryTimeoutMs) : null,
    );
  }

  /** Ticks until told to stop, or until going on would be wrong. Never rejects for a known cause. */
  async run(): Promise<Exit> {
    const { store, postgres } = this.#options;
    const loop = this.#assemble();
    this.#loop = loop;
    postgres.onHint((why) => {
      this.status.serverGone(why);
      loop.hint(why);
    });
    const watch = store.watch((why) => {
      loop.hint(why);
      this.status.changed();
    });
    if (this.#stopRequested) loop.stop();
    try {
      return await loop.run();
    } finally {
      watch.stop();
      await this.failsafe.end();
      await this.#lease.end();
      this.#fence.close(this.status.snapshot().paused || !this.#mayTakeWrites());
    }
  }

  /** Look again. */
  hint(why: string): void {
    this.#loop?.hint(why);
  }

  /** What the guard has killed may not be shown as running. */
  guardShot(why: string): void {
    this.status.serverGone(why);
    this.hint(why);
  }

  /** SIGTERM, SIGINT. */
  stop(): void {
    this.#stopRequested = true;
    this.requests.close('this node is being stopped');
    this.#loop?.stop();
  }

  /** The policy has changed: tells every part that depends on it. False: not all could follow; to be repeated. */
  async applyPolicy(): Promise<boolean> {
    const { policy, store, postgres, say } = this.#options;
    const { settings, server } = policy;
    const resumed = this.status.snapshot().paused && !settings.paused;
    this.status.settings = settings;
    store.retryTimeoutMs = settings.retryTimeoutMs;
    // By then every deadline that was proven before is over (S3).
    store.forgetAfterMs = settings.ttlMs + settings.retryTimeoutMs;
    if (resumed) this.#endPause(settings);
    try {
      await this.#lease.configure(settings.ttlMs, settings.retryTimeoutMs);
      await postgres.configure(server);
      // A changed ttl has moved the leader key to a new lease: the next life must know it as its own.
      const { holdsLeaderKey, leaseId } = this.#lease.facts();
      if (holdsLeaderKey) await this.#options.journal.leading(leaseId);
      this.#telling.reloaded();
      return true;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      say('warning', `applying the configuration: ${text}`);
      return false;
    }
  }

  /**
   * The deadline is in force again, and perhaps no renewal follows that would arm the fence (S1).
   * One that passed during the pause was not in force: as after a start, leadership is to be proven.
   */
  #endPause({ ttlMs, retryTimeoutMs }: Settings): void {
    const now = this.#options.clock.now();
    const { deadline } = this.#lease.facts();
    const left = deadline !== null && deadline > now ? deadline - now : retryTimeoutMs;
    this.#fence.arm(now + left, ttlMs);
    this.#lease.hurry();
  }

  /** One look at PostgreSQL for all who ask at the same time: peers compare positions with it. */
  freshen(): Promise<void> {
    if (this.#options.clock.now() - this.#freshAt < FRESH_MS) return Promise.resolve();
    const fresh = this.#fresh ?? this.#lookAtPostgres();
    this.#fresh = fresh;
    return fresh;
  }

  #assemble(): Loop {
    const { identity, clock, store, postgres, peers, journal, policy, say } = this.#options;
    const { name } = identity;
    const { requests } = this;
    const { failsafe } = this;
    const fence = this.#fence;
    const common = {
      clock,
      lease: this.#lease,
      jobs: this.#jobs,
      journal,
      name,
      requests,
      failsafe,
      fence,
      measures: this.#measures,
    };
    const act = new Act({
      ...common,
      store,
      postgres,
      scripts: this.#options.scripts ?? noScripts,
      initialConfig: () => policy.initialConfig,
      log: say,
      onHistoryWritten: (timeline) => this.#loop?.historyWritten(timeline),
      onSyncWrite: (state) => this.#loop?.syncWrite(state),
      onNamesInForce: (names) => this.#loop?.namesInForce(names),
    });
    return new Loop({
      ...common,
      sources: { clock, store, postgres, peers },
      act,
      status: this.status,
      publisher: new Publisher({
        clock,
        store,
        lease: this.#lease,
        status: this.status,
        failsafe: failsafe.list,
        name,
      }),
      memory: newMemory(clock.now(), journal.node),
      settings: () => policy.settings,
      onSeen: (seen) => this.#onSeen(seen),
      log: say,
    });
  }

  /** What stops the daemon, null when nothing does. */
  async #onSeen({ cluster, postgres }: Pick<Seen, 'cluster' | 'postgres'>): Promise<string | null> {
    this.#telling.see(postgres, this.#jobs.state);
    if (!cluster.known) return null;
    const { identity, peers, policy, say } = this.#options;
    if (!this.#unique) {
      const duplicate = await twin(cluster.value, peers, identity.name, identity.apiUrl);
      if (duplicate !== null) return duplicate;
      this.#unique = true;
      this.#adoptSchedule(cluster.value);
    }
    for (const problem of cluster.value.problems) {
      if (!this.#problems.has(problem)) say('warning', problem);
    }
    this.#problems = new Set(cluster.value.problems);
    if (policy.see(cluster.value)) this.#applied = false;
    // A running server of another cluster must not get our configuration.
    if (!this.#applied && mayBeOurs(postgres, cluster.value)) {
      this.#applied = await this.applyPolicy();
      this.#options.clock.after(SETTLED_MS, () => this.hint('settings were applied'));
    }
    if (isOurs(postgres, cluster.value)) await this.#options.onSeen?.();
    return null;
  }

  /** A restart that was scheduled in an earlier life of this agent, for the server that still runs. */
  #adoptSchedule({ members }: ClusterView): void {
    const record = members.find(({ name }) => name === this.#options.identity.name);
    const plan = record?.scheduledRestart ? parseScheduled(record.scheduledRestart) : null;
    if (plan !== null && this.requests.schedule(plan))
      this.#options.say('info', `a restart is scheduled for ${plan.at}`);
  }

  /** A loop that is stuck decides nothing: its node must not keep the lease (rule F2). */
  #healthy(): boolean {
    const { clock, policy } = this.#options;
    if (this.#loop === null) return true;
    const { ttlMs, loopWaitMs, retryTimeoutMs } = policy.settings;
    const longest = loopWaitMs + 2 * retryTimeoutMs + ttlMs + STUCK_AFTER_MS;
    return clock.now() - this.#loop.lastTick < longest;
  }

  /** False only on proof: stopped, or in recovery with nothing under way that would change it. */
  #mayTakeWrites(): boolean {
    const { postgres, job } = this.status.snapshot();
    const running = job !== null && job.outcome === null;
    if (running && job.kind === 'promote') return true;
    const starts = job?.kind === 'start' || job?.kind === 'restart';
    if (running && starts && job.detail === 'as primary') return true;
    if (postgres === null) return true;
    // What was seen before the last work ended says nothing of what it left running.
    if (job !== null && job.outcome !== null && this.status.seenSince <= job.outcome.endedAt)
      return true;
    if (postgres.postmaster.kind === 'none' && postgres.orphans === 0) return false;
    return !(postgres.sql.known && postgres.sql.value.inRecovery);
  }

  async #lookAtPostgres(): Promise<void> {
    const since = this.#options.clock.now();
    try {
      const facts = await this.#options.postgres.observe({ searchWalEnd: false });
      this.status.sawPostgres(facts, since);
      this.#freshAt = this.#options.clock.now();
    } finally {
      this.#fresh = null;
    }
  }
}
