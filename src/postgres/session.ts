/**
 * The one kept connection to the local server. Kept, because a new one may be refused when it is
 * needed most (53300), and because its end is the only event when an adopted postmaster dies.
 */
import { Client, type ClientConfig } from 'pg';
import { type Clock, TimeoutError, within } from '../clock.ts';

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
  readonly target: () => Promise<ClientConfig>;
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
    const client: Client = newClient(await target(), connectTimeoutMs, () => {
      if (this.#client !== client) return;
      this.#forget(client);
      onEnd();
    });
    try {
      await within(clock, connectTimeoutMs + 50, 'connecting to PostgreSQL', client.connect());
      await welcome(client);
    } catch (error) {
      abandon(client);
      throw error;
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
