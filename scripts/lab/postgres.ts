/** Plain PostgreSQL servers, for tests that need one without a daemon. TCP on loopback only. */
import { appendFile, cp, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { binDir } from './binaries.ts';
import type { Lab, LabProcess } from './lab.ts';
import { run } from './run.ts';
import { waitFor } from './wait.ts';

/** The accounts of every server and cluster in a lab. */
export const ACCOUNTS = {
  superuser: { username: 'postgres', password: 'secret' },
  replication: { username: 'replicator', password: 'secret' },
  rewind: { username: 'rewind_user', password: 'secret' },
} as const;

export interface ConnectOptions {
  readonly port: number;
  readonly host?: string;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  /** Milliseconds for TCP and login; default 1000. */
  readonly connectMs?: number;
  /** Milliseconds for each statement; default 10000. */
  readonly statementMs?: number;
  readonly applicationName?: string;
  readonly ssl?: pg.ClientConfig['ssl'];
}

/** A connection with deadlines, whose loss ends no process. */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const statementMs = options.statementMs ?? 10_000;
  const client = new pg.Client({
    host: options.host ?? '127.0.0.1',
    port: options.port,
    user: options.user ?? ACCOUNTS.superuser.username,
    password: options.password ?? ACCOUNTS.superuser.password,
    database: options.database ?? 'postgres',
    connectionTimeoutMillis: options.connectMs ?? 1000,
    statement_timeout: statementMs,
    query_timeout: statementMs + 200,
    application_name: options.applicationName ?? 'lab',
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
  });
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    void client.end().catch(() => {});
    throw error;
  }
  return client;
}

/** One statement on a connection of its own: its rows. */
export async function query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
  options: ConnectOptions,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = await connect(options);
  try {
    return (await client.query<Row>(sql, [...values])).rows;
  } finally {
    void client.end().catch(() => {});
  }
}

export interface ServerOptions {
  readonly name: string;
  /** Added to postgresql.conf. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
  /** true: its own initdb, hence its own system identifier. Default: a copy of the lab's template. */
  readonly ownIdentity?: boolean;
}

export class PostgresServer {
  readonly name: string;
  readonly port: number;
  readonly dataDir: string;
  readonly log: string;
  readonly #lab: Lab;
  #process: LabProcess | undefined;

  private constructor(lab: Lab, name: string, port: number) {
    this.#lab = lab;
    this.name = name;
    this.port = port;
    this.dataDir = join(lab.path('postgres', name), 'data');
    this.log = join(lab.folder, 'postgres', name, 'postgres.log');
  }

  /** A new primary, not started. */
  static async create(lab: Lab, options: ServerOptions): Promise<PostgresServer> {
    const server = new PostgresServer(lab, options.name, await lab.port());
    if (options.ownIdentity) await initialise(server.dataDir);
    else await cp(await template(lab), server.dataDir, { recursive: true });
    await server.configure(options.parameters ?? {});
    return server;
  }

  /** A new, running primary. */
  static async start(lab: Lab, options: ServerOptions): Promise<PostgresServer> {
    const server = await PostgresServer.create(lab, options);
    await server.start();
    return server;
  }

  get process(): LabProcess | undefined {
    return this.#process;
  }

  /** Appends to postgresql.conf; port and addresses are repeated, as a copy has its origin's. */
  async configure(parameters: Readonly<Record<string, string | number | boolean>>): Promise<void> {
    const all = {
      listen_addresses: '127.0.0.1',
      port: this.port,
      unix_socket_directories: '',
      ...parameters,
    };
    const lines = Object.entries(all).map(
      ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`,
    );
    await appendFile(join(this.dataDir, 'postgresql.conf'), lines.join(''));
  }

  /** Starts it and waits until it takes connections. */
  async start(deadlineMs = 30_000): Promise<void> {
    if (this.#process?.isAlive()) throw new Error(`PostgreSQL ${this.name} runs already`);
    const command = [join(binDir(), 'postgres'), '-D', this.dataDir];
    const options = { name: `postgres-${this.name}`, cwd: this.dataDir, log: this.log };
    const running = await this.#lab.spawn(command, options);
    this.#process = running;
    await waitFor(`PostgreSQL ${this.name} to take connections`, deadlineMs, async () => {
      if (!running.isAlive()) throw new Error(`it ended; its log:\n${running.tail()}`);
      await this.query('SELECT 1');
      return true;
    });
  }

  /** Stops it and waits for its end. */
  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast', deadlineMs = 30_000): Promise<void> {
    const signals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;
    await this.#process?.end(signals[mode], deadlineMs);
  }

  connect(options: Partial<ConnectOptions> = {}): Promise<pg.Client> {
    return connect({ ...options, port: this.port });
  }

  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    return query<Row>({ port: this.port }, sql, values);
  }

  /** A new, running standby of this server, by pg_basebackup; with a slot of its name unless `slot` is false. */
  async standby(
    name: string,
    options: {
      readonly slot?: boolean;
      readonly parameters?: Readonly<Record<string, string | number | boolean>>;
    } = {},
  ): Promise<PostgresServer> {
    const standby = new PostgresServer(this.#lab, name, await this.#lab.port());
    const slot = options.slot === false ? [] : ['--create-slot', `--slot=${name}`];
    const user = ACCOUNTS.replication.username;
    await run([
      join(binDir(), 'pg_basebackup'),
      `--pgdata=${standby.dataDir}`,
      '--wal-method=stream',
      '--checkpoint=fast',
      '--write-recovery-conf',
      '--no-sync',
      ...slot,
      `--dbname=host=127.0.0.1 port=${this.port} user=${user} application_name=${name}`,
    ]);
    await standby.configure(options.parameters ?? {});
    await standby.start();
    await waitFor(`${name} to stream from ${this.name}`, 20_000, async () => {
      const rows = await this.query(
        `SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`,
        [name],
      );
      return rows.length > 0;
    });
    return standby;
  }

  /** Waits until this standby has replayed all that `primary` has written by now. */
  async caughtUpWith(primary: PostgresServer, deadlineMs = 20_000): Promise<void> {
    const [now] = await primary.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    const sql = 'SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS done';
    await waitFor(`${this.name} to replay ${now?.lsn}`, deadlineMs, async () => {
      const [row] = await this.query<{ done: boolean }>(sql, [now?.lsn]);
      return row?.done === true;
    });
  }
}

/**
 * The data directory that new servers are copied from, made once per test run when the run names a
 * folder for it (TENURE_LAB_CACHE), otherwise once per lab.
 */
async function template(lab: Lab): Promise<string> {
  const base = process.env.TENURE_LAB_CACHE ?? lab.path('cache');
  const wanted = join(base, 'initdb');
  if (await exists(wanted)) return wanted;
  const made = join(await mkdtemp(join(base, 'making-')), 'data');
  await initialise(made);
  try {
    await rename(made, wanted);
  } catch (error) {
    if (!(await exists(wanted))) throw error; // else another worker was faster
    await rm(made, { recursive: true });
  }
  return wanted;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** initdb with the lab's accounts and settings. */
async function initialise(dataDir: string): Promise<void> {
  const passwordFile = `${dataDir}.password`;
  await mkdir(join(dataDir, '..'), { recursive: true });
  await writeFile(passwordFile, `${ACCOUNTS.superuser.password}\n`, { mode: 0o600 });
  const { superuser, replication, rewind } = ACCOUNTS;
  await run([
    join(binDir(), 'initdb'),
    `--pgdata=${dataDir}`,
    `--username=${superuser.username}`,
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    '--data-checksums',
    '--auth=trust',
    '--no-sync',
  ]);
  await rm(passwordFile);
  const settings = {
    shared_buffers: '16MB',
    max_connections: 50,
    max_wal_senders: 10,
    max_replication_slots: 10,
    wal_level: 'replica',
    wal_log_hints: 'on',
    hot_standby: 'on',
    wal_keep_size: '128MB',
    wal_retrieve_retry_interval: '500ms',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  await appendFile(join(dataDir, 'postgresql.conf'), lines.join(''));
  const functions = [
    'pg_ls_dir(text, boolean, boolean)',
    'pg_stat_file(text, boolean)',
    'pg_read_binary_file(text)',
    'pg_read_binary_file(text, bigint, bigint, boolean)',
  ];
  const sql = [
    `CREATE ROLE ${replication.username} LOGIN REPLICATION PASSWORD '${replication.password}'`,
    `CREATE ROLE ${rewind.username} LOGIN PASSWORD '${rewind.password}'`,
    ...functions.map((one) => `GRANT EXECUTE ON FUNCTION pg_catalog.${one} TO ${rewind.username}`),
  ];
  await run([join(binDir(), 'postgres'), '--single', '-D', dataDir, 'postgres'], {
    input: `${sql.join('\n')}\n`,
  });
}
