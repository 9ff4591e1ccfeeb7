/** Which executables to run: the configured folder, PATH, or Debian's folder for the right version. */
import { accessSync, constants, readdirSync, realpathSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { PostgresError } from './postgres.ts';

export type ToolName =
  | 'postgres'
  | 'initdb'
  | 'pg_controldata'
  | 'pg_basebackup'
  | 'pg_rewind'
  | 'pg_waldump';

const DEBIAN = '/usr/lib/postgresql';
export const OLDEST_VERSION = 13;
export const NEWEST_VERSION = 18;

export class Tools {
  readonly #binDir: string;
  readonly #names: Readonly<Record<string, string>>;

  constructor(binDir = '', names: Readonly<Record<string, string>> = {}) {
    this.#binDir = binDir;
    this.#names = names;
  }

  /** Name of the executable, without its folder. */
  nameOf(tool: ToolName): string {
    return this.#names[tool] ?? tool;
  }

  /**
   * @param version major version of the data directory; null when there is none yet
   * @throws PostgresError it is nowhere
   */
  find(tool: ToolName, version: number | null): string {
    const name = this.nameOf(tool);
    if (name.includes('/')) return name;
    const folders = this.#folders(version);
    for (const folder of folders) {
      const path = join(folder, name);
      if (executable(path)) return path;
    }
    throw new PostgresError(`${name} is not in ${folders.join(', ')} (postgresql.bin_dir)`);
  }

  /** What {@link find} says about those that are nowhere, one line each. */
  missing(wanted: readonly ToolName[], version: number | null): string[] {
    return wanted.flatMap((tool) => {
      try {
        this.find(tool, version);
        return [];
      } catch (error) {
        if (!(error instanceof PostgresError)) throw error;
        return [error.message];
      }
    });
  }

  #folders(version: number | null): string[] {
    if (this.#binDir !== '') return [this.#binDir];
    const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
    if (version !== null) return [...path, join(DEBIAN, String(version), 'bin')];
    return [...path, ...debianVersions().map((found) => join(DEBIAN, String(found), 'bin'))];
  }
}

function debianVersions(): number[] {
  try {
    return readdirSync(DEBIAN)
      .map(Number)
      .filter((version) => Number.isInteger(version))
      .sort((a, b) => b - a);
  } catch {
    return [];
  }
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    // Debian's wrapper on PATH chooses a version by rules of its own.
    return basename(realpathSync(path)) !== 'pg_wrapper';
  } catch {
    return false;
  }
}

/** Major version of `postgres (PostgreSQL) 15.20 (Debian …)`; null when it says something else. */
export function parseVersion(text: string): number | null {
  const match = /\(PostgreSQL\) (\d+)/.exec(text);
  return match === null ? null : Number(match[1]);
}

/** @throws PostgresError too old to work with */
export function refuseOld(version: number): void {
  if (version >= OLDEST_VERSION) return;
  throw new PostgresError(tooOld(version));
}

export function tooOld(version: number): string {
  return `PostgreSQL ${version} is not supported: Tenure works with ${OLDEST_VERSION} to ${NEWEST_VERSION}`;
}
