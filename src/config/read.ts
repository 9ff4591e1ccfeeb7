/** Finds the configuration: a file, a folder of files, or the environment alone (C-6.1). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Environment, readEnvironment } from './environment.ts';
import { ConfigError } from './errors.ts';
import { overlay, type Tree, withoutNulls } from './merge.ts';
import { parseYaml } from './yaml.ts';

export interface Source {
  /** For messages: the file, the folder or the variable. */
  readonly name: string;
  readonly tree: Tree;
  readonly warnings: readonly string[];
}

/** @throws ConfigError nothing to read, or it is not YAML */
export function readSource(path: string | undefined, environment: Environment): Source {
  if (path !== undefined && exists(path)) {
    const read = readEnvironment(environment);
    const tree = overlay(withoutNulls(readPath(path)), read.values);
    return { name: path, tree, warnings: read.warnings };
  }
  const gone =
    path === undefined ? [] : [`${path} does not exist: the environment is used instead`];
  const variable = environment.TENURE_CONFIGURATION
    ? 'TENURE_CONFIGURATION'
    : 'PATRONI_CONFIGURATION';
  const inline = environment[variable];
  if (inline)
    return { name: variable, tree: withoutNulls(parseYaml(inline, variable)), warnings: gone };
  const read = readEnvironment(environment);
  if (Object.keys(read.values).length === 0) {
    throw new ConfigError(path ?? 'configuration', [
      path === undefined ? 'no configuration file is given' : 'no such file or folder',
    ]);
  }
  return { name: path ?? 'environment', tree: read.values, warnings: [...gone, ...read.warnings] };
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function readPath(path: string): Tree {
  try {
    if (!statSync(path).isDirectory()) return parseYaml(readFileSync(path, 'utf8'), path);
    const names = readdirSync(path).filter((name) => /\.ya?ml$/.test(name));
    if (names.length === 0) throw new ConfigError(path, ['no *.yml file in this folder']);
    return names
      .sort()
      .map((name) => parseYaml(readFileSync(join(path, name), 'utf8'), join(path, name)))
      .reduce<Tree>(overlay, {});
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(path, [`cannot be read: ${(error as Error).message}`], { cause: error });
  }
}
