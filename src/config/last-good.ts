/**
 * The last configuration that was good, kept in the state directory: a daemon that is started again
 * with a file that cannot be used goes on as it was, instead of leaving its PostgreSQL alone. Not
 * where the new file names another cluster, member or data directory: then it is not a slip.
 */

import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Environment } from './environment.ts';
import { ConfigError, valueAt } from './errors.ts';
import { type Config, type Loaded, loadTree } from './load.ts';
import { isTree, type Tree } from './merge.ts';
import { readSource } from './read.ts';

const FILE = 'last-good.json';

interface Kept {
  /** File or folder that it was read from, absolute; '' for the environment alone. */
  readonly source: string;
  /** For people. */
  readonly savedAt: string;
  readonly tree: Tree;
}

/** Never rejects; false: it could not be kept. Passwords are in it, so nobody else may read it. */
export async function keepLastGood(
  path: string | undefined,
  { config, tree }: Loaded,
  now: Date,
): Promise<boolean> {
  const folder = config.tenure.state_dir;
  const kept: Kept = { source: sourceOf(path), savedAt: now.toISOString(), tree };
  const file = join(folder, FILE);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(`${file}.new`, JSON.stringify(kept), { mode: 0o600 });
    await rename(`${file}.new`, file);
    return true;
  } catch {
    return false;
  }
}

/** What was kept by a daemon of the same file; null: nothing that fits. */
export function lastGood(
  path: string | undefined,
  environment: Environment,
): (Loaded & { readonly savedAt: string }) | null {
  const found = clues(path, environment);
  const kept = found.stateDir === null ? null : readKept(join(found.stateDir, FILE));
  if (kept === null || kept.source !== sourceOf(path)) return null;
  try {
    const name = `${path ?? 'environment'} (the last good one)`;
    const loaded = loadTree({ name, tree: kept.tree, layers: [], warnings: [] }, environment);
    return fits(found, loaded.config) ? { ...loaded, savedAt: kept.savedAt } : null;
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

function sourceOf(path: string | undefined): string {
  return path === undefined ? '' : resolve(path);
}

/** What a file that cannot be used says of who it is for; null: nothing. */
interface Clues {
  readonly stateDir: string | null;
  readonly dataDir: string | null;
  readonly scope: string | null;
  readonly name: string | null;
}

function fits(found: Clues, { scope, name, postgresql }: Config): boolean {
  return (
    (found.scope ?? scope) === scope &&
    (found.name ?? name) === name &&
    resolve(found.dataDir ?? postgresql.data_dir) === postgresql.data_dir
  );
}

function clues(path: string | undefined, environment: Environment): Clues {
  const tree = readable(path, environment);
  const text = tree === null && path !== undefined ? textOf(path) : '';
  const said = (...at: string[]): string | null => {
    const value = tree === null ? lineIn(text, at) : valueAt(tree, at);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
  };
  const dataDir = said('postgresql', 'data_dir');
  const stateDir = said('tenure', 'state_dir') ?? (dataDir === null ? null : `${dataDir}.tenure`);
  return {
    stateDir: stateDir === null ? null : resolve(stateDir),
    dataDir,
    scope: said('scope'),
    name: said('name'),
  };
}

function readable(path: string | undefined, environment: Environment): Tree | null {
  try {
    return readSource(path, environment).tree;
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Of a file that is no YAML any more: a plain line at the depth where the key stands, if there is one. */
function lineIn(text: string, at: readonly string[]): string | null {
  const indent = at.length === 1 ? '' : '[ ]+';
  const line = new RegExp(`^${indent}${at.at(-1)}:[ ]*(\\S+)[ ]*(?:#.*)?$`, 'm').exec(text);
  return line?.[1]?.replace(/^(['"])(.*)\1$/, '$2') ?? null;
}

function readKept(file: string): Kept | null {
  try {
    const kept: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isTree(kept) || !isTree(kept.tree) || typeof kept.source !== 'string') return null;
    return { source: kept.source, savedAt: String(kept.savedAt), tree: kept.tree };
  } catch {
    return null;
  }
}
