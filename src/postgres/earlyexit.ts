/**
 * What a postmaster said before it ended early (field D61). It writes to the agent's own output,
 * which can be read back only where that is a file; the server's log file, and a dry run of its
 * configuration, say the rest.
 */
import { open, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { dataVersion } from './connect.ts';
import type { Places } from './options.ts';
import type { Parts } from './parts.ts';
import { lastLines, run } from './run.ts';

/** Read back at most, bytes. */
const READ_BYTES = 16 * 1024;
const DRY_RUN_MS = 2000;

/** Files that a server writes its log to, with their sizes before it started. */
export type LogSizes = ReadonlyMap<string, number>;

export async function noteLogs(places: Places): Promise<LogSizes> {
  const sizes = new Map<string, number>();
  for (const path of ['/proc/self/fd/2', ...(await collectedLogs(places))]) {
    const size = await sizeOf(path);
    if (size !== null) sizes.set(path, size);
  }
  return sizes;
}

/** `: ` and what it said last, or ''. */
export async function explainExit(
  parts: Parts,
  postgres: string,
  before: LogSizes,
): Promise<string> {
  const paths = new Set([...before.keys(), ...(await collectedLogs(parts.places))]);
  let said = '';
  for (const path of paths) said += await readFrom(path, before.get(path) ?? 0);
  const complaints = said
    .split('\n')
    .filter((line) => /\b(?:FATAL|PANIC|ERROR|HINT|DETAIL):/.test(line));
  if (complaints.length > 0) return lastLines(complaints.join('\n'));
  const version = await dataVersion(parts.places).catch(() => 0);
  // Computed only once the libraries are loaded, so that these are tried too.
  const setting = version >= 15 ? 'shared_memory_size' : 'data_directory';
  const dry = await run({
    file: postgres,
    args: [...parts.configuration.postmasterArguments(), '-C', setting],
    clock: parts.clock,
    timeoutMs: DRY_RUN_MS,
  });
  if (dry.exitCode !== 0 && dry.stderr !== '') return lastLines(dry.stderr);
  return said === '' ? ': see its own log' : lastLines(said);
}

async function collectedLogs(places: Places): Promise<string[]> {
  const list = await readFile(join(places.dataDir, 'current_logfiles'), 'utf8').catch(() => '');
  return list
    .split('\n')
    .map((line) => line.split(' ').slice(1).join(' '))
    .filter((path) => path !== '')
    .map((path) => (isAbsolute(path) ? path : join(places.dataDir, path)));
}

/** Null for anything but a file. */
async function sizeOf(path: string): Promise<number | null> {
  const found = await stat(path).catch(() => null);
  return found?.isFile() ? found.size : null;
}

async function readFrom(path: string, from: number): Promise<string> {
  const size = await sizeOf(path);
  if (size === null || size <= from) return '';
  const start = Math.max(from, size - READ_BYTES);
  const handle = await open(path, 'r').catch(() => null);
  if (handle === null) return '';
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(size - start),
      0,
      size - start,
      start,
    );
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await handle.close();
  }
}
