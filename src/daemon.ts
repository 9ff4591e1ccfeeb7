/**
 * The composition root: configuration → objects → loop. Nothing is decided here, everything is
 * connected here.
 */

import { Act } from './act.ts';
import { ApiListenError } from './api/errors.ts';
import { startApi } from './api/server.ts';
import { type Clock, RealClock } from './clock.ts';
import { addressText } from './config/address.ts';
import { type Config, postgresOptions, restOptions, storeOptions } from './config/index.ts';
import type { ClusterView, Known, PostgresFacts } from './core/model.ts';
import { SelfFence } from './fence/self-fence.ts';
import { Jobs } from './jobs.ts';
import { Journal } from './journal.ts';
import { LeaseKeeper } from './lease.ts';
import { type Exit, Loop } from './loop.ts';
import { newMemory } from './memory.ts';
import { HttpPeers } from './peers.ts';
import { Policy } from './policy.ts';
import { LocalPostgres } from './postgres/local.ts';
import { Publisher } from './publish.ts';
import { Status } from './status.ts';
import { ClusterStore } from './store/cluster.ts';
import { EtcdKeyValueStore } from './store/etcd.ts';
import { twin } from './twin.ts';

export type Say = (
  level: 'debug' | 'info' | 'warning' | 'error' | 'critical',
  text: string,
) => void;

/** A fresh look for `GET /patroni` is not repeated within this time, ms. */
const FRESH_MS = 50;

export class Daemon {
  readonly #config: Config;
  readonly #say: Say;
  readonly #clock: Clock = new RealClock();
  readonly #policy: Policy;
  readonly #postgres: LocalPostgres;
  readonly #store: ClusterStore;
  readonly #peers = new HttpPeers();
  readonly #journal: Journal;
  readonly #jobs: Jobs;
  readonly #lease: LeaseKeeper;
  readonly #fence: SelfFence;
  readonly #status: Status;
  readonly #publisher: Publisher;
  #loop: Loop | null = null;
  #fresh: Promise<void> | null = null;
  #freshAt = 0;
  #stopRequested = false;
  /** No other daemon of this name was found when the store could first be read. */
  #unique = false;
  #problems: ReadonlySet<string> = new Set();

  constructor(config: Config, initialConfig: () => Readonly<Record<string, unknown>>, say: Say) {
    this.#config = config;
    this.#say = say;
    const clock = this.#clock;
    const name = config.name;
    this.#policy = new Policy(config, say);
    this.#postgres = new LocalPostgres({
      ...postgresOptions(config),
      clock,
      log: (level, text) => say(level === 'warn' ? 'warning' : level, text),
    });
    this.#store = new ClusterStore(new EtcdKeyValueStore(storeOptions(config), clock), {
      namespace: config.namespace,
      scope: config.scope,
      clock,
      retryTimeoutMs: this.#policy.settings.retryTimeoutMs,
    });
    this.#journal = new Journal(config.tenure.state_dir, (text) => say('warning', text));
    this.#jobs = new Jobs(clock, (job) => {
      say(
        job.outcome?.ok === false ? 'warning' : 'info',
        `${job.kind} ${job.detail}: ${job.outcome?.why ?? ''}`,
      );
      this.#loop?.hint(`${job.kind} has ended`);
    });
    this.#lease = new LeaseKeeper({
      store: this.#store,
      clock,
      name,
      log: say,
      onChange: (why) => this.#loop?.hint(why),
      onDeadline: (deadline, ttlMs) => {
        if (!this.#policy.settings.paused) this.#fence.arm(deadline, ttlMs);
      },
      healthy: () => true,
    });
    this.#fence = new SelfFence({
      clock,
      postgres: this.#postgres,
      mayTakeWrites: () => this.#mayTakeWrites(),
      log: say,
      onShot: (stage) => {
        this.#status.serverGone(`stopped by the fence: ${stage}`);
        this.#loop?.hint(`the fence acted: ${stage}`);
      },
    });
    const identity = {
      scope: config.scope,
      name,
      connUrl: `postgres://${addressText(config.postgresql.connect_address)}/${config.postgresql.database}`,
      apiUrl: `http://${addressText(config.restapi.connect_address)}/patroni`,
    };
    this.#status = new Status(identity, this.#policy.settings, {
      clock,
      lease: this.#lease,
      job: () => this.#jobs.state,
    });
    this.#publisher = new Publisher({
      clock,
      store: this.#store,
      lease: this.#lease,
      status: this.#status,
      name,
    });
    this.#initialConfig = initialConfig;
  }

  readonly #initialConfig: () => Readonly<Record<string, unknown>>;

  /** Runs until told to stop or until going on would be wrong. Never rejects for a known cause. */
  async run(): Promise<Exit> {
    const clock = this.#clock;
    const startedAt = clock.now();
    const disk = await this.#journal.load();
    await this.#policy.loadCache();
    const first = await this.#postgres.observe({ searchWalEnd: false });
    this.#status.sawPostgres(first, startedAt);
    const grace = runsAsPrimary(first) ? startedAt + this.#policy.settings.retryTimeoutMs : null;
    const rest = restOptions(this.#config).listen;
    let api: Awaited<ReturnType<typeof startApi>>;
    try {
      api = await startApi({
        status: this.#status,
        host: rest.host,
        port: rest.port,
        freshen: () => this.#freshen(),
        onError: (error) => this.#say('error', `REST: ${String(error)}`),
      });
    } catch (error) {
      if (!(error instanceof ApiListenError)) throw error;
      return { code: 1, message: error.message };
    }
    // A primary found running has this long to be proven; then it is stopped (rule S8).
    this.#lease.begin(this.#policy.settings.ttlMs, this.#policy.settings.retryTimeoutMs, grace);
    try {
      await this.#postgres.configure(this.#policy.server);
      return await this.#serve(startedAt, disk);
    } finally {
      await this.#close(api);
    }
  }

  /** SIGTERM, SIGINT. */
  stop(): void {
    this.#stopRequested = true;
    this.#loop?.stop();
  }

  /** SIGHUP with a local file that could be read. */
  async reload(config: Config): Promise<void> {
    this.#policy.reload(config);
    await this.#applyPolicy();
    this.#loop?.hint('reload');
  }

  #serve(
    startedAt: number,
    disk: { readonly promotedHere: readonly number[]; readonly leaseId: string | null },
  ): Promise<Exit> {
    const common = {
      clock: this.#clock,
      lease: this.#lease,
      jobs: this.#jobs,
      journal: this.#journal,
      name: this.#config.name,
    };
    const act = new Act({
      ...common,
      store: this.#store,
      postgres: this.#postgres,
      initialConfig: this.#initialConfig,
      log: this.#say,
      onHistoryWritten: (timeline) => this.#loop?.historyWritten(timeline),
      onPromoted: () => undefined,
    });
    const loop = new Loop({
      ...common,
      sources: {
        clock: this.#clock,
        store: this.#store,
        postgres: this.#postgres,
        peers: this.#peers,
      },
      fence: this.#fence,
      act,
      status: this.#status,
      publisher: this.#publisher,
      memory: newMemory(startedAt, disk),
      settings: () => this.#policy.settings,
      onSeen: (seen) => this.#onSeen(seen.cluster),
      log: this.#say,
    });
    this.#loop = loop;
    this.#postgres.onHint((why) => {
      this.#status.serverGone(why);
      loop.hint(why);
    });
    const watch = this.#store.watch((why) => loop.hint(why));
    if (this.#stopRequested) loop.stop();
    return loop.run().finally(() => watch.stop());
  }

  /** What stops the daemon, null when nothing does. */
  async #onSeen(cluster: Known<ClusterView>): Promise<string | null> {
    if (!cluster.known) return null;
    if (!this.#unique) {
      const duplicate = await twin(
        cluster.value,
        this.#peers,
        this.#config.name,
        this.#status.record(true).apiUrl,
      );
      if (duplicate !== null) return duplicate;
      this.#unique = true;
    }
    for (const problem of cluster.value.problems) {
      if (!this.#problems.has(problem)) this.#say('warning', problem);
    }
    this.#problems = new Set(cluster.value.problems);
    if (this.#policy.see(cluster.value)) await this.#applyPolicy();
    await this.#policy.saveCache();
    return null;
  }

  async #applyPolicy(): Promise<void> {
    const { settings, server } = this.#policy;
    this.#status.settings = settings;
    this.#store.retryTimeoutMs = settings.retryTimeoutMs;
    try {
      await this.#lease.configure(settings.ttlMs, settings.retryTimeoutMs);
      await this.#postgres.configure(server);
    } catch (error) {
      this.#say(
        'warning',
        `applying the configuration: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  /** False only on proof: stopped, or in recovery with nothing under way that would change it. */
  #mayTakeWrites(): boolean {
    const { postgres, job } = this.#status.snapshot();
    const running = job !== null && job.outcome === null;
    if (
      running &&
      (job.kind === 'promote' || (job.kind === 'start' && job.detail === 'as primary'))
    )
      return true;
    if (postgres === null) return true;
    if (postgres.postmaster.kind === 'none' && postgres.orphans === 0) return false;
    return !(postgres.sql.known && postgres.sql.value.inRecovery);
  }

  /** One look at PostgreSQL for all who ask at the same time: peers compare positions with it. */
  #freshen(): Promise<void> {
    if (this.#clock.now() - this.#freshAt < FRESH_MS) return Promise.resolve();
    const fresh = this.#fresh ?? this.#lookAtPostgres();
    this.#fresh = fresh;
    return fresh;
  }

  async #lookAtPostgres(): Promise<void> {
    const since = this.#clock.now();
    const facts = await this.#postgres.observe({ searchWalEnd: false });
    this.#status.sawPostgres(facts, since);
    this.#freshAt = this.#clock.now();
    this.#fresh = null;
  }

  async #close(api: { close(): Promise<void> }): Promise<void> {
    await api.close();
    await this.#lease.end();
    await this.#postgres.close();
    this.#store.close();
  }
}

function runsAsPrimary(facts: PostgresFacts): boolean {
  if (facts.postmaster.kind === 'none') return facts.orphans > 0;
  if (facts.sql.known) return !facts.sql.value.inRecovery;
  return !facts.standbySignal;
}
