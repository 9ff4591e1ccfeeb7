/** One node of a cluster: a folder, a configuration file, a daemon and the PostgreSQL it looks after. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { stringify } from 'yaml';
import { binDir } from './binaries.ts';
import { CHECKOUT, type Exit, type Lab, type LabProcess } from './lab.ts';
import { LOOPBACK, type Place } from './place.ts';
import { ACCOUNTS, type ConnectOptions, connect, query } from './postgres.ts';
import { killAllIn, type ProcessId, processesIn, signalProcess } from './processes.ts';
import { ask, material, type Trust } from './rest.ts';

/** The daemon of this checkout; the configuration file is added as last argument. */
export const TENURE: readonly string[] = [join(CHECKOUT, 'bin', 'tenure')];

type Json = Readonly<Record<string, unknown>>;

export interface NodeOptions {
  readonly scope: string;
  readonly name: string;
  /** host:port,host:port */
  readonly etcdHosts: string;
  /** Default: this machine's loopback. */
  readonly place?: Place;
  /** Command that starts the daemon; the configuration file replaces "{config}", or is appended. */
  readonly daemon?: readonly string[];
  /** Environment of the daemon, beside a small default one. */
  readonly env?: Readonly<Record<string, string>>;
  /** See {@link Node.trust}. */
  readonly trust?: Trust;
  /** Replaces parts of the default `bootstrap.dcs` (ttl 5, loop_wait 1, retry_timeout 2, …), merged in depth. */
  readonly dcs?: Json;
  /** Replaces parts of the configuration, merged in depth. */
  readonly config?: Json;
}

export interface RestAnswer {
  readonly status: number;
  readonly text: string;
  /** The body when it is JSON, otherwise undefined. */
  readonly json: unknown;
}

export interface RestOptions {
  readonly method?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Milliseconds, default 2000. */
  readonly deadlineMs?: number;
}

export class Node {
  readonly name: string;
  readonly folder: string;
  readonly dataDir: string;
  readonly configFile: string;
  readonly address: string;
  readonly restPort: number;
  readonly postgresPort: number;
  /** With it PostgreSQL is asked over TLS, and the REST API where it speaks https. */
  readonly trust: Trust | undefined;
  /** The configuration as written to configFile; change it with {@link configure}. */
  config: Json;
  readonly #lab: Lab;
  readonly #enter: readonly string[];
  readonly #daemonCommand: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #daemon: LabProcess | undefined;

  private constructor(lab: Lab, options: NodeOptions, restPort: number, postgresPort: number) {
    this.#lab = lab;
    this.name = options.name;
    this.folder = lab.path(options.name);
    const place = options.place ?? LOOPBACK;
    this.address = place.address;
    this.#enter = place.enter;
    this.dataDir = join(place.disk ?? this.folder, 'data');
    this.configFile = join(this.folder, 'config.yml');
    this.restPort = restPort;
    this.postgresPort = postgresPort;
    this.#daemonCommand = options.daemon ?? TENURE;
    this.#env = options.env ?? {};
    this.trust = options.trust;
    this.config = merge(this.#defaults(options), options.config ?? {});
  }

  /** Makes folder and configuration file; starts nothing. */
  static async create(lab: Lab, options: NodeOptions): Promise<Node> {
    const node = new Node(lab, options, await lab.port(), await lab.port());
    node.configure({});
    return node;
  }

  /** Merges `changes` into the configuration and writes the file; the daemon is not told. */
  configure(changes: Json): void {
    this.config = merge(this.config, changes);
    writeFileSync(this.configFile, stringify(this.config, { version: '1.1' }), { mode: 0o600 });
  }

  #defaults(options: NodeOptions): Json {
    const neighbours = this.address === LOOPBACK.address ? '127.0.0.1/32' : 'samenet';
    const hba = [
      'local all all trust',
      `host all all ${neighbours} trust`,
      `host replication all ${neighbours} trust`,
    ];
    const dcs = {
      ttl: 5,
      loop_wait: 1,
      retry_timeout: 2,
      maximum_lag_on_failover: 1_048_576,
      postgresql: {
        use_pg_rewind: true,
        use_slots: true,
        parameters: { max_connections: 60, shared_buffers: '32MB', fsync: 'on' },
      },
    };
    return {
      scope: options.scope,
      name: options.name,
      restapi: {
        listen: `${this.address}:${this.restPort}`,
        connect_address: `${this.address}:${this.restPort}`,
      },
      etcd3: { hosts: options.etcdHosts },
      bootstrap: {
        dcs: merge(dcs, options.dcs ?? {}),
        initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
        pg_hba: hba,
      },
      postgresql: {
        listen: `${this.address}:${this.postgresPort}`,
        connect_address: `${this.address}:${this.postgresPort}`,
        data_dir: this.dataDir,
        bin_dir: binDir(),
        pgpass: join(this.folder, 'pgpass'),
        authentication: ACCOUNTS,
        parameters: { unix_socket_directories: '' },
        pg_hba: hba,
      },
    };
  }

  /** The daemon's process; undefined before its first start. */
  get daemon(): LabProcess | undefined {
    return this.#daemon;
  }

  get log(): string {
    return join(this.folder, 'daemon.log');
  }

  isRunning(): boolean {
    return this.#daemon?.isAlive() ?? false;
  }

  /** Starts the daemon; does not wait for anything it does. */
  async start(): Promise<LabProcess> {
    if (this.isRunning()) throw new Error(`the daemon of ${this.name} runs already`);
    this.#daemon = await this.#lab.spawn(
      [...this.#enter, ...commandWith(this.#daemonCommand, this.configFile)],
      {
        name: `daemon-${this.name}`,
        cwd: this.folder,
        log: this.log,
        env: this.#env,
      },
    );
    return this.#daemon;
  }

  /** SIGTERM to the daemon, and waits for its end. */
  async stop(deadlineMs = 30_000): Promise<Exit> {
    return this.#theDaemon().end('SIGTERM', deadlineMs);
  }

  /** SIGKILL to the daemon alone. */
  async kill(): Promise<void> {
    await this.#theDaemon().end('SIGKILL', 5000);
  }

  /** SIGSTOP to the daemon: it holds its connections and does nothing. */
  pause(): void {
    this.#theDaemon().signal('SIGSTOP');
  }

  /** SIGCONT to the daemon. */
  resume(): void {
    this.#theDaemon().signal('SIGCONT');
  }

  #theDaemon(): LabProcess {
    if (this.#daemon === undefined) throw new Error(`the daemon of ${this.name} was never started`);
    return this.#daemon;
  }

  /** The running postmaster, by postmaster.pid; undefined when there is none. */
  postmaster(): ProcessId | undefined {
    try {
      const pid = Number(readFileSync(join(this.dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
      return processesIn(this.dataDir).find((id) => id.pid === pid);
    } catch {
      return undefined;
    }
  }

  /** SIGKILL to the postmaster alone; its backends are left to themselves. */
  killPostmaster(): ProcessId {
    const id = this.postmaster();
    if (id === undefined) throw new Error(`${this.name} has no running postmaster to kill`);
    signalProcess(id, 'SIGKILL');
    return id;
  }

  /** All processes of this node's PostgreSQL, orphans of a dead postmaster included. */
  postgresProcesses(): readonly ProcessId[] {
    return processesIn(this.dataDir);
  }

  /** SIGKILL to all of this node's PostgreSQL; the daemon stays. */
  async killPostgres(): Promise<void> {
    await killAllIn(this.dataDir);
  }

  /** SIGKILL to the daemon, its helpers and its PostgreSQL: what a lost machine looks like to the others. */
  async killEverything(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon !== undefined) signalProcess(daemon, 'SIGKILL');
    await killAllIn(this.folder);
  }

  /** One request to the daemon's REST interface; throws when there is no answer in time. */
  async rest(path: string, options: RestOptions = {}): Promise<RestAnswer> {
    const { body, ...others } = options;
    const scheme = this.#speaksTls() ? 'https' : 'http';
    const { status, text } = await ask(`${scheme}://${this.address}:${this.restPort}${path}`, {
      ...others,
      trust: this.trust,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status, text, json: parsed(text) };
  }

  #speaksTls(): boolean {
    const { restapi } = this.config as { readonly restapi?: { readonly certfile?: unknown } };
    return restapi?.certfile !== undefined;
  }

  connect(options: Partial<ConnectOptions> = {}): Promise<pg.Client> {
    return connect({ ...this.#place(), ...options });
  }

  #place(): ConnectOptions {
    const { trust } = this;
    const ssl = trust === undefined ? {} : { ssl: material(trust) };
    const { authentication } = this.config.postgresql as {
      readonly authentication: typeof ACCOUNTS;
    };
    const { password } = authentication.superuser;
    return { ...ssl, password, host: this.address, port: this.postgresPort };
  }

  /** One statement on a connection of its own. */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    return query<Row>(this.#place(), sql, values);
  }
}

/** The command with the configuration file where "{config}" stands, otherwise at its end. */
export function commandWith(command: readonly string[], configFile: string): readonly string[] {
  const placed = command.map((part) => part.replaceAll('{config}', configFile));
  return command.some((part) => part.includes('{config}')) ? placed : [...placed, configFile];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** `changes` over `base`: objects are merged, everything else is replaced; undefined removes. */
export function merge(base: Json, changes: Json): Json {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const before = result[key];
    if (value === undefined) delete result[key];
    else if (isObject(before) && isObject(value)) result[key] = merge(before, value);
    else result[key] = value;
  }
  return result;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
