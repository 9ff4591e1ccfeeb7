/** The composition root: the configuration, and from it the real store, server and REST around the agent. */
import { ApiListenError } from './api/errors.ts';
import type { Operator } from './api/operator.ts';
import { startApi } from './api/server.ts';
import { type Clock, RealClock } from './clock.ts';
import { addressText } from './config/address.ts';
import {
  type Config,
  changedAtStartOnly,
  dynamicFaults,
  postgresOptions,
  restAccess,
  restOptions,
  storeOptions,
} from './config/index.ts';
import type { Settings } from './core/settings.ts';
import { endEarlier, recordDaemon } from './earlier.ts';
import { GuardError, noGuard } from './fence/guard.ts';
import { GuardKeeper } from './fence/guard-keeper.ts';
import { Journal } from './journal.ts';
import type { Exit } from './loop.ts';
import { HttpPeers } from './peers.ts';
import { Policy } from './policy.ts';
import { Callbacks } from './postgres/callbacks.ts';
import { LocalPostgres } from './postgres/local.ts';
import type { Log } from './postgres/options.ts';
import { localScripts } from './postgres/scripts.ts';
import type { ToolName } from './postgres/tools.ts';
import { Runtime, type Say } from './runtime.ts';
import { ClusterStore } from './store/cluster.ts';
import { EtcdKeyValueStore } from './store/etcd.ts';

export class Daemon {
  readonly #config: Config;
  readonly #say: Say;
  readonly #policy: Policy;
  readonly #postgres: LocalPostgres;
  readonly #store: ClusterStore;
  readonly #journal: Journal;
  readonly #runtime: Runtime;
  readonly #clock: Clock = new RealClock();
  readonly #peers = new HttpPeers(() => this.#access.credentials);
  #access: ReturnType<typeof restAccess>;

  /** @throws ConfigError a certificate cannot be read */
  constructor(config: Config, say: Say) {
    const clock = this.#clock;
    this.#config = config;
    this.#access = restAccess(config);
    this.#say = say;
    this.#policy = new Policy(config, say);
    const log: Log = (level, text) => say(level === 'warn' ? 'warning' : level, text);
    this.#postgres = new LocalPostgres({ ...postgresOptions(config), clock, log });
    this.#store = new ClusterStore(new EtcdKeyValueStore(storeOptions(config), clock), {
      namespace: config.namespace,
      scope: config.scope,
      clock,
      retryTimeoutMs: this.#policy.settings.retryTimeoutMs,
    });
    this.#journal = new Journal(config.tenure.state_dir, (text) => say('warning', text));
    if (config.tenure.guard === 'off')
      say(
        'warning',
        'tenure.guard is off: nothing stops PostgreSQL while the daemon is dead or stopped',
      );
    const { connect_address: server, proxy_address: proxy, database } = config.postgresql;
    const callbacks = new Callbacks({
      commands: () => this.#policy.scripts.callbacks,
      scope: config.scope,
      clock,
      log,
    });
    this.#runtime = new Runtime({
      identity: {
        scope: config.scope,
        name: config.name,
        connUrl: `postgres://${addressText(server)}/${database}`,
        ...(proxy && { proxyUrl: `postgres://${addressText(proxy)}/${database}` }),
        apiUrl: `http://${addressText(config.restapi.connect_address)}/patroni`,
      },
      clock,
      store: this.#store,
      postgres: this.#postgres,
      peers: this.#peers,
      journal: this.#journal,
      policy: this.#policy,
      guard: config.tenure.guard === 'off' ? noGuard : this.#guard(),
      tell: (event) => callbacks.tell(event),
      scripts: localScripts(() => this.#policy.scripts, clock, log),
      say,
      onSeen: () => this.#policy.saveCache(),
    });
  }

  #guard(): GuardKeeper {
    const { postgresql, tenure } = this.#config;
    return new GuardKeeper({
      clock: this.#clock,
      ward: {
        dataDir: postgresql.data_dir,
        stateDir: tenure.state_dir,
        commands: this.#postgres.commands,
      },
      log: this.#say,
      onShot: (why) => this.#runtime.guardShot(why),
    });
  }

  /**
   * Runs until told to stop or until going on would be wrong. Never rejects for a known cause.
   * @param onStarted called once nothing of the configuration keeps it from running
   */
  async run(onStarted: () => void = () => undefined): Promise<Exit> {
    await this.#journal.load();
    await this.#policy.loadCache();
    const earlier = await endEarlier(this.#config.tenure.state_dir, this.#clock, this.#peers);
    if (earlier.kind === 'healthy') return { code: 1, message: earlier.why };
    if (earlier.kind === 'ended') this.#say('warning', earlier.why);
    const missing = await this.#postgres.missingTools(neededTools(this.#policy.settings));
    if (missing.length > 0) return { code: 1, message: missing.join('; ') };
    // A second daemon on this address must find that out before it touches anything.
    const { host, port } = restOptions(this.#config).listen;
    let api: Awaited<ReturnType<typeof startApi>>;
    try {
      api = await startApi({
        status: this.#runtime.status,
        host,
        port,
        freshen: () => this.#runtime.freshen(),
        operator: this.#operator(),
        onError: (error) => this.#say('error', `REST: ${String(error)}`),
      });
    } catch (error) {
      if (!(error instanceof ApiListenError)) throw error;
      return { code: 1, message: error.message };
    }
    try {
      await this.#runtime.lookFirst();
      await recordDaemon(this.#config.tenure.state_dir, this.#runtime.status.apiUrl);
      onStarted();
      return await this.#runtime.run();
    } catch (error) {
      if (!(error instanceof GuardError)) throw error;
      return { code: 1, message: error.message };
    } finally {
      await api.close();
      await this.#postgres.close();
      this.#store.close();
    }
  }

  /** What requests over REST may do. */
  #operator(): Operator {
    const { requests, status } = this.#runtime;
    return {
      clock: this.#clock,
      store: this.#store,
      peers: this.#peers,
      requests,
      snapshot: () => status.snapshot(),
      onChange: (listener) => status.onChange(listener),
      hint: (why) => this.#runtime.hint(why),
      checkConfig: (before, after, { members }) => {
        const patroni = members.filter((member) => member.tenure === null && member.leaseId);
        const names = patroni.map(({ name }) => name).filter((name) => name !== this.#config.name);
        return dynamicFaults(before, after, names);
      },
      agree: (request) => this.#runtime.failsafe.agree(request),
      reload: () => process.kill(process.pid, 'SIGHUP'),
      access: () => this.#access,
    };
  }

  /** SIGTERM, SIGINT. */
  stop(): void {
    this.#runtime.stop();
  }

  /** SIGHUP with a local file that could be read. */
  async reload(config: Config): Promise<void> {
    const later = changedAtStartOnly(this.#config, config);
    if (later.length > 0)
      this.#say('warning', `in force from the next start of the daemon on: ${later.join(', ')}`);
    this.#policy.reload(config);
    this.#access = restAccess(config);
    await this.#runtime.applyPolicy();
    this.#runtime.hint('reload');
  }
}

/** Everything that may have to be run later. A failover is no time to find out that it is not there. */
function neededTools(settings: Settings): readonly ToolName[] {
  return [
    'postgres',
    'pg_controldata',
    'pg_waldump',
    'pg_basebackup',
    ...(settings.mayBootstrap ? (['initdb'] as const) : []),
    ...(settings.usePgRewind ? (['pg_rewind'] as const) : []),
  ];
}
