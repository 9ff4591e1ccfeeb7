/** The REST API over TLS (C-3.8): which certificate is shown, and whose are asked for. */
import type { Server } from 'node:http';
import type { ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Refusals } from './limits.ts';

export interface ApiTls {
  /** PEM, with its chain. */
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly passphrase?: string;
  /** Authorities of clients. */
  readonly ca?: Buffer;
  readonly ciphers?: string;
  /** `optional`: asked for, and needed for what changes something; `required`: nothing goes without. */
  readonly verifyClient: 'none' | 'optional' | 'required';
}

/** For a handshake, ms. */
const HANDSHAKE_MS = 5_000;

export function secureOptions(tls: ApiTls): ServerOptions {
  return { ...contextOf(tls), ...clientRules(tls), handshakeTimeout: HANDSHAKE_MS };
}

/** From the next connection on. @throws what Node.js says about a certificate that cannot be used */
export function renewSecure(server: Server, tls: ApiTls): void {
  (server as unknown as TlsServer).setSecureContext(contextOf(tls));
  // Node.js reads these for each connection.
  Object.assign(server, clientRules(tls));
}

/**
 * The other side has shown a certificate, and it is good. A resumed session without any certificate
 * counts as authorized to Node.js.
 */
export function isCertified(socket: Socket): boolean {
  return (
    socket instanceof TLSSocket &&
    socket.authorized &&
    socket.getPeerX509Certificate() !== undefined
  );
}

/** Says which connections came to nothing, and why. */
export function watchHandshakes(server: Server, refusals: Refusals): void {
  // The address is known for as long as the connection is, unless somebody has asked for it.
  server.on('connection', (socket: Socket) => void socket.remoteAddress);
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const { authorizationError: bad, _parent: below } = socket as {
      readonly authorizationError?: unknown;
      readonly _parent?: Socket;
    };
    const address = socket.remoteAddress ?? below?.remoteAddress ?? 'an unknown address';
    const refuse = (why: string): void => refusals.add(address, `a connection was refused: ${why}`);
    if (bad) refuse(`its client certificate cannot be accepted (${String(bad)})`);
    else if (error.code?.startsWith('ERR_SSL_')) refuse(reasonOf(error));
    // Else it just went away, as the checks of load balancers do.
  });
}

function contextOf({ cert, key, passphrase, ca, ciphers }: ApiTls): ServerOptions {
  return {
    cert,
    key,
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca === undefined ? {} : { ca }),
    ...(ciphers === undefined ? {} : { ciphers }),
  };
}

function clientRules({ verifyClient }: ApiTls): {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
} {
  return {
    requestCert: verifyClient !== 'none',
    rejectUnauthorized: verifyClient === 'required',
  };
}

/** OpenSSL's own words, or its code for them. */
function reasonOf(error: NodeJS.ErrnoException & { readonly reason?: string }): string {
  return error.reason ?? error.code ?? 'no handshake';
}
