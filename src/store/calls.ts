/**
 * What every operation on the cluster's keys goes through: its time budget, and the memory of how
 * far the store had got (rule S3).
 */
import type { Clock } from '../clock.ts';
import { FORGET_AFTER_MS } from './histories.ts';
import type { Keys } from './keys.ts';
import {
  type CallOptions,
  type Compare,
  type Header,
  type KeyValue,
  type KeyValueStore,
  type Operation,
  StoreUnavailable,
} from './keyvalue.ts';

/** Only a store that serves the past on purpose needs more. */
const MOST_READS = 5;

type Seen = Pick<Header, 'clusterId' | 'revision'>;

export type Transaction = Awaited<ReturnType<KeyValueStore['transact']>>;

/** Time left for an operation of several calls. */
export class Budget {
  readonly #clock: Clock;
  readonly #end: number;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#end = clock.now() + timeoutMs;
  }

  get leftMs(): number {
    return Math.max(0, this.#end - this.#clock.now());
  }
}

export class Calls {
  readonly keys: Keys;
  readonly store: KeyValueStore;
  readonly #clock: Clock;
  #retryTimeoutMs: number;
  readonly #onOtherHistory: () => void;
  #forgetAfterMs = FORGET_AFTER_MS;
  #lastSeen: Seen | null = null;
  /** The newest effect of this agent's own. */
  #lastWritten: Seen | null = null;
  #wentBack: { readonly why: string; readonly at: number } | null = null;

  /** @param onOtherHistory the store is not the one it was: nothing written before is there */
  constructor(
    store: KeyValueStore,
    keys: Keys,
    clock: Clock,
    retryTimeoutMs: number,
    onOtherHistory: () => void = () => undefined,
  ) {
    this.store = store;
    this.keys = keys;
    this.#clock = clock;
    this.#retryTimeoutMs = retryTimeoutMs;
    this.#onOtherHistory = onOtherHistory;
  }

  get retryTimeoutMs(): number {
    return this.#retryTimeoutMs;
  }

  /** Applies from the next operation on. @throws RangeError unless positive */
  set retryTimeoutMs(ms: number) {
    if (!(ms > 0)) throw new RangeError(`retry timeout: ${ms} ms`);
    this.#retryTimeoutMs = ms;
  }

  get forgetAfterMs(): number {
    return this.#forgetAfterMs;
  }

  /** See {@link CallOptions.forgetAfterMs}. @throws RangeError unless positive */
  set forgetAfterMs(ms: number) {
    if (!(ms > 0)) throw new RangeError(`time to forget a wiped store: ${ms} ms`);
    this.#forgetAfterMs = ms;
  }

  /** That the store lost its history, for as long as people should be told; else null. */
  get wentBack(): string | null {
    const found = this.#wentBack;
    return found && this.#clock.now() - found.at < this.#forgetAfterMs ? found.why : null;
  }

  budget(timeoutMs: number = this.#retryTimeoutMs): Budget {
    return new Budget(this.#clock, timeoutMs);
  }

  options(budget: Budget): CallOptions {
    return {
      timeoutMs: budget.leftMs,
      forgetAfterMs: this.#forgetAfterMs,
      ...(this.#lastSeen ? { notBefore: this.#lastSeen } : {}),
    };
  }

  /**
   * One transaction. Its answer, and no earlier one, is what later reads have to reach.
   * @throws StoreUnavailable, StoreRefused, LeaseGone
   */
  async transact(
    compare: readonly Compare[],
    then: readonly Operation[],
    otherwise: readonly Operation[],
    budget: Budget,
  ): Promise<Transaction> {
    const answer = await this.store.transact(compare, then, otherwise, this.options(budget));
    this.saw(answer);
    const done = answer.succeeded ? then : otherwise;
    if (done.some((operation) => !('get' in operation))) {
      this.#lastWritten = newer(this.#lastWritten, answer);
    }
    return answer;
  }

  /** Linearizable and read-only; a transaction without a read would be answered without raft. */
  async get(keys: readonly string[], budget: Budget): Promise<Transaction> {
    const reads = keys.map((key) => ({ get: key }));
    return this.transact([], reads, [], budget);
  }

  /**
   * Everything below the prefix. Read again when a write of this agent was answered meanwhile; not
   * when a mere look of its was, or on a store that others keep busy no read would ever do.
   * @throws StoreUnavailable, StoreRefused
   */
  async range(budget: Budget): Promise<Header & { readonly kvs: readonly KeyValue[] }> {
    for (let round = 1; ; round += 1) {
      const atStart = this.#lastSeen;
      const answer = await this.store.range(this.keys.prefix, this.options(budget));
      const needed = Math.max(
        knownOf(answer.clusterId, atStart),
        knownOf(answer.clusterId, this.#lastWritten),
      );
      if (answer.revision >= needed) {
        this.saw(answer);
        return answer;
      }
      if (round === MOST_READS || budget.leftMs === 0) {
        const why = `revision ${answer.revision} is older than ${needed}, which is known`;
        throw new StoreUnavailable(`read: ${why}`, false);
      }
    }
  }

  saw(header: Header): void {
    const last = this.#lastSeen;
    this.#lastSeen = newer(last, header);
    if (last === null || last.clusterId === header.clusterId) return;
    const why =
      header.revision < last.revision
        ? `the store went back from revision ${last.revision} to ${header.revision}: it was restored or wiped`
        : `the store is not the one it was at revision ${last.revision}: it was restored, wiped or replaced`;
    this.#wentBack = { why, at: this.#clock.now() };
    this.#onOtherHistory();
  }
}

/** What is known of another store says nothing about this one. */
function newer(known: Seen | null, { clusterId, revision }: Header): Seen {
  if (known?.clusterId === clusterId && known.revision >= revision) return known;
  return { clusterId, revision };
}

/** The revision that a view of this store has to reach. */
function knownOf(clusterId: string, known: Seen | null): number {
  return known?.clusterId === clusterId ? known.revision : 0;
}
