/**
 * The steady writer: one row after another through HAProxy, each in its own commit, remembering which
 * were acknowledged and when. It measures an outage as a client sees it, and finds lost rows.
 */
import type pg from 'pg';
import { connect } from './postgres.ts';
import { pause, waitFor } from './wait.ts';

const CONNECT_MS = 300;
/** A statement without an answer after this time is abandoned; what became of it is unknown. */
const STATEMENT_MS = 1000;
/** Between two failed attempts, so that a refused connection does not become a busy loop. */
const RETRY_MS = 10;

export interface WriterOptions {
  /** Where to write: HAProxy's port for the primary. */
  readonly port: number;
  /** Default: the loopback, and the lab's own password. */
  readonly host?: string;
  readonly password?: string;
  /** Milliseconds between the starts of two inserts, default 5. */
  readonly everyMs?: number;
  /** Default: steady */
  readonly table?: string;
}

export interface Acknowledgement {
  readonly id: number;
  /** When the answer arrived, in milliseconds of performance.now(). */
  readonly at: number;
  /** The PostgreSQL that answered, by its port. */
  readonly server: number;
}

export interface Gap {
  readonly ms: number;
  /** The acknowledgements around it, in milliseconds of performance.now(). */
  readonly from: number;
  readonly to: number;
}

/**
 * The longest time between two acknowledgements, among the times that reach into the window. While
 * nothing is acknowledged, the time up to the window's end counts; the time before the very first
 * acknowledgement does not.
 */
export function longestGap(times: readonly number[], from: number, to: number): Gap {
  const inside = times.filter((at) => at >= from && at <= to);
  const before = times.findLast((at) => at < from) ?? inside[0] ?? from;
  const after = times.find((at) => at > to) ?? to;
  let longest: Gap = { ms: 0, from, to: from };
  let start = before;
  for (const end of [...inside, after]) {
    if (end - start > longest.ms) longest = { ms: end - start, from: start, to: end };
    start = end;
  }
  return longest;
}

export class SteadyWriter {
  readonly acknowledged: Acknowledgement[] = [];
  /** Attempts whose outcome is not known: their rows may or may not be there. */
  readonly unknown: number[] = [];
  readonly table: string;
  readonly #options: WriterOptions;
  #nextId = 1;
  #running = true;
  #client: pg.Client | undefined;
  #lastError = 'none';
  #loop: Promise<void> = Promise.resolve();

  private constructor(options: WriterOptions) {
    this.#options = options;
    this.table = options.table ?? 'steady';
  }

  /** Makes the table, starts writing and returns after the first acknowledgement. */
  static async start(options: WriterOptions): Promise<SteadyWriter> {
    const writer = new SteadyWriter(options);
    await waitFor(`table ${writer.table} through port ${options.port}`, 20_000, async () => {
      const client = await connect({ ...options, connectMs: CONNECT_MS });
      try {
        await client.query(
          `CREATE TABLE IF NOT EXISTS ${writer.table} (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())`,
        );
      } finally {
        void client.end().catch(() => {});
      }
      return true;
    });
    writer.#loop = writer.#write();
    await writer.acknowledges();
    return writer;
  }

  /** Waits for `count` more acknowledgements. */
  async acknowledges(count = 1, deadlineMs = 60_000): Promise<void> {
    const wanted = this.acknowledged.length + count;
    await waitFor(`${count} acknowledged rows`, deadlineMs, (seen) => {
      seen(`${this.acknowledged.length} of ${wanted} rows, last error: ${this.#lastError}`);
      return this.acknowledged.length >= wanted;
    });
  }

  /** Ends writing; a statement under way is waited for, at most its deadline. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
  }

  async #write(): Promise<void> {
    const everyMs = this.#options.everyMs ?? 5;
    while (this.#running) {
      const started = performance.now();
      const done = await this.#insert();
      const left = done ? everyMs - (performance.now() - started) : RETRY_MS;
      if (left > 0) await pause(left);
    }
    this.#drop();
  }

  /** One attempt: a connection when there is none, then one row. */
  async #insert(): Promise<boolean> {
    let sent: number | undefined;
    try {
      this.#client ??= await connect({
        ...this.#options,
        connectMs: CONNECT_MS,
        statementMs: STATEMENT_MS,
        applicationName: 'steady-writer',
      });
      sent = this.#nextId;
      this.#nextId += 1;
      const answer = await this.#client.query<{ server: number }>({
        name: 'steady',
        text: `INSERT INTO ${this.table} (id) VALUES ($1) RETURNING inet_server_port() AS server`,
        values: [sent],
      });
      const server = answer.rows[0]?.server ?? 0;
      this.acknowledged.push({ id: sent, at: performance.now(), server });
      return true;
    } catch (error) {
      this.#lastError = error instanceof Error ? error.message : String(error);
      if (sent !== undefined) this.unknown.push(sent);
      this.#drop();
      return false;
    }
  }

  /** pg's end() closes the socket at once when a statement is under way, also towards a silent server. */
  #drop(): void {
    void this.#client?.end().catch(() => {});
    this.#client = undefined;
  }

  /** The acknowledgements of a window, in milliseconds of performance.now(). */
  within(from: number, to = performance.now()): readonly Acknowledgement[] {
    return this.acknowledged.filter((one) => one.at >= from && one.at <= to);
  }

  /** See {@link longestGap}. */
  longestGap(from: number, to = performance.now()): Gap {
    return longestGap(
      this.acknowledged.map((one) => one.at),
      from,
      to,
    );
  }

  /** The acknowledged ids that this server does not have, ascending. */
  async missing(client: pg.Client): Promise<readonly number[]> {
    const rows = await this.ids(client);
    return this.acknowledged.map((one) => one.id).filter((id) => !rows.has(id));
  }

  /** All ids that this server has. */
  async ids(client: pg.Client): Promise<ReadonlySet<number>> {
    const answer = await client.query<{ id: string }>(`SELECT id FROM ${this.table}`);
    return new Set(answer.rows.map((row) => Number(row.id)));
  }
}
