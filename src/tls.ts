/** What went wrong with a TLS connection, in words that name what to look at. */

/** What the asking side has been configured with: the key, and the file where there is one. */
export interface TlsNames {
  /** Such as `etcd3.cacert (/etc/ca.pem)`. */
  readonly authority: string;
  /** Such as `etcd3.cert (/etc/client.pem)`; `no etcd3.cert is set`. */
  readonly own: string;
}

/** The key with its file, or that it is not set. */
export function tlsName(key: string, file: string | undefined): string {
  return file === undefined ? `${key} (not set)` : `${key} (${file})`;
}

const UNKNOWN_AUTHORITY = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'INVALID_CA',
  'CERT_UNTRUSTED',
]);

/** Faults of a certificate whose own message says enough, but not whose certificate it is. */
const BAD_CERTIFICATE = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CRL_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
  'UNABLE_TO_GET_CRL',
  'INVALID_PURPOSE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** Words of OpenSSL with which the other side turns our certificate, or the lack of one, away. */
const TURNED_AWAY =
  /alert (?:unknown ca|bad certificate|certificate required|certificate unknown|certificate expired|certificate revoked|unsupported certificate|access denied|handshake failure)/i;
/** What was received is no TLS at all. */
const NO_TLS = /wrong version number|packet length too long|unexpected message/i;

/** Null: nothing to do with certificates. */
export function tlsProblem(error: unknown, names: TlsNames): string | null {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (UNKNOWN_AUTHORITY.has(code)) {
    // Node.js adds advice for people who write programs.
    const [reason = message] = message.split(';');
    return `its certificate is not signed by an authority of ${names.authority}: ${reason}`;
  }
  if (BAD_CERTIFICATE.has(code)) return `its certificate cannot be accepted: ${message}`;
  if (code !== 'EPROTO' && !code.startsWith('ERR_SSL_')) return null;
  const alert = TURNED_AWAY.exec(message)?.[0];
  if (alert !== undefined)
    return `it does not accept ${names.own} as a client certificate: ${alert}`;
  return NO_TLS.test(message) ? 'it does not speak TLS' : null;
}

/** As {@link tlsProblem}, or what the error says itself. */
export function connectionProblem(error: unknown, names: TlsNames): string {
  const message = error instanceof Error ? error.message : String(error);
  return tlsProblem(error, names) ?? message;
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}
