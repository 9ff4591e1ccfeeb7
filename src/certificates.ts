/** Certificates and keys in files: read, and looked at before anybody depends on them. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

/** A file of certificates or keys cannot be used. The message names the key, the file and the fault. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  /** The key of the configuration that names the file. */
  readonly key: string;
  /** What is wrong. */
  readonly what: string;

  constructor(key: string, what: string, options?: ErrorOptions) {
    super(`${key}: ${what}`, options);
    this.key = key;
    this.what = what;
  }
}

/** A certificate of our own with its key. PEM. */
export interface OwnCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly passphrase?: string;
}

/** Names of the keys of a section, for messages. */
export interface OwnKeys {
  readonly section: string;
  readonly certificate: string;
  readonly key: string;
  /** Absent: keys that are encrypted cannot be used. */
  readonly password?: string;
}

export interface OwnFiles {
  readonly certificate: string;
  /** Absent: the key is in the certificate's file. */
  readonly key?: string | undefined;
  readonly password?: string | undefined;
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** @throws CertificateError it cannot be read */
function read(name: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw fault(name, `${file} cannot be read: ${(error as Error).message}`, error);
  }
}

function fault(name: string, text: string, cause?: unknown): CertificateError {
  return new CertificateError(name, text, { cause });
}

/** All certificates of a PEM text. @throws CertificateError there is none, or one is damaged */
function certificatesOf(name: string, file: string, pem: Buffer): X509Certificate[] {
  const found = pem.toString('latin1').match(CERTIFICATES) ?? [];
  if (found.length === 0) throw fault(name, `${file} holds no certificate in PEM`);
  try {
    return found.map((one) => new X509Certificate(one));
  } catch (error) {
    throw fault(name, `${file} holds a certificate that cannot be read`, error);
  }
}

/** The authorities in a file. @throws CertificateError */
export function readAuthority(name: string, file: string): Buffer {
  const pem = read(name, file);
  certificatesOf(name, file, pem);
  return pem;
}

/** @throws CertificateError unreadable, damaged, encrypted without a password, or key and certificate do not match */
export function readOwnCertificate(keys: OwnKeys, files: OwnFiles): OwnCertificate {
  const certName = `${keys.section}.${keys.certificate}`;
  const cert = read(certName, files.certificate);
  const [first] = certificatesOf(certName, files.certificate, cert) as [X509Certificate];
  const inside = files.key === undefined;
  const keyName = inside ? certName : `${keys.section}.${keys.key}`;
  const keyFile = files.key ?? files.certificate;
  const key = inside ? cert : read(keyName, keyFile);
  const parsed = readKey(keys, keyName, keyFile, key, files.password);
  if (!first.checkPrivateKey(parsed)) {
    throw fault(
      keyName,
      `the key in ${keyFile} is not that of the certificate in ${files.certificate}`,
    );
  }
  return { cert, key, ...(files.password === undefined ? {} : { passphrase: files.password }) };
}

function readKey(
  keys: OwnKeys,
  name: string,
  file: string,
  key: Buffer,
  password: string | undefined,
): KeyObject {
  const text = key.toString('latin1');
  const setting = keys.password === undefined ? null : `${keys.section}.${keys.password}`;
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    const where = name.endsWith(`.${keys.certificate}`)
      ? `, and ${keys.section}.${keys.key} is not set`
      : '';
    throw fault(name, `${file} holds no private key in PEM${where}`);
  }
  const encrypted = /ENCRYPTED/.test(text);
  if (encrypted && password === undefined) {
    const way = setting === null ? 'it has to be without a password' : `${setting} is not set`;
    throw fault(name, `the key in ${file} is encrypted: ${way}`);
  }
  try {
    return createPrivateKey({ key, ...(password === undefined ? {} : { passphrase: password }) });
  } catch (error) {
    const why = encrypted ? `is not the password of the key in ${file}` : null;
    if (why !== null && setting !== null) throw fault(setting, why, error);
    throw fault(name, `${file} holds a key that cannot be read`, error);
  }
}

/** Tries what cannot be judged file by file, such as a list of ciphers. @throws CertificateError */
export function checkContext(name: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const text = code === 'ERR_SSL_NO_CIPHER_MATCH' ? 'no cipher of this list is known' : message;
    throw fault(name, text, error);
  }
}

/** That a certificate is not valid today, or will not be soon; null when all is well. */
export function validity(name: string, file: string, pem: Buffer, now: Date): string | null {
  const [first] = certificatesOf(name, file, pem) as [X509Certificate];
  const [from, to] = [first.validFromDate, first.validToDate];
  if (from > now)
    return `${name}: the certificate in ${file} is not valid before ${from.toISOString()}`;
  if (to < now)
    return `${name}: the certificate in ${file} has been expired since ${to.toISOString()}`;
  const soon = to.getTime() - now.getTime() < 14 * 24 * 3_600_000;
  return soon ? `${name}: the certificate in ${file} expires on ${to.toISOString()}` : null;
}
