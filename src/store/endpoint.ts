/**
 * One etcd endpoint and the client for it. A client is thrown away whenever the endpoint failed,
 * and a new one is made only after a cheap question was answered: gRPC has no connect time-out,
 * keeps dead connections in back-off, and leaks a socket with each peer that accepts but never
 * speaks.
 */
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { getCACertificates } from 'node:tls';
import { Etcd3, type IOptions } from 'etcd3';
import { connectionProblem, type TlsNames } from '../tls.ts';
import { ProbeFailed } from './failures.ts';

export interface Tls {
  /** PEM. Without it the authorities that Node.js trusts are trusted. */
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** For messages. */
  readonly names?: TlsNames;
}

export const NO_NAMES: TlsNames = { authority: 'etcd3.cacert', own: 'etcd3.cert' };

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** The client library must not write to stderr by itself; it reads this when it is first used. */
process.env.GRPC_VERBOSITY ??= 'NONE';

/**
 * etcd answers pings closer than 5 s, or without an open stream, with GOAWAY. Retries are ours. The
 * local pool keeps a new client from sharing a connection that hangs.
 */
const CHANNEL = {
  'grpc.keepalive_time_ms': 6000,
  'grpc.keepalive_timeout_ms': 2000,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.min_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 1000,
};

const PROBE_MS = 500;

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/** The library's own policies repeat writes and refuse calls for 5 s: this one does nothing. */
const passThrough = {
  execute: async (run: (context: { signal: AbortSignal }) => unknown): Promise<unknown> =>
    run({ signal: new AbortController().signal }),
} as Policy;

export class Endpoint {
  readonly url: string;
  #tls: Tls;
  #login: Login | null;
  readonly #listeners = new Set<(why: string) => void>();
  #client: Etcd3 | null = null;
  #opening: Promise<Etcd3> | null = null;
  #loginUsed = true;
  #closed = false;

  constructor(url: string, tls: Tls, login: Login | null) {
    this.url = url.replace(/\/+$/, '');
    this.#tls = tls;
    this.#login = login;
  }

  /** True until it answered a probe, and again after each failure. */
  get suspect(): boolean {
    return this.#client === null;
  }

  /**
   * The client; a suspect endpoint is probed first, by one caller for all.
   * Waits up to 500 ms, or up to the time-out of the caller that began the probe.
   * @throws ProbeFailed
   */
  async client(timeoutMs: number): Promise<Etcd3> {
    if (this.#client) return this.#client;
    this.#opening ??= this.#open(Math.min(timeoutMs, PROBE_MS)).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  /**
   * Throws the client away. A caller names the client that it used, so that a late failure does not
   * take away a newer one.
   */
  suspectNow(used: Etcd3 | null, why: string): void {
    if (used !== this.#client || this.#client === null) return;
    this.#client.close();
    this.#client = null;
    for (const listener of [...this.#listeners]) listener(why);
  }

  /** Calls back when the endpoint becomes suspect; the returned function ends that. */
  onSuspect(listener: (why: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A new client without a login, or with a new one. */
  renewLogin(used: Etcd3, withLogin: boolean): void {
    if (used === this.#client) this.#loginUsed = withLogin;
    this.suspectNow(used, 'logging in again');
  }

  /**
   * Another certificate or password, from the next call on. Returns the client that was in use: what
   * it has begun may end, and then it is for the caller to close.
   */
  renew(tls: Tls, login: Login | null): Etcd3 | null {
    const used = this.#client;
    this.#tls = tls;
    this.#login = login;
    this.#loginUsed = true;
    this.#client = null;
    return used;
  }

  close(): void {
    this.#closed = true;
    this.suspectNow(this.#client, 'closed');
  }

  async #open(timeoutMs: number): Promise<Etcd3> {
    await this.#probe(timeoutMs);
    if (this.#closed) throw new ProbeFailed('closed');
    this.#client = new Etcd3(this.#options());
    return this.#client;
  }

  #options(): IOptions {
    const { ca, cert, key } = this.#tls;
    const secure = this.url.startsWith('https:');
    return {
      hosts: [this.url],
      grpcOptions: CHANNEL,
      faultHandling: { host: () => passThrough, global: passThrough },
      ...(secure
        ? {
            credentials: {
              rootCertificate: ca ?? Buffer.from(getCACertificates('default').join('\n')),
              ...(key && cert ? { privateKey: key, certChain: cert } : {}),
            },
          }
        : {}),
      ...(this.#login && this.#loginUsed
        ? {
            auth: {
              ...this.#login,
              // Logging in has no deadline otherwise, and would outlive the attempt it belongs to.
              callOptions: () => ({ deadline: new Date(Date.now() + 2 * PROBE_MS) }),
            },
          }
        : {}),
    };
  }

  /** `/version` and not `/health`: that is false under a NOSPACE alarm, and asks for a quorum. */
  #probe(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { names = NO_NAMES, ...material } = this.#tls;
      const failed = (error: Error): void => {
        const why = connectionProblem(error, names);
        reject(new ProbeFailed(`${this.url}/version: ${why}`, { cause: error }));
      };
      const get = this.url.startsWith('https:') ? getHttps : getHttp;
      const options = {
        agent: false,
        signal: AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs))),
        ...material,
      };
      const request = get(`${this.url}/version`, options, (response) => {
        response.resume();
        response.on('error', failed);
        response.on('end', () => {
          if (response.statusCode === 200) resolve();
          else failed(new Error(`status ${response.statusCode}`));
        });
      });
      request.on('error', failed);
    });
  }
}
