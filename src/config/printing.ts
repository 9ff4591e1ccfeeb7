/** What applies of the configuration, and where each value comes from (C-6.9): YAML with comments. */
import { Redactor } from '../log/redact.ts';
import { addressText } from './address.ts';
import { initialDynamicConfiguration } from './effective.ts';
import type { Environment } from './environment.ts';
import { isSecretPath, valueAt } from './errors.ts';
import { jsonSchema, type SchemaNode } from './inspect.ts';
import { loadConfig } from './load.ts';
import { isTree, overlay, type Tree } from './merge.ts';
import { secretsOf } from './parts.ts';
import { readSource } from './read.ts';
import { localSchema } from './schema.ts';

const HIDDEN = '***';

/**
 * One line for each value, secrets hidden.
 * @throws ConfigError it is not valid
 */
export function printConfig(path: string | undefined, environment: Environment): string {
  const { config } = loadConfig(path, environment);
  const source = readSource(path, environment);
  const derived: Tree = {
    restapi: { connect_address: addressText(config.restapi.connect_address) },
    postgresql: {
      connect_address: addressText(config.postgresql.connect_address),
      config_dir: config.postgresql.config_dir,
      pgpass: config.postgresql.pgpass,
    },
    tenure: { state_dir: config.tenure.state_dir },
    ...(config.bootstrap && { bootstrap: { dcs: initialDynamicConfiguration(config) } }),
  };
  const filled = defaultsOf(jsonSchema(localSchema), { ...config }, source.tree);
  const standard = overlay(filled, derived);
  const layers = [['default', standard] as const, ...source.layers];
  const tree = layers.reduce<Tree>((all, [, layer]) => overlay(all, layer), {});
  const origin = (at: readonly string[]): string =>
    layers.findLast(([, layer]) => valueAt(layer, at) !== undefined)?.[0] ?? 'default';
  // A command or a connection string may repeat a password.
  const redactor = new Redactor();
  redactor.add(secretsOf(config));
  return `${linesOf(tree, [], origin, redactor).join('\n')}\n`;
}

function linesOf(
  tree: Tree,
  at: readonly string[],
  origin: (at: readonly string[]) => string,
  redactor: Redactor,
): string[] {
  const indent = '  '.repeat(at.length);
  return Object.entries(tree).flatMap(([key, value]) => {
    const path = [...at, key];
    const name = /^[A-Za-z_][\w.-]*$/.test(key) ? key : JSON.stringify(key);
    if (isTree(value) && Object.keys(value).length > 0)
      return [`${indent}${name}:`, ...linesOf(value, path, origin, redactor)];
    const shown = isSecretPath(path)
      ? JSON.stringify(HIDDEN)
      : redactor.text(JSON.stringify(value));
    return [`${indent}${name}: ${shown} # ${origin(path)}`];
  });
}

/** Values that the schema has filled in, as people would write them. */
function defaultsOf(node: SchemaNode, filled: Tree, written: Tree): Tree {
  return Object.fromEntries(
    Object.entries(node.properties ?? {}).flatMap(([key, below]): [string, unknown][] => {
      const [value, said] = [filled[key], written[key]];
      if (value === undefined || key === 'dcs') return [];
      if (below.properties !== undefined && isTree(value)) {
        const inside = defaultsOf(below, value, isTree(said) ? said : {});
        return Object.keys(inside).length > 0 ? [[key, inside]] : [];
      }
      if (said !== undefined) return [];
      const seconds = below.allowed?.startsWith('seconds') === true;
      // -1 stands for what another value decides.
      return [[key, seconds && value !== -1 ? Number(value) / 1000 : value]];
    }),
  );
}
