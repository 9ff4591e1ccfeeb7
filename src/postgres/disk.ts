/** Files that are there completely or not at all, also after a power cut (S8). */
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  unlink,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Makes the entries of a folder durable: creations, renames, removals. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Temporary file, fsync, rename, fsync of the folder. `mode` is exact, whatever the umask. */
export async function writeAtomically(path: string, text: string, mode: number): Promise<void> {
  await replaceFile(path, text, mode);
  await syncFolder(dirname(path));
}

/** As {@link writeAtomically}, but the rename is only durable once the folder is synced. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  await replace(path, text, mode, true);
}

/** Complete or not at all for whoever reads it now; after a power cut it may be empty, or the one before. */
export async function replaceForNow(path: string, text: string, mode: number): Promise<void> {
  await replace(path, text, mode, false);
}

async function replace(path: string, text: string, mode: number, durable: boolean): Promise<void> {
  const temporary = join(dirname(path), `.${process.pid}.${counter++}.tenure-new`);
  let handle: FileHandle | null = null;
  try {
    handle = await open(temporary, 'w', mode);
    // The process's umask has cut the mode given to open.
    await handle.chmod(mode);
    await handle.writeFile(text);
    if (durable) await handle.sync();
    await handle.close();
    handle = null;
    await rename(temporary, path);
  } catch (error) {
    await handle?.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}
let counter = 0;

/** Writes only what differs. Returns whether it wrote. */
export async function writeIfChanged(path: string, text: string, mode: number): Promise<boolean> {
  if ((await readIfThere(path)) === text) return false;
  await writeAtomically(path, text, mode);
  return true;
}

/** Null when there is no such file. @throws any other error (S4) */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Durable removal; returns whether there was anything. */
export async function removeIfThere(path: string): Promise<boolean> {
  try {
    await unlink(path);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  await syncFolder(dirname(path));
  return true;
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** 0640 where the data directory is readable by the group, else 0600 (C-6.5). */
export async function fileMode(dataDir: string): Promise<number> {
  try {
    return ((await stat(dataDir)).mode & 0o050) === 0o050 ? 0o640 : 0o600;
  } catch {
    return 0o600;
  }
}

/** The folder and its parents, only for us. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
