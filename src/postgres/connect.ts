/** Where and as whom to connect: the local server and others, as configurations of pg. */
import { readFile, realpath } from 'node:fs/promises';
import type { Client } from 'pg';
import type { Clock } from '../clock.ts';
import { readIfThere } from './disk.ts';
import { tlsNamesOf, waysOf } from './encryption.ts';
import { type Credentials, type Listen, localAddress, type Places } from './options.ts';
import { PostgresError } from './postgres.ts';
import { ask, type Destination } from './session.ts';

const SESSION_SETTINGS =
  '-c statement_timeout=2000 -c search_path=pg_catalog -c synchronous_commit=local';

export interface LocalTarget {
  readonly host: string;
  readonly port: number;
}

/**
 * How to reach our own server: by TCP, or through its socket folder when asked to or when it
 * listens on no address.
 * @param configured unix_socket_directories, when it is set
 */
export async function localTarget(
  places: Places,
  listen: Listen,
  useUnixSocket: boolean,
  configured: string | undefined,
): Promise<LocalTarget> {
  const address = localAddress(listen);
  if (!useUnixSocket && address !== null) return { host: address, port: listen.port };
  // The running server says itself where its first socket is.
  const said = (await readIfThere(places.postmasterPid))?.split('\n')[4]?.trim();
  const host = said || configured?.split(',')[0]?.trim() || '/tmp';
  return { host, port: listen.port };
}

/**
 * @param own our own server: found by other names too, and asked without TLS first unless told otherwise
 */
export function clientConfig(
  target: LocalTarget,
  user: Credentials,
  database: string,
  own: { readonly connectAddress: string } | null = null,
): Destination {
  const { host, port } = target;
  const names =
    own === null ? [host] : [host, 'localhost', own.connectAddress.replace(/:\d+$/, '')];
  const [ssl, otherwise] = host.startsWith('/')
    ? [false]
    : waysOf(user, names, own === null ? 'prefer' : 'allow');
  return {
    host,
    port,
    user: user.username,
    database,
    application_name: 'Tenure',
    options: SESSION_SETTINGS,
    keepAlive: true,
    ssl: ssl ?? false,
    ...(otherwise === undefined ? {} : { otherwise }),
    tlsNames: tlsNamesOf(user),
    bound: user.channel_binding === 'require',
    // Said, or the environment would be asked.
    sslnegotiation: user.sslnegotiation === 'direct' && ssl !== false ? 'direct' : 'postgres',
    ...(user.password === undefined ? {} : { password: user.password }),
  };
}

/**
 * First question on a connection to our own server: another one may have our port. Also keeps idle
 * timeouts that users set from ending the kept session.
 * @throws PostgresError the server has another data directory
 */
export async function welcomeLocal(client: Client, clock: Clock, places: Places): Promise<void> {
  const [row] = await ask(
    client,
    clock,
    `SELECT current_setting('data_directory') AS directory,
       (SELECT count(set_config(name, '0', false)) FROM pg_settings
         WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout'))`,
    1000,
  );
  const theirs = row?.directory ?? '';
  const resolved = async (path: string): Promise<string> => await realpath(path).catch(() => path);
  if ((await resolved(theirs)) !== (await resolved(places.dataDir))) {
    throw new PostgresError(
      `the server on our port has data directory ${theirs}, not ${places.dataDir}`,
    );
  }
}

/** Major version of a data directory. @throws PostgresError there is none */
export async function dataVersion(places: Places): Promise<number> {
  const text = await readFile(`${places.dataDir}/PG_VERSION`, 'utf8').catch(() => '');
  const version = Number.parseInt(text, 10);
  if (!Number.isInteger(version)) {
    throw new PostgresError(`${places.dataDir} is no PostgreSQL data directory`);
  }
  return version;
}
