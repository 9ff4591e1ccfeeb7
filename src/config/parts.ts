/** The configuration cut for each part of the daemon, in the part's own words. */
import { readFileSync } from 'node:fs';
import type { BootstrapMethod } from '../postgres/options.ts';
import { type Address, addressText, type ListenAddress, parseAddress } from './address.ts';
import { ConfigError } from './errors.ts';
import type { Config } from './load.ts';
import { isTree, type Tree } from './merge.ts';
import { methodOf } from './methods.ts';
import { parseBoolean, settingText, toolOptionList } from './values.ts';

/** What a client of etcd has to be told. */
export interface StoreOptions {
  /** `http://host:port`; all http or all https. */
  readonly urls: readonly string[];
  readonly username?: string;
  readonly password?: string;
  /** PEM. */
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
}

/** @throws ConfigError a certificate or key cannot be read */
export function storeOptions({ etcd3 }: Pick<Config, 'etcd3'>): StoreOptions {
  const named = etcd3.hosts ?? etcd3.host;
  const url = etcd3.url === undefined ? null : new URL(etcd3.url);
  const hosts = named ?? (url ? [url.host] : []);
  // The protocol of a URL counts only where the URL is used.
  const protocol = named === undefined && url ? url.protocol : `${etcd3.protocol ?? 'http'}:`;
  const urls = hosts.flatMap((host) => {
    const address = parseAddress(host, etcd3.port);
    return address ? [`${protocol}//${addressText(address)}`] : [];
  });
  return {
    urls,
    ...given('username', etcd3.username),
    ...given('password', etcd3.password),
    tls: {
      ...given('ca', readPem('cacert', etcd3.cacert)),
      ...given('cert', readPem('cert', etcd3.cert)),
      ...given('key', readPem('key', etcd3.key)),
    },
  };
}

function readPem(key: string, file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError(`etcd3.${key}`, [`${file} cannot be read: ${(error as Error).message}`], {
      cause: error,
    });
  }
}

/** What the local PostgreSQL has to be told once; the rest is in ServerSettings. */
export function postgresOptions(config: Config) {
  const { postgresql, bootstrap } = config;
  const { superuser, replication, rewind } = postgresql.authentication;
  const script = bootstrap?.post_bootstrap ?? bootstrap?.post_init;
  return {
    name: config.name,
    scope: config.scope,
    dataDir: postgresql.data_dir,
    configDir: postgresql.config_dir,
    configBaseName: postgresql.config_base_name,
    ...given('customConf', postgresql.custom_conf),
    ...given('binDir', postgresql.bin_dir),
    binNames: named(postgresql.bin_name),
    listen: listenText(postgresql.listen),
    stateDir: config.tenure.state_dir,
    pgpassPath: postgresql.pgpass,
    superuser: credentials(superuser),
    replication: credentials(replication),
    ...(rewind ? { rewind: credentials(rewind) } : {}),
    database: postgresql.database,
    initdb: toolOptionList(bootstrap?.initdb ?? []),
    ...given('bootstrapPgHba', bootstrap?.pg_hba),
    ...given('postBootstrap', script),
    ...given('bootstrapMethod', bootstrapMethod(config)),
    useUnixSocket: postgresql.use_unix_socket,
    ctlTimeoutMs: postgresql.pg_ctl_timeout,
  };
}

/** Undefined: initdb. */
function bootstrapMethod({ bootstrap }: Config): BootstrapMethod | undefined {
  if (bootstrap === undefined || bootstrap.method === 'initdb') return undefined;
  const section = bootstrap[bootstrap.method];
  const words: Tree = isTree(section) ? section : {};
  const recovery = isTree(words.recovery_conf) ? words.recovery_conf : null;
  return {
    program: methodOf(bootstrap.method, section),
    recoveryConf:
      recovery === null
        ? null
        : Object.fromEntries(
            Object.entries(recovery).map(([name, value]) => [
              name.toLowerCase(),
              settingText(value as string),
            ]),
          ),
    keepRecoveryConf: parseBoolean(words.keep_existing_recovery_conf) ?? false,
  };
}

/** Where the REST API listens: one host, '' for every interface. */
export function restOptions({ restapi }: Config): {
  readonly listen: Address;
  readonly connect: Address;
} {
  const [host = '*'] = restapi.listen.hosts;
  return {
    listen: { host: host === '*' ? '' : host, port: restapi.listen.port },
    connect: restapi.connect_address,
  };
}

/** Who may ask the REST API to change something. */
export function restAccess({ restapi }: Pick<Config, 'restapi'>): {
  readonly credentials: { readonly username: string; readonly password: string } | null;
  readonly allowlist: readonly string[] | null;
  readonly includeMembers: boolean;
} {
  const { authentication, allowlist = [], allowlist_include_members: includeMembers } = restapi;
  return {
    credentials: authentication ?? null,
    allowlist: allowlist.length === 0 && !includeMembers ? null : allowlist,
    includeMembers,
  };
}

/** `host,host:port` again. */
function listenText(listen: ListenAddress): string {
  const hosts = listen.hosts.map((host) => (host.includes(':') ? `[${host}]` : host));
  return `${hosts.join(',')}:${listen.port}`;
}

const CREDENTIAL_KEYS = [
  'password',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslrootcert',
  'sslcrl',
  'sslcrldir',
  'gssencmode',
  'channel_binding',
  'sslnegotiation',
] as const;

type Credentials = { readonly username: string } & Partial<
  Readonly<Record<(typeof CREDENTIAL_KEYS)[number], string>>
>;

function credentials(
  user: Readonly<Record<string, unknown>> & { readonly username: string },
): Credentials {
  const rest = CREDENTIAL_KEYS.filter((key) => user[key] !== undefined);
  return {
    username: user.username,
    ...Object.fromEntries(rest.map((key) => [key, String(user[key])])),
  };
}

function named(names: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(names).flatMap(([tool, name]) =>
      name === undefined ? [] : [[tool, String(name)]],
    ),
  );
}

/** `{ key: value }`, or nothing when there is none: absent and undefined are different things to the types. */
function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V };
}

/** Every configured value that must never be seen in a log. */
export function secretsOf(config: Config): readonly string[] {
  const users = Object.values(config.postgresql.authentication) as (
    | Readonly<Record<string, unknown>>
    | undefined
  )[];
  const found = [
    config.etcd3.password,
    ...users.flatMap((user) => [user?.password, user?.sslpassword]),
  ];
  const restapi = config.restapi.authentication as Readonly<Record<string, unknown>> | undefined;
  found.push(restapi?.password as string | undefined);
  return found.filter((value): value is string => typeof value === 'string' && value !== '');
}
