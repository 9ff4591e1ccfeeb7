/**
 * Where a clone is built, and how it takes the data directory's place (S7, S8): beside it, in the
 * state directory, and then by two renames; or in place where no rename is possible.
 */
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exists, isMissing, makePrivateFolder, syncFolder } from './disk.ts';
import { isIncarnation, type Markers, type WorkMarker } from './markers.ts';
import type { Log, Places } from './options.ts';

const COPY = 'clone.';
const OLD = 'old.';

/** Real path of the data directory, which may not exist: what has to be renamed. */
async function realDataDir(places: Places): Promise<string> {
  try {
    return await realpath(places.dataDir);
  } catch (error) {
    if (!isMissing(error)) throw error;
    const parent = await realpath(dirname(places.dataDir)).catch(() => dirname(places.dataDir));
    return join(parent, basename(places.dataDir));
  }
}

/**
 * A folder for the copy; null: the data directory is a mount point, lies on another file system
 * than the state directory, or has parts of it elsewhere, and has to be filled in place.
 */
export async function folderForCopy(places: Places, incarnation: string): Promise<string | null> {
  await makePrivateFolder(places.stateDir);
  const dataDir = await realDataDir(places);
  const [state, parent] = await Promise.all([stat(places.stateDir), stat(dirname(dataDir))]);
  if (
    state.dev !== parent.dev ||
    (await isMountPoint(dataDir)) ||
    (await hasPartsElsewhere(dataDir))
  ) {
    return null;
  }
  return join(places.stateDir, `${COPY}${incarnation}`);
}

/** Also of a folder that is mounted from the same file system, as containers do. */
export async function isMountPoint(path: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return mounts.split('\n').some((line) => {
    const point = line.split(' ')[4];
    return (
      point?.replace(/\\([0-7]{3})/g, (_all, code: string) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ) === path
    );
  });
}

/** Tablespaces and a linked pg_wal would be written by the copy while the old ones are still there. */
async function hasPartsElsewhere(dataDir: string): Promise<boolean> {
  const wal = await lstat(join(dataDir, 'pg_wal')).catch(() => null);
  if (wal?.isSymbolicLink()) return true;
  return (await readdir(join(dataDir, 'pg_tblspc')).catch(() => [])).length > 0;
}

/** Empties the data directory, and what belongs to it elsewhere, without removing the folder itself. */
export async function emptyInPlace(places: Places): Promise<void> {
  const dataDir = await realDataDir(places);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const wal = join(dataDir, 'pg_wal');
  if ((await lstat(wal).catch(() => null))?.isSymbolicLink()) await emptyFolder(join(wal, '.'));
  const tablespaces = join(dataDir, 'pg_tblspc');
  for (const name of await readdir(tablespaces).catch(() => [])) {
    const target = await readlink(join(tablespaces, name)).catch(() => null);
    if (target === null) continue;
    const versions = (await readdir(target).catch(() => [])).filter((entry) =>
      /^PG_\d+_\d+$/.test(entry),
    );
    for (const entry of versions) await rm(join(target, entry), { recursive: true, force: true });
  }
  await emptyFolder(dataDir);
}

/** Empties the data directory alone: what it links to elsewhere stays. */
export async function emptyWithoutLinks(places: Places): Promise<void> {
  await emptyFolder(await realDataDir(places));
}

async function emptyFolder(path: string): Promise<void> {
  for (const name of await readdir(path))
    await rm(join(path, name), { recursive: true, force: true });
}

/**
 * The complete copy takes the place of the data directory. The marker says so before the first
 * rename, so that a crash between the two is finished by {@link finishSwap}.
 */
export async function swapIn(
  places: Places,
  markers: Markers,
  marker: WorkMarker,
  folder: string,
): Promise<void> {
  await markers.begin({ ...marker, folder, swapping: true });
  await finishSwap(places, markers, { ...marker, folder, swapping: true });
}

/** Also of a former agent, at the start of this one. */
export async function finishSwap(
  places: Places,
  markers: Markers,
  marker: WorkMarker,
): Promise<void> {
  const dataDir = await realDataDir(places);
  const { folder } = marker;
  if (folder !== null && (await exists(folder))) {
    if (await exists(dataDir)) {
      await rename(dataDir, join(places.stateDir, `${OLD}${basename(folder).slice(COPY.length)}`));
    }
    await rename(folder, dataDir);
    await syncFolder(dirname(dataDir));
    await syncFolder(places.stateDir);
  }
  if (marker.incarnation !== null) await markers.setIncarnation(marker.incarnation);
  await markers.end();
}

/**
 * Removes copies that were not finished and directories that were replaced. Takes its time. Only
 * what has a name of our making: tenure.state_dir may be a folder that people keep things in.
 */
export async function removeLeftovers(
  places: Places,
  keep: string | null,
  log: Log,
): Promise<void> {
  const entries = await readdir(places.stateDir, { withFileTypes: true }).catch(
    (error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    },
  );
  for (const entry of entries) {
    const path = join(places.stateDir, entry.name);
    if (!entry.isDirectory() || !isOurs(entry.name) || path === keep) continue;
    log('info', `removing ${path}`);
    await rm(path, { recursive: true, force: true });
  }
}

function isOurs(name: string): boolean {
  return [COPY, OLD].some(
    (prefix) => name.startsWith(prefix) && isIncarnation(name.slice(prefix.length)),
  );
}
