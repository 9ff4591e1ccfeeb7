/**
 * Connections to other servers that are kept for a moment: a leader that hands over asks its
 * candidates again and again in the time that counts most, and connecting takes longer than the
 * question (F3, F4).
 */
import type { Client } from 'pg';
import { within } from '../clock.ts';
import type { Upstream, UpstreamFacts } from '../core/model.ts';
import { clientConfig } from './connect.ts';
import { messageOf } from './disk.ts';
import { PostgresError } from './postgres.ts';
import { abandon, refusalOf } from './session.ts';
import { type Asker, askUpstream, queryOn, replicationDial } from './upstream.ts';

interface Kept {
  readonly client: Client;
  /** Ends the wait for the end of its time. */
  forget: () => void;
}

export class Upstreams {
  readonly #asker: Asker;
  readonly #kept = new Map<string, Kept>();

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  /**
   * As {@link askUpstream}. With `keepMs` the connection is kept for so long after the answer, and
   * one that was kept is used; otherwise the question has a connection of its own.
   * @throws PostgresError no answer in `timeoutMs`, or one that makes no sense
   */
  async ask(upstream: Upstream, timeoutMs: number, keepMs = 0): Promise<UpstreamFacts> {
    if (keepMs === 0) return await askUpstream(this.#asker, upstream, timeoutMs);
    const { clock } = this.#asker;
    const key = `${upstream.name} ${upstream.host}:${upstream.port}`;
    const kept = this.#take(key);
    const client = kept ?? (await this.#connect(upstream, timeoutMs));
    try {
      const facts = await askUpstream(this.#asker, upstream, timeoutMs, (work) =>
        within(clock, timeoutMs, 'replication connection', work(queryOn(client))),
      );
      this.#keep(key, client, keepMs);
      return facts;
    } catch (error) {
      abandon(client);
      // A kept one may have ended since; the server itself is still there to be asked.
      if (kept !== null) return await this.ask(upstream, timeoutMs, keepMs);
      throw new PostgresError(`${upstream.host}:${upstream.port}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  close(): void {
    for (const key of [...this.#kept.keys()]) {
      const client = this.#take(key);
      if (client !== null) abandon(client);
    }
  }

  async #connect(upstream: Upstream, timeoutMs: number): Promise<Client> {
    const { clock, replication, database } = this.#asker;
    const config = clientConfig(upstream, replication, database);
    const dial = replicationDial('true', timeoutMs);
    try {
      return await within(clock, timeoutMs, 'replication connection', dial.connect(config));
    } catch (error) {
      dial.abandon();
      throw new PostgresError(refusalOf(config, error), { cause: error });
    }
  }

  /** Out of the store: two questions at a time never share a connection. */
  #take(key: string): Client | null {
    const kept = this.#kept.get(key);
    if (kept === undefined) return null;
    this.#kept.delete(key);
    kept.forget();
    return kept.client;
  }

  #keep(key: string, client: Client, keepMs: number): void {
    const another = this.#take(key);
    if (another !== null) abandon(another);
    const forget = this.#asker.clock.after(keepMs, () => {
      this.#kept.delete(key);
      abandon(client);
    });
    this.#kept.set(key, { client, forget });
  }
}
