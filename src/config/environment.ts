/**
 * `PATRONI_*` and `TENURE_*` variables. `TENURE_*` wins. Values lie over the file's (C-6.1).
 */
import { withFileVariables } from './file-variables.ts';
import { overlay, type Tree } from './merge.ts';
import { parseYaml } from './yaml.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type Kind = 'text' | 'yaml' | 'list';
type Target = readonly [path: readonly string[], kind: Kind];

const POSTGRESQL = [
  'LISTEN',
  'CONNECT_ADDRESS',
  'PROXY_ADDRESS',
  'CONFIG_DIR',
  'DATA_DIR',
  'PGPASS',
  'BIN_DIR',
];
const BINARIES = [
  'PG_CTL',
  'INITDB',
  'PG_CONTROLDATA',
  'PG_BASEBACKUP',
  'POSTGRES',
  'PG_ISREADY',
  'PG_REWIND',
];
const USER = [
  'USERNAME',
  'PASSWORD',
  'SSLMODE',
  'SSLCERT',
  'SSLKEY',
  'SSLPASSWORD',
  'SSLROOTCERT',
  'SSLCRL',
  'SSLCRLDIR',
  'GSSENCMODE',
  'CHANNEL_BINDING',
  'SSLNEGOTIATION',
];
const LOG = [
  'TYPE',
  'LEVEL',
  'TRACEBACK_LEVEL',
  'FORMAT',
  'DATEFORMAT',
  'MAX_QUEUE_SIZE',
  'DIR',
  'MODE',
  'FILE_SIZE',
  'FILE_NUM',
];
const LOG_YAML = ['STATIC_FIELDS', 'LOGGERS', 'DEDUPLICATE_HEARTBEAT_LOGS'];
const TLS = ['CERTFILE', 'KEYFILE', 'KEYFILE_PASSWORD', 'CAFILE', 'CIPHERS', 'VERIFY_CLIENT'];
const RESTAPI = [
  'LISTEN',
  'CONNECT_ADDRESS',
  ...TLS,
  'SERVER_TOKENS',
  'REQUEST_QUEUE_SIZE',
  'THREAD_POOL_SIZE',
];
const RESTAPI_YAML = ['HTTP_EXTRA_HEADERS', 'HTTPS_EXTRA_HEADERS', 'ALLOWLIST_INCLUDE_MEMBERS'];
const CTL = ['INSECURE', 'CACERT', 'CERTFILE', 'KEYFILE', 'KEYFILE_PASSWORD'];
const ETCD3 = [
  'HOST',
  'HOSTS',
  'PORT',
  'URL',
  'PROXY',
  'SRV',
  'SRV_SUFFIX',
  'PROTOCOL',
  'CACERT',
  'CERT',
  'KEY',
  'USERNAME',
  'PASSWORD',
];
/** Of stores that are refused: any variable of theirs stands for the section. */
const OTHER_STORES = ['ETCD', 'CONSUL', 'ZOOKEEPER', 'EXHIBITOR', 'KUBERNETES', 'RAFT', 'CITUS'];

/** Variable without prefix → where it belongs. */
const TARGETS: ReadonlyMap<string, Target> = targets();

function targets(): Map<string, Target> {
  const map = new Map<string, Target>();
  const add = (
    section: readonly string[],
    prefix: string,
    names: readonly string[],
    kind: Kind = 'text',
  ): void => {
    for (const name of names) map.set(`${prefix}${name}`, [[...section, name.toLowerCase()], kind]);
  };
  add([], '', ['NAME', 'NAMESPACE', 'SCOPE', 'THREAD_POOL_SIZE', 'THREAD_STACK_SIZE']);
  add(['log'], 'LOG_', LOG);
  add(['log'], 'LOG_', LOG_YAML, 'yaml');
  map.set('LOGLEVEL', [['log', 'level'], 'text']);
  map.set('LOGFORMAT', [['log', 'format'], 'text']);
  map.set('LOG_DATEFMT', [['log', 'dateformat'], 'text']);
  add(['restapi'], 'RESTAPI_', RESTAPI);
  add(['restapi'], 'RESTAPI_', RESTAPI_YAML, 'yaml');
  add(['restapi'], 'RESTAPI_', ['ALLOWLIST'], 'list');
  add(['restapi', 'authentication'], 'RESTAPI_', ['USERNAME', 'PASSWORD']);
  add(['ctl'], 'CTL_', CTL);
  add(['ctl', 'authentication'], 'CTL_', ['USERNAME', 'PASSWORD']);
  add(['postgresql'], 'POSTGRESQL_', POSTGRESQL);
  add(['postgresql', 'bin_name'], 'POSTGRESQL_BIN_', BINARIES);
  for (const role of ['superuser', 'replication', 'rewind']) {
    add(['postgresql', 'authentication', role], `${role.toUpperCase()}_`, USER);
  }
  add(['etcd3'], 'ETCD3_', ETCD3);
  add(['etcd3'], 'ETCD3_', ['USE_PROXIES'], 'yaml');
  map.set('STATE_DIR', [['tenure', 'state_dir'], 'text']);
  map.set('GUARD', [['tenure', 'guard'], 'text']);
  return map;
}

/** Names without prefix, with the key that each sets; for the documentation. */
export function environmentVariables(): readonly (readonly [string, string])[] {
  return [...TARGETS].map(([name, [path]]) => [name, path.join('.')] as const);
}

/** Read by the loader and by the launcher, not settings. */
const NOT_SETTINGS = new Set(['CONFIGURATION', 'NODE', 'VERSION', 'TEST_REPORT']);

const OURS = /^(PATRONI|TENURE)_(.+)$/;

export interface EnvironmentRead {
  readonly values: Tree;
  /** Each variable that counts, with what it alone says. */
  readonly layers: readonly (readonly [variable: string, tree: Tree])[];
  readonly warnings: readonly string[];
}

/**
 * The variables as a tree of sections.
 * @throws ConfigError a variable that holds a list or a map is not YAML, or the file that one names
 *   cannot be used
 */
export function readEnvironment(given: Environment): EnvironmentRead {
  const environment = withFileVariables(given, (name) => TARGETS.has(name));
  const warnings: string[] = [];
  let values: Record<string, unknown> = {};
  const names = new Set<string>();
  for (const [variable, value] of Object.entries(environment)) {
    const name = OURS.exec(variable)?.[2];
    if (name !== undefined && value) names.add(name);
  }
  const layers: [string, Tree][] = [];
  for (const name of [...names].sort()) {
    const read = readOne(name, environment, warnings);
    if (!read) continue;
    values = overlay(values, read);
    layers.push([environment[`TENURE_${name}`] ? `TENURE_${name}` : `PATRONI_${name}`, read]);
  }
  return { values, layers, warnings };
}

function readOne(name: string, environment: Environment, warnings: string[]): Tree | null {
  const [ours, theirs] = [environment[`TENURE_${name}`], environment[`PATRONI_${name}`]];
  const variable = ours ? `TENURE_${name}` : `PATRONI_${name}`;
  const target = TARGETS.get(name) ?? otherStore(name);
  if (!target) {
    // Other variables of ours and of images (TENURE_NODE, PATRONI_VERSION) are no settings.
    if (!NOT_SETTINGS.has(name)) warnings.push(`${variable} is not known: ignored`);
    return null;
  }
  if (ours && theirs)
    warnings.push(`TENURE_${name} and PATRONI_${name} are both set: TENURE_${name} is used`);
  const text = ours ? ours : (theirs ?? '');
  const [path, kind] = target;
  if (kind === 'text') return nested(path, text);
  const value = yamlValue(text, variable);
  return nested(path, kind === 'list' && !Array.isArray(value) ? separated(text) : value);
}

function otherStore(name: string): Target | undefined {
  const section = OTHER_STORES.find((store) => name.startsWith(`${store}_`));
  return section
    ? [[section.toLowerCase(), name.slice(section.length + 1).toLowerCase()], 'text']
    : undefined;
}

function nested(path: readonly string[], value: unknown): Tree {
  const [first = '', ...rest] = path;
  return { [first]: rest.length === 0 ? value : nested(rest, value) };
}

function separated(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function yamlValue(text: string, variable: string): unknown {
  return parseYaml(
    `value: ${text.includes('\n') ? `\n${text.replace(/^/gm, '  ')}` : text}`,
    variable,
  ).value;
}
