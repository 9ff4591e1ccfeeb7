/** The certificates in force, cut for each part. Read at start and again at each reload. */
import {
  CertificateError,
  checkContext,
  type OwnCertificate,
  readAuthority,
  readOwnCertificate,
  validity,
} from '../certificates.ts';
import { type TlsNames, tlsName } from '../tls.ts';
import { ConfigError } from './errors.ts';
import type { Config } from './load.ts';
import { type StoreOptions, storeAddress } from './parts.ts';

/** What the REST API shows and asks for. */
export interface RestTls extends OwnCertificate {
  /** Authorities of clients. Always there when clients are verified. */
  readonly ca?: Buffer;
  readonly ciphers?: string;
  readonly verifyClient: 'none' | 'optional' | 'required';
}

/** What requests to other members show and ask for. */
export interface PeerTls extends Partial<OwnCertificate> {
  readonly ca?: Buffer;
  readonly insecure: boolean;
  readonly names: TlsNames;
}

export interface TlsInForce {
  /** Null: the REST API speaks http. */
  readonly rest: RestTls | null;
  readonly peers: PeerTls;
  readonly store: StoreOptions;
  /** One line each. */
  readonly warnings: readonly string[];
}

const CTL_OR_REST = { certificate: 'certfile', key: 'keyfile', password: 'keyfile_password' };

/** @throws ConfigError a file cannot be read, or what is in it cannot be used */
export function readTls(config: Config, now = new Date()): TlsInForce {
  try {
    return read(config, now);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new ConfigError(error.key, [error.what], { cause: error });
  }
}

function read(config: Config, now: Date): TlsInForce {
  const { restapi, ctl, etcd3 } = config;
  const rest = restTls(config);
  const peers = peerTls(config);
  const store = storeTls(config);
  const warnings = [
    ['restapi.certfile', restapi.certfile, rest?.cert],
    ['ctl.certfile', ctl.certfile, peers.cert],
    ['etcd3.cert', etcd3.cert, store.tls.cert],
  ].flatMap(([name, file, pem]) => {
    if (typeof file !== 'string' || !Buffer.isBuffer(pem)) return [];
    return validity(String(name), file, pem, now) ?? [];
  });
  return { rest, peers, store, warnings };
}

function restTls({ restapi }: Config): RestTls | null {
  const { certfile, keyfile, keyfile_password: password, cafile, ciphers } = restapi;
  if (certfile === undefined) return null;
  const own = readOwnCertificate(
    { section: 'restapi', ...CTL_OR_REST },
    { certificate: certfile, key: keyfile, password },
  );
  const ca = cafile === undefined ? {} : { ca: readAuthority('restapi.cafile', cafile) };
  if (ciphers !== undefined) checkContext('restapi.ciphers', { ciphers });
  const tls = { ...own, ...ca, ...(ciphers === undefined ? {} : { ciphers }) };
  checkContext('restapi.certfile', tls);
  return { ...tls, verifyClient: restapi.verify_client };
}

function peerTls({ restapi, ctl }: Config): PeerTls {
  const { certfile, keyfile, keyfile_password: password, insecure } = ctl;
  const own =
    certfile === undefined
      ? {}
      : readOwnCertificate(
          { section: 'ctl', ...CTL_OR_REST },
          { certificate: certfile, key: keyfile, password },
        );
  const [key, file] =
    ctl.cacert !== undefined || restapi.cafile === undefined
      ? ['ctl.cacert', ctl.cacert]
      : ['restapi.cafile', restapi.cafile];
  const ca = file === undefined ? {} : { ca: readAuthority(key, file) };
  if (certfile !== undefined) checkContext('ctl.certfile', { ...own, ...ca });
  const names = { authority: tlsName(key, file), own: tlsName('ctl.certfile', certfile) };
  return { ...own, ...ca, insecure, names };
}

function storeTls({ etcd3 }: Config): StoreOptions {
  const { cacert, cert, key } = etcd3;
  const ca = cacert === undefined ? {} : { ca: readAuthority('etcd3.cacert', cacert) };
  const own =
    cert === undefined
      ? {}
      : readOwnCertificate(
          { section: 'etcd3', certificate: 'cert', key: 'key' },
          { certificate: cert, key },
        );
  if (cert !== undefined) checkContext('etcd3.cert', { ...own, ...ca });
  const names = { authority: tlsName('etcd3.cacert', cacert), own: tlsName('etcd3.cert', cert) };
  return { ...storeAddress({ etcd3 }), tls: { ...ca, ...own, names } };
}
