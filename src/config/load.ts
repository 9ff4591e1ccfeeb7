/** From file and environment to a checked configuration, or to one list of everything that is wrong. */
import { homedir } from 'node:os';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { type Address, isWildcard, type ListenAddress } from './address.ts';
import type { Environment } from './environment.ts';
import { ConfigError, faultLine } from './errors.ts';
import { inspect, jsonSchema, type SchemaNode } from './inspect.ts';
import { isTree, type Tree } from './merge.ts';
import { methodSections } from './methods.ts';
import { allowedOptions, INITDB_OWN } from './options.ts';
import { readSource, type Source } from './read.ts';
import { refusals, remarks } from './rules.ts';
import { type LocalConfig, localSchema } from './schema.ts';

/** The checked configuration. Keys are those of the file; durations are ms, sizes bytes, folders absolute. */
export interface Config extends LocalConfig {
  readonly restapi: LocalConfig['restapi'] & { readonly connect_address: Address };
  readonly postgresql: LocalConfig['postgresql'] & {
    readonly connect_address: Address;
    readonly config_dir: string;
    readonly pgpass: string;
  };
  readonly tenure: LocalConfig['tenure'] & { readonly state_dir: string };
  /** `bootstrap.dcs` as written: it becomes `/config`, so nothing in it may be rounded or dropped. */
  readonly bootstrapDynamic: Tree;
}

export interface Loaded {
  readonly config: Config;
  /** Files and variables laid over each other, as they were written. */
  readonly tree: Tree;
  /** One line each, for the log. */
  readonly warnings: readonly string[];
}

/** For the walk along the schema; made once. */
export const localJsonSchema = jsonSchema(localSchema);

/**
 * @param path a file or a folder of *.yml; undefined or missing: the environment alone
 * @throws ConfigError with every fault
 */
export function loadConfig(path: string | undefined, environment: Environment): Loaded {
  return loadTree(readSource(path, environment), environment);
}

/** @throws ConfigError with every fault */
export function loadTree(source: Source, environment: Environment): Loaded {
  const found = inspect(withMethods(localJsonSchema, source.tree), source.tree);
  const parsed = localSchema.safeParse(source.tree);
  const faults = [...found.faults, ...refusals(source.tree)];
  if (!parsed.success) {
    faults.push(
      ...parsed.error.issues.map((issue) => faultLine(source.tree, issue.path, issue.message)),
    );
    throw new ConfigError(source.name, faults);
  }
  const config = completed(parsed.data, source.tree, environment, faults);
  if (config === null || faults.length > 0) throw new ConfigError(source.name, faults);
  const warnings = [...source.warnings, ...found.warnings, ...remarks(config)];
  return { config: withAllowedOptions(config, warnings), tree: source.tree, warnings };
}

/** The operator's own methods have sections whose names are the operator's. */
function withMethods(node: SchemaNode, tree: Tree): SchemaNode {
  const sections: Record<string, SchemaNode> = { ...node.properties };
  for (const [section, name] of methodSections(tree)) {
    const below = sections[section] ?? {};
    sections[section] = { ...below, properties: { ...below.properties, [name]: {} } };
  }
  return { ...node, properties: sections };
}

/** Fills in what depends on other keys; null when that cannot be done, with the reason in `faults`. */
function completed(
  local: LocalConfig,
  tree: Tree,
  environment: Environment,
  faults: string[],
): Config | null {
  const restapi = local.restapi.connect_address ?? reachable(local.restapi.listen);
  const postgresql = local.postgresql.connect_address ?? reachable(local.postgresql.listen);
  const allowed = 'host:port, because listen does not name one reachable host';
  if (!restapi) faults.push(faultLine(tree, ['restapi', 'connect_address'], allowed));
  if (!postgresql) faults.push(faultLine(tree, ['postgresql', 'connect_address'], allowed));
  if (!restapi || !postgresql) return null;
  const dataDirectory = resolve(local.postgresql.data_dir);
  const stateDirectory = resolve(local.tenure.state_dir ?? `${dataDirectory}.tenure`);
  if (isInside(stateDirectory, dataDirectory)) {
    faults.push(
      faultLine(
        tree,
        ['tenure', 'state_dir'],
        'a folder outside postgresql.data_dir, which clones and pg_rewind clear',
      ),
    );
  }
  const bootstrap = isTree(tree.bootstrap) ? tree.bootstrap : {};
  return {
    ...local,
    restapi: { ...local.restapi, connect_address: restapi },
    postgresql: {
      ...local.postgresql,
      connect_address: postgresql,
      data_dir: dataDirectory,
      config_dir: resolve(local.postgresql.config_dir ?? dataDirectory),
      pgpass: resolve(local.postgresql.pgpass ?? join(environment.HOME ?? homedir(), 'pgpass')),
    },
    tenure: { ...local.tenure, state_dir: stateDirectory },
    bootstrapDynamic: isTree(bootstrap.dcs) ? bootstrap.dcs : {},
  };
}

function reachable(listen: ListenAddress): Address | null {
  const host = listen.hosts.find((name) => !isWildcard(name));
  return host === undefined ? null : { host, port: listen.port };
}

function isInside(folder: string, parent: string): boolean {
  const way = relative(parent, folder);
  return way === '' || (way !== '..' && !way.startsWith('../') && !isAbsolute(way));
}

function withAllowedOptions(config: Config, warnings: string[]): Config {
  const { bootstrap } = config;
  if (bootstrap === undefined) return config;
  const initdb = allowedOptions('bootstrap.initdb', bootstrap.initdb, INITDB_OWN, warnings);
  return { ...config, bootstrap: { ...bootstrap, initdb } };
}
