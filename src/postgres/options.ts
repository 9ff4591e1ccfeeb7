/**
 * What a LocalPostgres has to be told once, and the places on disk that follow from it.
 * What may change while the agent runs is in ServerSettings.
 */
import { basename, dirname, join, resolve } from 'node:path';
import type { Clock } from '../clock.ts';

/** A database user, with the libpq words of contract 6.2 for how it connects. */
export interface Credentials {
  readonly username: string;
  /** Absent: the server is expected not to ask for one. */
  readonly password?: string;
  readonly sslmode?: string;
  readonly sslcert?: string;
  readonly sslkey?: string;
  readonly sslpassword?: string;
  readonly sslrootcert?: string;
  readonly sslcrl?: string;
  readonly sslcrldir?: string;
  readonly gssencmode?: string;
  readonly channel_binding?: string;
  readonly sslnegotiation?: string;
}

/** Options of initdb and pg_basebackup as people write them (C-6.7): strings, or maps of one entry. */
export type ToolOptions =
  | readonly (string | Readonly<Record<string, unknown>>)[]
  | Readonly<Record<string, unknown>>;

/** A program of the operator that makes a cluster or a replica (C-6.7). */
export interface OwnMethod {
  readonly name: string;
  /** Split into words, without a shell. */
  readonly command: string;
  /** Handed over as `--name=value`. */
  readonly options: Readonly<Record<string, string>>;
  /** Nothing but the command and its options: no scope, data directory, role, connection string. */
  readonly noParameters: boolean;
  /** Wants the data directory as it is. */
  readonly keepData: boolean;
}

export interface BootstrapMethod {
  readonly program: OwnMethod;
  /**
   * Recovery settings with which what the program left is started until it is a primary, targets
   * included; null: it is started as a primary at once.
   */
  readonly recoveryConf: Readonly<Record<string, string>> | null;
  /** The program has said itself how to recover: recovery.signal and its settings stay. */
  readonly keepRecoveryConf: boolean;
}

export type Log = (level: 'debug' | 'info' | 'warn' | 'error', text: string) => void;

export interface LocalPostgresOptions {
  /** Name of this member: application_name and slot name come from it. */
  readonly name: string;
  /** Name of the cluster: default of cluster_name. */
  readonly scope: string;
  readonly dataDir: string;
  /** Where postgresql.conf and its like live; default: the data directory. */
  readonly configDir?: string;
  /** Default `postgresql`: the word in `postgresql.conf` and `postgresql.base.conf`. */
  readonly configBaseName?: string;
  /** A file that the generated configuration includes instead of `postgresql.base.conf`. */
  readonly customConf?: string;
  /** '' or absent: PATH, then Debian's /usr/lib/postgresql/<major>/bin. */
  readonly binDir?: string;
  /** Other names of the tools: `postgres`, `initdb`, … */
  readonly binNames?: Readonly<Record<string, string>>;
  /** `host:port`; several hosts as `a,b:port`; `*` for all. */
  readonly listen: string;
  /** `host:port` where others reach this server: a name that its certificate may have. */
  readonly connectAddress: string;
  /** Our own state; default `<dataDir>.tenure`. Never inside the data directory (S7). */
  readonly stateDir?: string;
  readonly pgpassPath: string;
  readonly superuser: Credentials;
  readonly replication: Credentials;
  /** Absent: the superuser rewinds. */
  readonly rewind?: Credentials;
  /** Database to connect to; default `postgres`. */
  readonly database?: string;
  readonly initdb?: ToolOptions;
  /** Lines appended to initdb's own pg_hba.conf when there is no `postgresql.pg_hba`. */
  readonly bootstrapPgHba?: readonly string[];
  /** `bootstrap.post_bootstrap` or `post_init`: a command line; the DSN is appended. */
  readonly postBootstrap?: string;
  /** `bootstrap.method` where it is not initdb. */
  readonly bootstrapMethod?: BootstrapMethod;
  readonly basebackup?: ToolOptions;
  /** Connect to the local server through its socket directory. */
  readonly useUnixSocket?: boolean;
  /** Bound of small pieces of work with the local server, ms; default 60,000 (C-6.2 pg_ctl_timeout). */
  readonly ctlTimeoutMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Every path that this folder touches. */
export interface Places {
  readonly dataDir: string;
  readonly configDir: string;
  readonly stateDir: string;
  /** The generated file. */
  readonly conf: string;
  /** What was postgresql.conf before us. */
  readonly baseConf: string;
  readonly hba: string;
  readonly ident: string;
  readonly standbySignal: string;
  readonly recoverySignal: string;
  readonly postmasterPid: string;
  readonly wal: string;
}

export function placesOf(options: LocalPostgresOptions): Places {
  const dataDir = resolve(options.dataDir);
  const configDir = options.configDir ? resolve(options.configDir) : dataDir;
  const word = options.configBaseName ?? 'postgresql';
  return {
    dataDir,
    configDir,
    stateDir: options.stateDir
      ? resolve(options.stateDir)
      : join(dirname(dataDir), `${basename(dataDir)}.tenure`),
    conf: join(configDir, `${word}.conf`),
    baseConf: join(configDir, `${word}.base.conf`),
    hba: join(configDir, 'pg_hba.conf'),
    ident: join(configDir, 'pg_ident.conf'),
    standbySignal: join(dataDir, 'standby.signal'),
    recoverySignal: join(dataDir, 'recovery.signal'),
    postmasterPid: join(dataDir, 'postmaster.pid'),
    wal: join(dataDir, 'pg_wal'),
  };
}

/** `a,b:port` → addresses as PostgreSQL takes them in listen_addresses, and the port. */
export interface Listen {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** @throws RangeError the port is none */
export function parseListen(text: string): Listen {
  const colon = text.lastIndexOf(':');
  const bare = colon < 0 || text.endsWith(']');
  const hosts = bare ? text : text.slice(0, colon);
  const port = bare ? 5432 : Number(text.slice(colon + 1));
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`listen ${JSON.stringify(text)}: expected host:port`);
  }
  const addresses = hosts
    .split(',')
    .map((host) => host.trim().replace(/^\[(.*)\]$/, '$1'))
    .filter((host) => host !== '');
  return { addresses, port };
}

/** The address to reach our own server by TCP: wildcards are no address, else the first one listed. */
export function localAddress(listen: Listen): string | null {
  const { addresses } = listen;
  if (addresses.some((address) => address === '*' || address === '0.0.0.0')) return '127.0.0.1';
  if (addresses.includes('::')) return '::1';
  return addresses[0] ?? null;
}
