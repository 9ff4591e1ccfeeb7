/**
 * How standbys and tools are told where to connect: libpq's `key=value` strings and its password
 * file (C-6.5). Written by us, as no library reads or writes them right.
 */
import type { Upstream } from '../core/model.ts';
import { readIfThere, replaceForNow } from './disk.ts';
import type { Credentials } from './options.ts';
import { PostgresError } from './postgres.ts';

/** Order of the words that come from the user's section for a role. */
const SSL_WORDS = [
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslrootcert',
  'sslcrl',
  'sslcrldir',
] as const;

/** Values with spaces, quotes or backslashes are quoted, and so is the empty one. */
export function quoteConninfo(value: string): string {
  if (value !== '' && !/[\s'\\]/.test(value)) return value;
  return `'${value.replace(/['\\]/g, '\\$&')}'`;
}

export function formatConninfo(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([key, value]) => `${key}=${quoteConninfo(value)}`).join(' ');
}

/** @throws PostgresError it is no conninfo string */
export function parseConninfo(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const pattern =
    /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\[\s\S])*)'|((?:[^\s'\\]|\\[\s\S])*))(?=\s|$)/y;
  let at = 0;
  while (text.slice(at).trim() !== '') {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) throw new PostgresError('a connection string cannot be read');
    found.set(match[1] as string, (match[2] ?? match[3] ?? '').replace(/\\([\s\S])/g, '$1'));
    at = pattern.lastIndex;
  }
  return found;
}

/** `primary_conninfo` of a standby that follows `upstream` (C-6.5, order as in the fixture). */
export function primaryConninfo(
  name: string,
  upstream: Upstream,
  user: Credentials,
  pgpassPath: string,
  majorVersion: number,
): string {
  return formatConninfo([
    ['dbname', 'postgres'],
    ['user', user.username],
    ...(user.password === undefined ? [] : [['passfile', pgpassPath] as const]),
    ['host', upstream.host],
    ['port', String(upstream.port)],
    ['sslmode', user.sslmode ?? 'prefer'],
    ...sslWords(user),
    ['application_name', name],
    ['gssencmode', user.gssencmode ?? 'prefer'],
    ['channel_binding', user.channel_binding ?? 'prefer'],
    ...(majorVersion >= 17 ? [['sslnegotiation', user.sslnegotiation ?? 'postgres'] as const] : []),
  ]);
}

function sslWords(user: Credentials): (readonly [string, string])[] {
  return SSL_WORDS.flatMap((word) => {
    const value = user[word];
    return value === undefined ? [] : [[word, value] as const];
  });
}

/** What a program of PostgreSQL is given to connect with: a DSN for its command line, which everybody sees. */
export interface ToolLogin {
  readonly dsn: string;
  /** Says where its secrets are. */
  readonly env: Readonly<Record<string, string>>;
}

/** In the file beside the password file; the only one that libpq reads a key's password from. */
const SERVICE = 'tenure';

/**
 * Writes the files that hold the secrets.
 * @throws PostgresError a secret cannot be said in such a file
 */
export async function toolLogin(
  pgpassPath: string,
  database: string,
  user: Credentials,
  upstream: Pick<Upstream, 'host' | 'port'>,
  more: readonly (readonly [string, string])[] = [],
): Promise<ToolLogin> {
  await writePgpass(pgpassPath, upstream.host, upstream.port, user);
  const dsn = toolConninfo(database, user, upstream, more);
  const env = { PGPASSFILE: pgpassPath };
  const { sslpassword } = user;
  if (sslpassword === undefined) return { dsn, env };
  if (/[\r\n\0]|\s$/.test(sslpassword)) {
    throw new PostgresError(`sslpassword of ${user.username} ends with a blank or breaks a line`);
  }
  const file = `${pgpassPath}.service`;
  const text = `[${SERVICE}]\nsslpassword=${sslpassword}\n`;
  if ((await readIfThere(file)) !== text) await replaceForNow(file, text, 0o600);
  return { dsn: `${dsn} service=${SERVICE}`, env: { ...env, PGSERVICEFILE: file } };
}

/** Without any secret. */
export function toolConninfo(
  database: string,
  user: Credentials,
  upstream: Pick<Upstream, 'host' | 'port'>,
  more: readonly (readonly [string, string])[] = [],
): string {
  const given = (word: 'sslmode' | 'gssencmode' | 'channel_binding' | 'sslnegotiation') => {
    const value = user[word];
    return value === undefined ? [] : [[word, value] as const];
  };
  return formatConninfo([
    ['dbname', database],
    ['user', user.username],
    ['host', upstream.host],
    ['port', String(upstream.port)],
    ...given('sslmode'),
    ...sslWords(user).filter(([word]) => word !== 'sslpassword'),
    ...given('gssencmode'),
    ...given('channel_binding'),
    ...given('sslnegotiation'),
    ...more,
  ]);
}

/** One entry without a newline, as the fixture has it; a socket folder is `localhost` to libpq. */
export function pgpassEntry(host: string, port: number, user: Credentials): string {
  const escaped = (text: string): string => text.replace(/[\\:]/g, '\\$&');
  const address = host.startsWith('/') ? 'localhost' : host;
  return [escaped(address), port, '*', escaped(user.username), escaped(user.password ?? '')].join(
    ':',
  );
}

/**
 * Writes the password file for the next use; nothing when the user has no password.
 * @throws PostgresError the password cannot be said in such a file
 */
export async function writePgpass(
  path: string,
  host: string,
  port: number,
  user: Credentials,
): Promise<void> {
  if (user.password === undefined) return;
  if (/[\r\n\0]/.test(user.password)) {
    throw new PostgresError(`the password of ${user.username} contains a line break`);
  }
  const entry = pgpassEntry(host, port, user);
  // Looked at before each use, so it need not survive a power cut; clients may be waiting.
  if ((await readIfThere(path)) !== entry) await replaceForNow(path, entry, 0o600);
}
