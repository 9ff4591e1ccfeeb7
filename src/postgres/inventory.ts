/** What a running server says of itself, for a configuration that fits it (C-6.9). */
import { readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ClientConfig } from 'pg';
import { type Clock, within } from '../clock.ts';
import { parseConninfo } from './conninfo.ts';
import { messageOf, readIfThere } from './disk.ts';
import { PostgresError } from './postgres.ts';
import { abandon, ask, newClient, type Row } from './session.ts';

export interface Inventory {
  readonly version: string;
  readonly dataDir: string;
  readonly configDir: string;
  /** Null: it does not run on this machine, as far as can be seen. */
  readonly binDir: string | null;
  readonly listenAddresses: string;
  readonly port: number;
  readonly clusterName: string;
  /** As whom it was asked. */
  readonly user: string;
  /** Set in a file, and not the default. */
  readonly settings: Readonly<Record<string, string>>;
  readonly hba: readonly string[];
  readonly ident: readonly string[];
}

/** For all questions, ms. */
const ASK_MS = 10_000;

const WHO = `SELECT current_setting('server_version') AS version, current_setting('data_directory') AS data,
  current_setting('config_file') AS config, current_setting('hba_file') AS hba,
  current_setting('ident_file') AS ident, current_setting('listen_addresses') AS listen,
  current_setting('port') AS port, current_setting('cluster_name') AS cluster`;

const ASKER = `SELECT current_user AS who, current_setting('is_superuser') AS super`;

const SETTINGS = `SELECT name, current_setting(name) AS value FROM pg_settings
  WHERE source IN ('configuration file', 'command line') AND boot_val IS DISTINCT FROM setting
  ORDER BY name`;

/**
 * @param dsn as libpq has it: `host=… user=…` or postgresql://…; undefined: PGHOST and its like
 * @throws PostgresError it cannot be asked, or not as a superuser
 */
export async function takeInventory(clock: Clock, dsn: string | undefined): Promise<Inventory> {
  const client = newClient(targetOf(dsn), ASK_MS, () => undefined);
  try {
    const questions = async (): Promise<Inventory> => {
      await client.connect();
      const [asker] = await ask(client, clock, ASKER, ASK_MS);
      if (asker?.super !== 'on')
        throw new PostgresError(`${asker?.who} is no superuser: nobody else sees every setting`);
      const [who] = await ask(client, clock, WHO, ASK_MS);
      const rows = await ask(client, clock, SETTINGS, ASK_MS);
      return await described({ ...asker, ...who }, rows);
    };
    return await within(clock, ASK_MS, 'asking PostgreSQL', questions());
  } catch (error) {
    if (error instanceof PostgresError) throw error;
    throw new PostgresError(`PostgreSQL cannot be asked: ${messageOf(error)}`, { cause: error });
  } finally {
    abandon(client);
  }
}

/** @throws PostgresError it is no connection string */
function targetOf(dsn: string | undefined): ClientConfig {
  if (dsn === undefined) {
    const { PGHOST, PGUSER, PGDATABASE } = process.env;
    return {
      host: PGHOST ?? '/var/run/postgresql',
      user: PGUSER ?? 'postgres',
      database: PGDATABASE ?? 'postgres',
    };
  }
  if (/^postgres(?:ql)?:\/\//.test(dsn)) return { connectionString: dsn };
  const words = parseConninfo(dsn);
  const port = words.get('port');
  return {
    host: words.get('host') ?? '/var/run/postgresql',
    user: words.get('user') ?? 'postgres',
    database: words.get('dbname') ?? 'postgres',
    ...(port !== undefined && { port: Number(port) }),
    ...(words.has('password') && { password: words.get('password') as string }),
  };
}

async function described(who: Row, rows: readonly Row[]): Promise<Inventory> {
  const dataDir = who.data ?? '';
  return {
    version: who.version ?? '',
    dataDir,
    configDir: dirname(who.config ?? dataDir),
    binDir: await binDirOf(dataDir),
    listenAddresses: (who.listen ?? '').replaceAll(' ', ''),
    port: Number(who.port),
    clusterName: who.cluster ?? '',
    user: who.who ?? 'postgres',
    settings: Object.fromEntries(rows.map(({ name, value }) => [name ?? '', value ?? ''])),
    hba: await rulesIn(who.hba),
    ident: await rulesIn(who.ident),
  };
}

/** Where the program of the running postmaster lies. */
async function binDirOf(dataDir: string): Promise<string | null> {
  const pid = Number(
    (await readIfThere(join(dataDir, 'postmaster.pid')).catch(() => null))?.split('\n')[0],
  );
  if (!Number.isInteger(pid) || pid < 2) return null;
  return await readlink(`/proc/${pid}/exe`).then(dirname, () => null);
}

/** Lines that say something; none where the file cannot be read. */
async function rulesIn(path: string | null | undefined): Promise<readonly string[]> {
  const text = await readFile(path ?? '', 'utf8').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.replace(/#.*$/, '').trim().replace(/\s+/g, ' '))
    .filter((line) => line !== '');
}
