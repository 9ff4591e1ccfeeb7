/**
 * TLS of our own sessions with PostgreSQL, by libpq's words and rules (C-6.2). Files are read when the
 * configuration is, and kept: one that cannot be read later does not cost a session with the server.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { CertificateError, readAuthority, readOwnCertificate } from '../certificates.ts';
import { type TlsNames, tlsName } from '../tls.ts';
import type { Credentials } from './options.ts';
import { PostgresError } from './postgres.ts';

type Material = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'crl'>;

/** libpq's own value: the authorities that the system trusts. */
const SYSTEM = 'system';
const known = new WeakMap<Credentials, Material>();

const atHome = (name: string): string => join(homedir(), '.postgresql', name);

/** The file that is named, else libpq's default where there is one. */
function fileOf(named: string | undefined, byDefault: string): string | undefined {
  return named ?? (existsSync(atHome(byDefault)) ? atHome(byDefault) : undefined);
}

function verifies({ sslmode }: Credentials): boolean {
  return sslmode === 'verify-ca' || sslmode === 'verify-full';
}

/**
 * Reads what `user` names, for every connection from now on.
 * @param section where the user is configured, for messages
 * @throws PostgresError a file cannot be used
 */
export function readEncryption(section: string, user: Credentials): void {
  try {
    known.set(user, user.sslmode === 'disable' ? {} : read(section, user));
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new PostgresError(error.message, { cause: error });
  }
}

function read(section: string, user: Credentials): Material {
  const ca = fileOf(user.sslrootcert, 'root.crt');
  if (verifies(user) && ca === undefined) {
    const what = `is not set, and ${atHome('root.crt')} is not there: sslmode is ${user.sslmode}`;
    throw new CertificateError(`${section}.sslrootcert`, what);
  }
  const authority = ca !== undefined && ca !== SYSTEM && needed(user, ca) ? ca : undefined;
  const cert = fileOf(user.sslcert, 'postgresql.crt');
  return {
    ...(authority === undefined ? {} : { ca: readAuthority(`${section}.sslrootcert`, authority) }),
    ...(cert === undefined || !needed(user, cert) ? {} : ownOf(section, user, cert)),
    ...revoked(section, user),
  };
}

/** Where TLS is not insisted upon, libpq does without a file that is not there. */
function needed({ sslmode }: Credentials, file: string): boolean {
  return ['require', 'verify-ca', 'verify-full'].includes(sslmode ?? '') || existsSync(file);
}

function ownOf(section: string, user: Credentials, certificate: string): Material {
  const key = user.sslkey ?? atHome('postgresql.key');
  const { passphrase, ...own } = readOwnCertificate(
    { section, certificate: 'sslcert', key: 'sslkey', password: 'sslpassword' },
    { certificate, key, password: user.sslpassword },
  );
  const { mode, uid } = statSync(key);
  // libpq refuses such a key; better to hear it now than when a standby has to stream.
  if ((mode & (uid === 0 ? 0o037 : 0o077)) !== 0) {
    const what = `${key} can be read by others (mode ${(mode & 0o777).toString(8)}), which PostgreSQL refuses: 600 is right`;
    throw new CertificateError(`${section}.sslkey`, what);
  }
  return { ...own, ...(passphrase === undefined ? {} : { passphrase }) };
}

/** Lists of revoked certificates: a file, or a folder of them. */
function revoked(section: string, { sslcrl, sslcrldir }: Credentials): Material {
  const folder = sslcrldir;
  try {
    const files = folder === undefined ? [] : readdirSync(folder).map((name) => join(folder, name));
    if (sslcrl !== undefined) files.push(sslcrl);
    return files.length === 0 ? {} : { crl: files.map((file) => readFileSync(file)) };
  } catch (error) {
    const key = sslcrl === undefined ? 'sslcrldir' : 'sslcrl';
    throw new CertificateError(`${section}.${key}`, (error as Error).message, { cause: error });
  }
}

/** For messages about connections. */
export function tlsNamesOf(user: Credentials): TlsNames {
  return {
    authority: tlsName('sslrootcert', fileOf(user.sslrootcert, 'root.crt')),
    own: tlsName('sslcert', fileOf(user.sslcert, 'postgresql.crt')),
  };
}

/**
 * What to try, in this order: TLS with these options, or none (false).
 * @param names of the server: its certificate has to be good for one of them (verify-full)
 * @param byDefault without sslmode
 */
export function waysOf(
  user: Credentials,
  names: readonly string[],
  byDefault: 'prefer' | 'allow',
): readonly [ConnectionOptions | false, (ConnectionOptions | false)?] {
  const mode = user.sslmode ?? byDefault;
  if (mode === 'disable') return [false];
  if (!known.has(user)) readEncryption(`authentication of ${user.username}`, user);
  const material = known.get(user) ?? {};
  const tls: ConnectionOptions = {
    ...material,
    // With an authority that is known libpq verifies in every mode.
    rejectUnauthorized: verifies(user) || material.ca !== undefined,
    checkServerIdentity: (_host, shown) => {
      if (mode !== 'verify-full') return undefined;
      const faults = names.map((name) => checkServerIdentity(name, shown));
      return faults.includes(undefined) ? undefined : faults[0];
    },
  };
  if (mode === 'prefer') return [tls, false];
  return mode === 'allow' ? [false, tls] : [tls];
}
