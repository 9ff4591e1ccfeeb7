/** The configuration cut for each part of the daemon, in the part's own words. */
import type { WatchdogPolicy } from '../core/watchdog.ts';
import type { BootstrapMethod } from '../postgres/options.ts';
import type { TlsNames } from '../tls.ts';
import { PATRONI_PROTOCOL_VERSION } from '../version.ts';
import { type Address, addressText, type ListenAddress, parseAddress } from './address.ts';
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
  readonly tls: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
    readonly names: TlsNames;
  };
}

/** Everything but the certificates. */
export function storeAddress({ etcd3 }: Pick<Config, 'etcd3'>): Omit<StoreOptions, 'tls'> {
  const url = etcd3.url === undefined ? null : new URL(etcd3.url);
  // The URL first, as Patroni does: members of one cluster must not ask two stores.
  const hosts = url ? [url.host] : (etcd3.hosts ?? etcd3.host ?? []);
  const protocol = url?.protocol ?? `${etcd3.protocol ?? 'http'}:`;
  const urls = hosts.flatMap((host) => {
    const address = parseAddress(host, etcd3.port);
    return address ? [`${protocol}//${addressText(address)}`] : [];
  });
  return { urls, ...given('username', etcd3.username), ...given('password', etcd3.password) };
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
    connectAddress: addressText(postgresql.connect_address),
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

interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Where the REST API listens: one host, '' for every interface. */
export function restOptions({ restapi }: Config): { readonly listen: Address } {
  const [host = '*'] = restapi.listen.hosts;
  return { listen: { host: host === '*' ? '' : host, port: restapi.listen.port } };
}

/** Where other members reach the REST API. */
export function apiUrl({ restapi }: Pick<Config, 'restapi'>): string {
  const scheme = restapi.certfile === undefined ? 'http' : 'https';
  return `${scheme}://${addressText(restapi.connect_address)}/patroni`;
}

/** The hardware watchdog. */
export function watchdogOptions({ watchdog }: Pick<Config, 'watchdog'>): {
  readonly policy: WatchdogPolicy;
  readonly device: string;
  readonly testing: boolean;
} {
  const { mode, safety_margin: margin, device, driver } = watchdog;
  return {
    policy: { mode, safetyMarginMs: margin === -1 ? null : margin },
    device,
    testing: driver === 'testing',
  };
}

/** Who may ask the REST API to change something. */
export function restAccess({ restapi }: Pick<Config, 'restapi'>): {
  readonly credentials: Credentials | null;
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

/** What other members are shown, when a request changes something (C-3.8). */
export function peerCredentials({ ctl, restapi }: Pick<Config, 'ctl' | 'restapi'>) {
  return ctl.authentication ?? restapi.authentication ?? null;
}

/** Header fields of every answer; names in lower case, so that one wins over its like. */
export function restHeaders(
  { restapi }: Pick<Config, 'restapi'>,
  overTls: boolean,
): Readonly<Record<string, string>> {
  const { server_tokens: tokens, http_extra_headers: plain = {} } = restapi;
  const secure = overTls ? (restapi.https_extra_headers ?? {}) : {};
  const server = {
    original: {},
    productonly: { server: 'Patroni' },
    minimal: { server: `Patroni/${PATRONI_PROTOCOL_VERSION}` },
  }[tokens];
  const lower = (map: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(map).map(([name, value]) => [name.toLowerCase(), value]));
  return { ...server, ...lower(plain), ...lower(secure) };
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

type User = { readonly username: string } & Partial<
  Readonly<Record<(typeof CREDENTIAL_KEYS)[number], string>>
>;

function credentials(
  user: Readonly<Record<string, unknown>> & { readonly username: string },
): User {
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
  const { etcd3, restapi, ctl } = config;
  const found = [
    etcd3.password,
    restapi.authentication?.password,
    restapi.keyfile_password,
    ctl.authentication?.password,
    ctl.keyfile_password,
    ...users.flatMap((user) => [user?.password, user?.sslpassword]),
  ];
  return found.filter((value): value is string => typeof value === 'string' && value !== '');
}
