/**
 * A watch as a hint (rule F1): one raw stream at a time on the endpoint that answers calls now.
 * Whatever happens to it, the loop is told to look again and a new stream is made. The library's
 * own watcher dies silently after a compaction and hangs after a token expired.
 */
import type { Etcd3, IWatchResponse } from 'etcd3';
import { type Clock, within } from '../clock.ts';
import type { Endpoint } from './endpoint.ts';
import type { Endpoints } from './endpoints.ts';
import { failureOf, StreamEnded } from './failures.ts';
import type { Change } from './keyvalue.ts';

const CREATION_MS = 1000;
const BACK_OFF_MS = { first: 100, last: 2000 };

type Stream = Awaited<ReturnType<Etcd3['watchClient']['watch']>>;

export class EtcdWatch {
  readonly #endpoints: Endpoints;
  readonly #clock: Clock;
  readonly #range: { readonly key: Buffer; readonly range_end: Buffer };
  readonly #onChange: (changes: readonly Change[]) => void;
  readonly #onGap: (why: string) => void;
  readonly #stopping = new AbortController();

  constructor(
    endpoints: Endpoints,
    clock: Clock,
    range: { readonly key: Buffer; readonly range_end: Buffer },
    onChange: (changes: readonly Change[]) => void,
    onGap: (why: string) => void,
  ) {
    this.#endpoints = endpoints;
    this.#clock = clock;
    this.#range = range;
    this.#onChange = onChange;
    this.#onGap = onGap;
    void this.#run();
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Never rejects: every failure ends in a back-off. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let backOffMs = BACK_OFF_MS.first;
    while (!signal.aborted) {
      const lived = await this.#live();
      if (signal.aborted) return;
      if (lived.created) {
        this.#onGap(lived.why);
        backOffMs = BACK_OFF_MS.first;
      }
      await this.#clock.wait(backOffMs, signal);
      backOffMs = Math.min(backOffMs * 2, BACK_OFF_MS.last);
    }
  }

  /** One life of a stream, from its creation to its end. Never rejects. */
  async #live(): Promise<{ readonly created: boolean; readonly why: string }> {
    const endpoint = this.#endpoints.preferred;
    const used: { client: Etcd3 | null; abandoned: boolean } = { client: null, abandoned: false };
    const open = async (): Promise<Stream> => {
      used.client = await endpoint.client(CREATION_MS);
      const stream = await used.client.watchClient.watch();
      if (used.abandoned) stream.cancel();
      return stream;
    };
    try {
      const stream = await within(this.#clock, CREATION_MS, 'watch', open());
      const end = await this.#follow(stream, endpoint);
      if (end.broken) endpoint.suspectNow(used.client, end.why);
      return end;
    } catch (error) {
      used.abandoned = true;
      const why = failureOf(error).message;
      endpoint.suspectNow(used.client, why);
      return { created: false, why };
    }
  }

  #follow(
    stream: Stream,
    endpoint: Endpoint,
  ): Promise<{ readonly created: boolean; readonly broken: boolean; readonly why: string }> {
    return new Promise((resolve) => {
      let created = false;
      const finish = (why: string, broken: boolean): void => {
        cancelTimer();
        forgetEndpoint();
        this.#stopping.signal.removeEventListener('abort', stopped);
        stream.cancel();
        resolve({ created, broken, why: `watch: ${why}` });
      };
      const stopped = (): void => finish('stopped', false);
      const cancelTimer = this.#clock.after(CREATION_MS, () => {
        if (!created) finish(`not created in ${CREATION_MS} ms`, true);
      });
      const forgetEndpoint = endpoint.onSuspect((why) => finish(why, false));
      this.#stopping.signal.addEventListener('abort', stopped, { once: true });
      // A canceled stream reports an error: the listener has to be there before anything else.
      stream.on('error', (error) => finish(failureOf(error).message, true));
      stream.on('end', () => finish(new StreamEnded('the stream ended').message, true));
      stream.on('data', (answer) => {
        if (answer.canceled) {
          finish(
            answer.cancel_reason || `canceled, compacted at ${answer.compact_revision}`,
            false,
          );
        } else if (answer.created) {
          created = true;
          this.#onGap('watch: begins');
        } else {
          this.#report(answer);
        }
      });
      if (this.#stopping.signal.aborted) stopped();
      else stream.write({ create_request: this.#range });
    });
  }

  #report(answer: IWatchResponse): void {
    const changes = answer.events.map(({ kv, type }): Change => {
      const deleted = String(type).toUpperCase() === 'DELETE';
      return { key: kv.key.toString(), value: deleted ? null : kv.value.toString() };
    });
    if (changes.length > 0) this.#onChange(changes);
  }
}
