/**
 * Settings that this version of PostgreSQL does not know, or not with this value (C-6.5): the server
 * would not start with them. PostgreSQL itself is asked, by a dry run that reads the file and ends.
 */
import { rm, writeFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { PostgresError } from './postgres.ts';
import { failureOf, run } from './run.ts';

/** A dry run reads files and ends, ms. */
const DRY_RUN_MS = 5000;
/** Each run finds one; more than this are not looked for. */
const MOST = 50;

export interface DryRun {
  readonly clock: Clock;
  /** The program of the data directory's version. */
  readonly postgres: string;
  readonly dataDir: string;
  /** Beside the real file, so that what it includes is found. */
  readonly path: string;
}

/**
 * Names with the reason, in PostgreSQL's words. What is wrong elsewhere, such as in a file of the
 * user's own, is not found: nobody could leave it out.
 * @param textWithout the file without the settings that are named
 * @param names settings that may be left out
 * @throws PostgresError it gave no answer
 */
export async function unfitSettings(
  dry: DryRun,
  textWithout: (names: ReadonlySet<string>) => string,
  names: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> {
  const unfit = new Map<string, string>();
  try {
    while (unfit.size < MOST) {
      const left = new Set(unfit.keys());
      await writeFile(dry.path, textWithout(left), { mode: 0o600 });
      const result = await run({
        file: dry.postgres,
        args: ['-C', 'data_directory', '-D', dry.dataDir, `--config-file=${dry.path}`],
        clock: dry.clock,
        timeoutMs: DRY_RUN_MS,
      });
      if (result.exitCode === null) throw new PostgresError(failureOf(result, DRY_RUN_MS));
      const found = result.exitCode === 0 ? null : complaint(result.stderr, dry.path);
      if (found === null || !names.has(found.name) || left.has(found.name)) break;
      unfit.set(found.name, found.why);
    }
  } finally {
    await rm(dry.path, { force: true });
  }
  return unfit;
}

/** The first setting that it complains about; null: it complains about something else. */
export function complaint(
  stderr: string,
  path: string,
): { readonly name: string; readonly why: string } | null {
  for (const line of stderr.split('\n')) {
    const text = /\b(?:LOG|ERROR|FATAL):\s+(.*)$/.exec(line)?.[1];
    const name = text === undefined ? undefined : /parameter "([^"]+)"/.exec(text)?.[1];
    if (text === undefined || name === undefined) continue;
    return {
      name: name.toLowerCase(),
      why: text.replace(` in file "${path}"`, '').replace(/ line \d+$/, ''),
    };
  }
  return null;
}
