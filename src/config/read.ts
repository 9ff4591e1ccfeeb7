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
  /** What the tree was put together from: files and variables, what wins last. */
  readonly layers: readonly (readonly [name: string, tree: Tree])[];
  readonly warnings: readonly string[];
}

/** @throws ConfigError nothing to read, or it is not YAML */
export function readSource(path: string | undefined, environment: Environment): Source {
  if (path !== undefined && exists(path)) {
    const read = readEnvironment(environment);
    const layers = [...readPath(path), ...read.layers];
    const tree = layers.reduce<Tree>((all, [, layer]) => overlay(all, layer), {});
    return { name: path, tree, layers, warnings: read.warnings };
  }
  const gone =
    path === undefined ? [] : [`${path} does not exist: the environment is used instead`];
  const variable = environment.TENURE_CONFIGURATION
    ? 'TENURE_CONFIGURATION'
    : 'PATRONI_CONFIGURATION';
  const inline = environment[variable];
  if (inline) {
    const tree = withoutNulls(parseYaml(inline, variable));
    return { name: variable, tree, layers: [[variable, tree]], warnings: gone };
  }
  const read = readEnvironment(environment);
  if (Object.keys(read.values).length === 0) {
    throw new ConfigError(path ?? 'configuration', [
      path === undefined ? 'no configuration file is given' : 'no such file or folder',
    ]);
  }
  return {
    name: path ?? 'environment',
    tree: read.values,
    layers: read.layers,
    warnings: [...gone, ...read.warnings],
  };
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Each file with what it says. */
function readPath(path: string): (readonly [string, Tree])[] {
  const read = (file: string): readonly [string, Tree] => [
    file,
    withoutNulls(parseYaml(readFileSync(file, 'utf8'), file)),
  ];
  try {
    if (!statSync(path).isDirectory()) return [read(path)];
    const names = readdirSync(path).filter((name) => /\.ya?ml$/.test(name));
    if (names.length === 0) throw new ConfigError(path, ['no *.yml file in this folder']);
    return names.sort().map((name) => read(join(path, name)));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(path, [`cannot be read: ${(error as Error).message}`], { cause: error });
  }
}
