/**
 * Parts of a data directory that lie elsewhere: a linked pg_wal and tablespaces. An interrupted copy
 * leaves them filled, and pg_basebackup refuses folders that are not empty; so a clone writes down
 * which ones it is about to fill (S7, S8).
 */
import { readdir, readlink, realpath, rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { isMissing } from './disk.ts';

/** Segments, histories and folders of pg_wal; the folder that a version has in a tablespace. */
const OF_POSTGRESQL =
  /^(?:[0-9A-F]{24}(?:\.partial)?|[0-9A-F]{8}\.history|archive_status|summaries|PG_\d+_\d+)$/;

/** Where the links of this data directory lead. */
export async function linkedParts(dataDir: string): Promise<readonly string[]> {
  const tablespaces = join(dataDir, 'pg_tblspc');
  const names = await readdir(tablespaces).catch(() => []);
  const links = [join(dataDir, 'pg_wal'), ...names.map((name) => join(tablespaces, name))];
  const targets = await Promise.all(links.map((link) => readlink(link).catch(() => null)));
  return targets.filter((target) => target !== null && isAbsolute(target)) as readonly string[];
}

/** Folders that pg_basebackup is told to fill and that have nothing in them yet: what is there later is the copy's. */
export async function emptyTargets(options: readonly string[]): Promise<readonly string[]> {
  const named = options.flatMap((option) => {
    const wal = /^--waldir=(.+)$/.exec(option)?.[1];
    // OLD=NEW, where `\=` is no separator.
    const mapping = /^--tablespace-mapping=(?:[^\\=]|\\.)+=(.+)$/.exec(option)?.[1];
    return [wal, mapping?.replaceAll('\\=', '=')].filter((path) => path !== undefined);
  });
  const found = await Promise.all(named.map(async (path) => ({ path, bare: await isBare(path) })));
  return found.filter(({ bare }) => bare).map(({ path }) => path);
}

async function isBare(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0;
  } catch (error) {
    return isMissing(error);
  }
}

/** Removes what has a name of PostgreSQL's, and nothing else: people may share such folders. */
export async function emptyParts(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const names = await readdir(path).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const ours = names.filter((name) => OF_POSTGRESQL.test(name));
    for (const name of ours) await rm(join(path, name), { recursive: true, force: true });
  }
}

/** As {@link emptyParts}, but nothing that this data directory uses now. */
export async function emptyUnused(paths: readonly string[], dataDir: string): Promise<void> {
  const real = async (path: string): Promise<string> => await realpath(path).catch(() => path);
  const used = await Promise.all((await linkedParts(dataDir)).map(real));
  for (const path of paths) if (!used.includes(await real(path))) await emptyParts([path]);
}
