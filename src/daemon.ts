/** The composition root: the configuration, and from it the real store, server and REST around the agent. */
import { isDeepStrictEqual } from 'node:util';
import { ApiListenError } from './api/errors.ts';
import type { Operator } from './api/operator.ts';
import { type ApiServer, startApi } from './api/server.ts';
import { type Clock, RealClock } from './clock.ts';
import { addressText } from './config/address.ts';
import {
  apiUrl,
  type Config,
  changedAtStartOnly,
  dynamicFaults,
  peerCredentials,
  postgresOptions,
  readTls,
  restAccess,
  restHeaders,
  restOptions,
  type TlsInForce,
  watchdogOptions,
} from './config/index.ts';
import type { Settings } from './core/settings.ts';
import { endEarlier, recordDaemon } from './earlier.ts';
import { GuardError, noGuard } from './fence/guard.ts';
import { GuardKeeper } from './fence/guard-keeper.ts';
import { noWatchdog, type Watchdog } from './fence/watchdog.ts';
import { linuxWatchdog, testingWatchdog } from './fence/watchdog-device.ts';
import { WatchdogKeeper } from './fence/watchdog-keeper.ts';
import { Journal } from './journal.ts';
import type { Exit } from './loop.ts';
import { Measures } from './measures.ts';
import { HttpPeers, type PeerAccess } from './peers.ts';
import { Policy } from './policy.ts';
import { Callbacks } from './postgres/callbacks.ts';
import { LocalPostgres, readUsers } from './postgres/local.ts';
import type { Log } from './postgres/options.ts';
import { toolCounts } from './postgres/run.ts';
import { localScripts } from './postgres/scripts.ts';
import type { ToolName } from './postgres/tools.ts';
import { Runtime, type Say } from './runtime.ts';
import { ClusterStore } from './store/cluster.ts';
import { EtcdKeyValueStore } from './store/etcd.ts';

/** For an answer of our own, ms. */
const OURSELVES_MS = 2000;

/** What requests to this member and from it to others need; another one after a reload. */
interface Access {
  readonly rest: ReturnType<typeof restAccess> & { readonly clientCertificates: boolean };
  readonly headers: Readonly<Record<string, string>>;
  readonly peers: PeerAccess;
}

function accessOf(config: Config, tls: TlsInForce): Access {
  const clientCertificates = tls.rest !== null && tls.rest.verifyClient !== 'none';
  return {
    rest: { ...restAccess(config), clientCertificates },
    headers: restHeaders(config, tls.rest !== null),
    peers: { credentials: peerCredentials(config), tls: tls.peers },
  };
}

export class Daemon {
  readonly #config: Config;
  readonly #say: Say;
  readonly #policy: Policy;
  readonly #postgres: LocalPostgres;
  readonly #etcd: EtcdKeyValueStore;
  readonly #store: ClusterStore;
  readonly #journal: Journal;
  readonly #runtime: Runtime;
  readonly #measures = new Measures(toolCounts);
  readonly #clock: Clock = new RealClock((ms) => this.#measures.lateness.observe(ms));
  readonly #peers = new HttpPeers(() => this.#access.peers);
  #tls: TlsInForce;
  #access: Access;
  #api: ApiServer | null = null;

  /** @throws ConfigError, PostgresError a certificate or key cannot be used */
  constructor(config: Config, say: Say) {
    const clock = this.#clock;
    this.#config = config;
    this.#tls = readTls(config);
    this.#access = accessOf(config, this.#tls);
    this.#say = say;
    for (const warning of this.#tls.warnings) say('warning', warning);
    this.#policy = new Policy(config, say);
    const log: Log = (level, text) => say(level === 'warn' ? 'warning' : level, text);
    this.#postgres = new LocalPostgres({ ...postgresOptions(config), clock, log });
    const onCall = this.#measures.request.bind(this.#measures);
    this.#etcd = new EtcdKeyValueStore({ ...this.#tls.store, onCall }, clock);
    this.#store = new ClusterStore(this.#etcd, {
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
        apiUrl: apiUrl(config),
      },
      clock,
      store: this.#store,
      postgres: this.#postgres,
      peers: this.#peers,
      journal: this.#journal,
      policy: this.#policy,
      guard: config.tenure.guard === 'off' ? noGuard : this.#guard(),
      watchdog: this.#watchdog(),
      tell: (event) => callbacks.tell(event),
      scripts: localScripts(() => this.#policy.scripts, clock, log),
      say,
      measures: this.#measures,
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

  #watchdog(): Watchdog {
    const { policy, device, testing } = watchdogOptions(this.#config);
    if (policy.mode === 'off') return noWatchdog;
    return new WatchdogKeeper({
      clock: this.#clock,
      policy,
      device,
      driver: testing ? testingWatchdog(device) : linuxWatchdog(device, this.#clock),
      ttlMs: () => this.#policy.settings.ttlMs,
      log: this.#say,
      onChange: (why) => this.#runtime.hint(why),
    });
  }

  /**
   * Runs until told to stop or until going on would be wrong. Never rejects for a known cause.
   * @param onStarted called once nothing of the configuration keeps it from running
   */
  async run(onStarted: () => void = () => undefined): Promise<Exit> {
    // At the same time: clients may be waiting for this node.
    const [earlier, missing, unreadable] = await Promise.all([
      endEarlier(this.#config.tenure.state_dir, this.#clock, this.#peers),
      this.#policy
        .loadCache()
        .then(() => this.#postgres.missingTools(neededTools(this.#policy.settings))),
      this.#journal.load().then(
        () => null,
        (error: unknown) => `${this.#config.tenure.state_dir} cannot be read: ${String(error)}`,
      ),
    ]);
    if (unreadable !== null) return { code: 1, message: unreadable };
    if (earlier.kind === 'healthy') return { code: 1, message: earlier.why };
    if (earlier.kind === 'ended') this.#say('warning', earlier.why);
    if (missing.length > 0) return { code: 1, message: missing.join('; ') };
    // A second daemon on this address must find that out before it touches anything.
    const { host, port } = restOptions(this.#config).listen;
    let api: ApiServer;
    try {
      api = await startApi({
        status: this.#runtime.status,
        host,
        port,
        freshen: () => this.#runtime.freshen(),
        operator: this.#operator(),
        onError: (error) => this.#say('error', `REST: ${String(error)}`),
        onRefusal: (text) => this.#say('warning', text),
        tls: this.#tls.rest,
        headers: () => this.#access.headers,
      });
      this.#api = api;
      void this.#askOurselves();
    } catch (error) {
      if (!(error instanceof ApiListenError)) throw error;
      return { code: 1, message: error.message };
    }
    try {
      await this.#runtime.lookFirst();
      onStarted();
      const [exit] = await Promise.all([
        this.#runtime.run(),
        recordDaemon(this.#config.tenure.state_dir, this.#runtime.status.apiUrl),
      ]);
      return exit;
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
      access: () => this.#access.rest,
    };
  }

  /** SIGTERM, SIGINT. */
  stop(): void {
    this.#runtime.stop();
  }

  /**
   * A local file that has been read again (SIGHUP): everything that it names is looked at before any
   * of it is applied.
   * @returns what applies it
   * @throws ConfigError, PostgresError a certificate or key cannot be used: all stays as it was
   */
  prepare(config: Config): () => Promise<void> {
    const tls = readTls(config);
    const users = postgresOptions(config);
    readUsers(users);
    return async () => {
      for (const warning of tls.warnings) this.#say('warning', warning);
      const later = changedAtStartOnly(this.#config, config);
      if (later.length > 0)
        this.#say('warning', `in force from the next start of the daemon on: ${later.join(', ')}`);
      this.#renewRest(config, tls);
      await this.#renewStore(tls);
      await this.#postgres
        .changeUsers(users)
        .catch(this.#kept('postgresql.authentication.superuser'));
      this.#policy.reload(config);
      await this.#runtime.applyPolicy();
      this.#runtime.hint('reload');
    };
  }

  /** The certificates of the REST API and what other members are shown, from the next connection on. */
  #renewRest(config: Config, { rest, peers }: TlsInForce): void {
    const before = this.#tls.rest;
    const changes = (before === null) !== (rest === null);
    if (changes) {
      const now = before === null ? 'http' : 'https';
      const text = `restapi.certfile: the REST API goes on with ${now} until the daemon is started again`;
      this.#say('warning', text);
    } else if (rest !== null && !isDeepStrictEqual(before, rest)) {
      this.#api?.renew(rest);
      this.#say('info', 'the REST API uses the new certificates from now on');
    }
    this.#tls = { ...this.#tls, peers, rest: changes ? before : rest };
    this.#access = accessOf(config, this.#tls);
    void this.#askOurselves();
  }

  /**
   * As another member with the same configuration would: Patroni's members do not verify each other, so
   * certificates may have been wrong for years. Never rejects.
   */
  async #askOurselves(): Promise<void> {
    if (this.#tls.rest === null) return;
    const { name, restapi } = this.#config;
    const own = { name, apiUrl: apiUrl({ restapi }) };
    const [facts] = await this.#peers.ask([own], OURSELVES_MS);
    if (facts === undefined || facts.answer.known) return;
    const { why } = facts.answer;
    if (/certificate|TLS/.test(why))
      this.#say(
        'warning',
        `members that are configured like this one cannot ask it over REST: ${why}`,
      );
  }

  /** Certificates and password towards etcd. Never rejects. */
  async #renewStore({ store }: TlsInForce): Promise<void> {
    const identity = ({ tls, username, password }: TlsInForce['store']) => [
      tls,
      username,
      password,
    ];
    if (isDeepStrictEqual(identity(store), identity(this.#tls.store))) return;
    try {
      await this.#etcd.renew(store);
      this.#tls = { ...this.#tls, store };
      this.#say('info', 'etcd is asked with the new certificates and password from now on');
    } catch (error) {
      this.#kept('etcd3')(error);
    }
  }

  /** Says that what worked goes on, because what is new does not. */
  #kept(section: string): (error: unknown) => void {
    return (error) => {
      const why = error instanceof Error ? error.message : String(error);
      this.#say('error', `${section}: the former certificates and password stay in use: ${why}`);
    };
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
