/**
 * A writer that never gives up: one row after another, each in its own commit, to one address. Through
 * HAProxy it measures what a client sees; on a node itself it writes whenever that node takes it, and so
 * finds a second primary.
 */
import type pg from 'pg';
import { connect, pause } from '../lab/index.ts';
import type { Acknowledgement } from './history.ts';

const CONNECT_MS = 500;
const RETRY_MS = 20;
/** A standby says no at once: it is asked again, on the same connection, after this time. */
const REFUSED_MS = 50;
const READ_ONLY = '25006';

export const TABLE = 'chaos';
export const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS ${TABLE} (writer text NOT NULL, id bigint NOT NULL, PRIMARY KEY (writer, id))`;

const INSERT = `INSERT INTO ${TABLE} (writer, id) VALUES ($1, $2) RETURNING
  host(inet_server_addr()) || ':' || inet_server_port() AS server,
  substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline,
  (pg_current_wal_insert_lsn() - '0/0')::float8 AS lsn,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS wall`;

interface Row {
  readonly server: string;
  /** Hexadecimal. */
  readonly timeline: string;
  readonly lsn: number;
  readonly wall: number;
}

export interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Time between the starts of two writes, ms. */
  readonly everyMs: number;
  /** A statement without an answer after this time is abandoned; what became of it is unknown. */
  readonly statementMs: number;
}

export class Writer {
  readonly name: string;
  readonly #target: Target;
  readonly #nodeOf: (server: string) => string;
  readonly #told: (write: Acknowledgement) => void;
  #running = true;
  #nextId = 1;
  #client: pg.Client | undefined;
  /** The server has said during this statement that its commit is not on a standby. */
  #cancelled = false;
  cancelledWaits = 0;
  #loop: Promise<void> = Promise.resolve();

  private constructor(
    target: Target,
    nodeOf: (server: string) => string,
    told: (write: Acknowledgement) => void,
  ) {
    this.name = target.name;
    this.#target = target;
    this.#nodeOf = nodeOf;
    this.#told = told;
  }

  static start(
    target: Target,
    nodeOf: (server: string) => string,
    told: (write: Acknowledgement) => void,
  ): Writer {
    const writer = new Writer(target, nodeOf, told);
    writer.#loop = writer.#write();
    return writer;
  }

  /** Of writes that are begun from now on. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Ends writing; a statement under way is waited for, at most its deadline. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
  }

  async #write(): Promise<void> {
    while (this.#running) {
      const begun = performance.now();
      const waitMs = await this.#insert().then(
        () => this.#target.everyMs - (performance.now() - begun),
        (error: unknown) => this.#failed(error),
      );
      if (waitMs > 0) await pause(waitMs);
    }
    this.#drop();
  }

  #failed(error: unknown): number {
    if ((error as { code?: unknown }).code === READ_ONLY) return REFUSED_MS;
    this.#drop();
    return RETRY_MS;
  }

  async #insert(): Promise<void> {
    this.#client ??= await this.#connected();
    const id = this.#nextId;
    this.#nextId += 1;
    this.#cancelled = false;
    const values = [this.name, id];
    const answer = await this.#client.query<Row>({ name: 'chaos', text: INSERT, values });
    const at = performance.now();
    const wall = Date.now();
    const [row] = answer.rows;
    if (row === undefined) throw new Error('an insert without a row');
    if (this.#cancelled) {
      this.cancelledWaits += 1;
      return;
    }
    this.#told({
      writer: this.name,
      id,
      node: this.#nodeOf(row.server),
      timeline: Number.parseInt(row.timeline, 16),
      lsn: row.lsn,
      executedAt: at - (wall - row.wall),
      at,
    });
  }

  async #connected(): Promise<pg.Client> {
    const { host, port, statementMs } = this.#target;
    const deadlines = { connectMs: CONNECT_MS, statementMs };
    const client = await connect({ host, port, ...deadlines, applicationName: 'chaos' });
    client.on('notice', ({ code }) => {
      if (code === '01000') this.#cancelled = true;
    });
    return client;
  }

  #drop(): void {
    void this.#client?.end().catch(() => {});
    this.#client = undefined;
  }
}
