/**
 * The one kept connection to the local server. Kept, because a new one may be refused when it is
 * needed most (53300), and because its end is the only event when an adopted postmaster dies.
 */
import { Client, type ClientConfig } from 'pg';
import { type Clock, TimeoutError, within } from '../clock.ts';
import { connectionProblem, type TlsNames, tlsProblem } from '../tls.ts';
import { messageOf } from './disk.ts';

export type Row = Readonly<Record<string, string | null>>;

/** Values stay text: positions, identifiers and times do not fit JavaScript's types. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };

/** SQLSTATE of an answer of the server; null when it was no answer of the server. */
export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** Nothing was heard in time, or nobody listens: unlike any answer, and unlike a fault of our own. */
export function isSilence(error: unknown): boolean {
  if (error instanceof TimeoutError) return true;
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  // The second is pg's own word for it.
  return code === 'ECONNREFUSED' || message === 'timeout expired';
}

/** Where and how to connect: what pg is told, and what is ours to decide. */
export interface Destination extends ClientConfig {
  /** TLS, or none, of the second try where the first fails for that reason; absent: one try. */
  readonly otherwise?: ClientConfig['ssl'];
  /** For messages. */
  readonly tlsNames?: TlsNames;
  /** The password is sent only where it is bound to the TLS connection (channel_binding=require). */
  readonly bound?: boolean;
  readonly sslnegotiation?: 'postgres' | 'direct';
}

/** Who let us in with TLS alone: tried so first from then on, or every session would leave a refusal in the log. */
const insistent = new Set<string>();

/** A try to connect that can be given up at any moment. */
export class Dial {
  readonly #make: (config: ClientConfig) => Client;
  #last: Client | null = null;
  #givenUp = false;

  /** @param make a client of this configuration, not yet connected */
  constructor(make: (config: ClientConfig) => Client) {
    this.#make = make;
  }

  /** @throws Error why there is no connection; nothing of it is left */
  async connect(config: Destination): Promise<Client> {
    const { otherwise, ...first } = config;
    if (otherwise === undefined) return await this.#try(first);
    const second = { ...first, ssl: otherwise, sslnegotiation: 'postgres' as const };
    const key = `${config.user} ${config.host}:${config.port}`;
    const [one, other] =
      first.ssl === false && insistent.has(key) ? [second, first] : [first, second];
    try {
      return await this.#try(one);
    } catch (error) {
      insistent.delete(key);
      if (this.#givenUp || !worthAnotherTry(error, one)) throw error;
      const client = await this.#try(other);
      if (other.ssl !== false) insistent.add(key);
      return client;
    }
  }

  abandon(): void {
    this.#givenUp = true;
    if (this.#last !== null) abandon(this.#last);
  }

  async #try({ tlsNames: _names, bound = false, ...config }: Destination): Promise<Client> {
    const client = this.#make({ ...config, enableChannelBinding: bound });
    this.#last = client;
    const isBound = bound ? insistOnBinding(client) : null;
    try {
      await client.connect();
      if (isBound?.() === false) throw new Error(NOT_BOUND);
    } catch (error) {
      abandon(client);
      throw error;
    }
    return client;
  }
}

/** libpq goes on without TLS (prefer), or with it (allow), after what says that the other would do. */
function worthAnotherTry(error: unknown, { tlsNames }: Destination): boolean {
  if (sqlState(error) === '28000') return true;
  const noTls = error instanceof Error && /does not support SSL/.test(error.message);
  return noTls || tlsProblem(error, tlsNames ?? { authority: '', own: '' }) !== null;
}

/** Why there is no connection, in words that name the file that matters. */
export function refusalOf(config: Destination, error: unknown): string {
  const { host, port, tlsNames } = config;
  const why = tlsNames === undefined ? messageOf(error) : connectionProblem(error, tlsNames);
  return `${host}:${port}: ${why}`;
}

const NOT_BOUND = 'channel_binding is require, and the server does not bind the password to TLS';

/**
 * pg binds where the server offers it; that it does is for us to see to, before it hears the password.
 * @returns whether it has
 */
function insistOnBinding(client: Client): () => boolean {
  const { connection } = client as unknown as {
    readonly connection: NodeJS.EventEmitter & { readonly stream: { destroy(error: Error): void } };
  };
  let bound = false;
  const refuse = (): void => {
    if (bound) return;
    connection.removeAllListeners('authenticationCleartextPassword');
    connection.removeAllListeners('authenticationMD5Password');
    connection.removeAllListeners('authenticationSASL');
    connection.stream.destroy(new Error(NOT_BOUND));
  };
  connection.prependListener(
    'authenticationSASL',
    (message: { mechanisms?: readonly string[] }) => {
      bound = message.mechanisms?.includes('SCRAM-SHA-256-PLUS') ?? false;
      refuse();
    },
  );
  for (const other of ['CleartextPassword', 'MD5Password', 'Ok']) {
    connection.prependListener(`authentication${other}`, refuse);
  }
  return () => bound;
}

/** A client that never throws outside of a call and whose connect has a deadline. Not yet connected. */
export function newClient(
  config: ClientConfig,
  connectTimeoutMs: number,
  onEnd: () => void,
): Client {
  const client = new Client({
    ...config,
    types: AS_TEXT as unknown as NonNullable<ClientConfig['types']>,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  // Without a listener an administrator's kill would end this process.
  client.on('error', onEnd);
  client.on('end', onEnd);
  return client;
}

/** Gives a client up without waiting for the server, which may be hung. */
export function abandon(client: Client): void {
  client.end().catch(() => undefined);
}

/**
 * One query with a deadline. After a timeout the client is of no use: the answer would come to the
 * next question.
 * @throws TimeoutError, or what pg throws
 */
export async function ask(
  client: Client,
  clock: Clock,
  sql: string,
  timeoutMs: number,
): Promise<Row[]> {
  const answer = client.query<Record<string, string | null>>(sql);
  answer.catch(() => undefined);
  const { rows } = await within(clock, timeoutMs, 'PostgreSQL', answer);
  return rows;
}

export interface SessionOptions {
  readonly clock: Clock;
  /** Where to connect to; asked at each connect. */
  readonly target: () => Promise<Destination>;
  /** The first question on a new connection; throws when it is not the server that was meant. */
  readonly welcome: (client: Client) => Promise<void>;
  /** The connection ended, and not because of us. */
  readonly onEnd: () => void;
  readonly connectTimeoutMs: number;
}

export class Session {
  readonly #options: SessionOptions;
  #client: Client | null = null;
  #connecting: Promise<Client> | null = null;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** @throws TimeoutError, a refusal of the server, or why there is no connection */
  async query(sql: string, timeoutMs: number): Promise<Row[]> {
    const client = await this.connect();
    try {
      return await ask(client, this.#options.clock, sql, timeoutMs);
    } catch (error) {
      if (error instanceof TimeoutError || sqlState(error) === null) this.#forget(client);
      throw error;
    }
  }

  async connect(): Promise<Client> {
    if (this.#client !== null) return this.#client;
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null;
    });
    return await this.#connecting;
  }

  get connected(): boolean {
    return this.#client !== null;
  }

  /** Ends the connection; the next question opens a new one. */
  reset(): void {
    if (this.#client !== null) this.#forget(this.#client);
  }

  close(): void {
    this.#closed = true;
    this.reset();
  }

  async #open(): Promise<Client> {
    const { target, welcome, onEnd, connectTimeoutMs, clock } = this.#options;
    if (this.#closed) throw new Error('the session is closed');
    const dial = new Dial((config) => {
      const client: Client = newClient(config, connectTimeoutMs, () => {
        if (this.#client !== client) return;
        this.#forget(client);
        onEnd();
      });
      return client;
    });
    const config = await target();
    let client: Client;
    try {
      const connecting = dial.connect(config);
      client = await within(clock, connectTimeoutMs + 50, 'connecting to PostgreSQL', connecting);
      await welcome(client);
    } catch (error) {
      dial.abandon();
      const { tlsNames } = config;
      const problem = tlsNames === undefined ? null : tlsProblem(error, tlsNames);
      throw problem === null ? error : new Error(refusalOf(config, error), { cause: error });
    }
    if (this.#closed) {
      abandon(client);
      throw new Error('the session is closed');
    }
    this.#client = client;
    return client;
  }

  #forget(client: Client): void {
    if (this.#client === client) this.#client = null;
    abandon(client);
  }
}
