/** Real servers for the tests of this folder: their folders, ports and certain end. */
import { mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { RealClock } from '../../src/clock.ts';
import type { Upstream } from '../../src/core/model.ts';
import { LocalPostgres } from '../../src/postgres/local.ts';
import type { LocalPostgresOptions } from '../../src/postgres/options.ts';
import type { ServerSettings } from '../../src/postgres/postgres.ts';

export const clock = new RealClock();
export const noProgress = (): void => undefined;
export const granted = async (): Promise<void> => undefined;
export const never = new AbortController().signal;

const HBA = [
  'local all all trust',
  'host all all 127.0.0.1/32 trust',
  'host replication all 127.0.0.1/32 trust',
];

/** Below the range that outgoing connections take their ports from. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** Waits for a condition. @throws when it does not hold after `ms` */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 15_000,
): Promise<void> {
  const deadline = clock.now() + ms;
  while (!(await holds())) {
    if (clock.now() > deadline) throw new Error(`not in ${ms} ms: ${what}`);
    await clock.wait(10);
  }
}

export interface Node {
  readonly name: string;
  readonly port: number;
  readonly postgres: LocalPostgres;
  readonly options: LocalPostgresOptions;
  readonly dataDir: string;
  readonly upstream: Upstream;
  readonly said: string[];
  readonly hints: string[];
}

export class Lab {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'tenure-pg.')));
  readonly #open: LocalPostgres[] = [];
  readonly #clients: Client[] = [];

  async node(name: string, more: Partial<LocalPostgresOptions> = {}): Promise<Node> {
    const port = await freePort();
    const said: string[] = [];
    const options: LocalPostgresOptions = {
      name,
      scope: 'lab',
      dataDir: join(this.folder, name),
      listen: `127.0.0.1:${port}`,
      connectAddress: `127.0.0.1:${port}`,
      pgpassPath: join(this.folder, `${name}.pgpass`),
      superuser: { username: 'postgres', password: 'super secret' },
      replication: { username: 'replicator', password: "rep'l:\\secret" },
      rewind: { username: 'rewinder', password: 'rewind secret' },
      initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
      clock,
      log: (level, text) => said.push(`${level}: ${text}`),
      ...more,
    };
    return this.agent(options, port, said);
  }

  /** A new agent's object on the same server. */
  restarted(node: Node): Node {
    return this.agent(node.options, node.port, node.said);
  }

  async sql(node: Node): Promise<Client> {
    const client = new Client({
      host: '127.0.0.1',
      port: node.port,
      user: 'postgres',
      password: 'super secret',
      database: 'postgres',
    });
    client.on('error', () => undefined);
    await client.connect();
    this.#clients.push(client);
    return client;
  }

  /** One query on a connection of its own. */
  async ask(node: Node, query: string): Promise<Record<string, unknown>[]> {
    const client = await this.sql(node);
    try {
      return (await client.query<Record<string, unknown>>(query)).rows;
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.end().catch(() => undefined);
    await Promise.all(this.#open.map(async (postgres) => await postgres.close()));
    await until('no process left in the lab', () => {
      const left = this.#processes();
      for (const pid of left) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone already.
        }
      }
      return left.length === 0;
    });
    rmSync(this.folder, { recursive: true, force: true });
  }

  private agent(options: LocalPostgresOptions, port: number, said: string[]): Node {
    const postgres = new LocalPostgres(options);
    this.#open.push(postgres);
    const hints: string[] = [];
    postgres.onHint((why) => hints.push(why));
    const upstream = { name: options.name, host: '127.0.0.1', port };
    return {
      name: options.name,
      port,
      postgres,
      options,
      dataDir: options.dataDir,
      upstream,
      said,
      hints,
    };
  }

  #processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map(Number)
      .filter((pid) => {
        try {
          return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${this.folder}/`);
        } catch {
          return false;
        }
      });
  }
}

export function settings(more: Partial<ServerSettings> = {}): ServerSettings {
  return {
    parameters: {
      unix_socket_directories: '',
      shared_buffers: '16MB',
      max_connections: '40',
      ...more.parameters,
    },
    pgHba: more.pgHba === undefined ? HBA : more.pgHba,
    pgIdent: more.pgIdent ?? null,
    recoveryConf: more.recoveryConf ?? {},
    useSlots: more.useSlots ?? true,
    synchronous: more.synchronous ?? false,
    ...(more.byRole && { byRole: more.byRole }),
    ...(more.making && { making: more.making }),
  };
}

/** A bootstrapped primary. */
export async function primary(
  lab: Lab,
  name: string,
  more: Partial<LocalPostgresOptions> = {},
): Promise<Node> {
  const node = await lab.node(name, more);
  await node.postgres.configure(settings());
  await node.postgres.bootstrap(noProgress, never);
  return node;
}

/** A standby that streams from `from`. */
export async function standby(
  lab: Lab,
  name: string,
  from: Node,
  more: Partial<LocalPostgresOptions> = {},
): Promise<Node> {
  const node = await lab.node(name, more);
  await node.postgres.configure(settings());
  await node.postgres.clone(from.upstream, noProgress, never);
  await node.postgres.start('standby', from.upstream, 20_000, noProgress, never);
  await streaming(node);
  return node;
}

export async function streaming(node: Node): Promise<void> {
  await until(`${node.name} streams`, async () => {
    const { sql } = await node.postgres.observe({ searchWalEnd: false });
    return sql.known && sql.value.walReceiver?.status === 'streaming';
  });
}

/** The standby has replayed what the primary has flushed. */
export async function caughtUp(node: Node, from: Node): Promise<void> {
  const facts = await from.postgres.observe({ searchWalEnd: false });
  const goal = facts.sql.known ? facts.sql.value.currentLsn : null;
  if (goal === null) throw new Error(`${from.name} has no position`);
  await until(`${node.name} has replayed ${goal}`, async () => {
    const { sql } = await node.postgres.observe({ searchWalEnd: false });
    return sql.known && (sql.value.replayLsn ?? 0) >= goal;
  });
}
