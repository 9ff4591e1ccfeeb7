/**
 * What every operation on the cluster's keys goes through: its time budget, and the memory of how
 * far the store had got (rule S3).
 */
import type { Clock } from '../clock.ts';
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
  #lastSeen: Pick<Header, 'clusterId' | 'revision'> | null = null;

  constructor(store: KeyValueStore, keys: Keys, clock: Clock, retryTimeoutMs: number) {
    this.store = store;
    this.keys = keys;
    this.#clock = clock;
    this.#retryTimeoutMs = retryTimeoutMs;
  }

  get retryTimeoutMs(): number {
    return this.#retryTimeoutMs;
  }

  /** Applies from the next operation on. @throws RangeError unless positive */
  set retryTimeoutMs(ms: number) {
    if (!(ms > 0)) throw new RangeError(`retry timeout: ${ms} ms`);
    this.#retryTimeoutMs = ms;
  }

  budget(timeoutMs: number = this.#retryTimeoutMs): Budget {
    return new Budget(this.#clock, timeoutMs);
  }

  options(budget: Budget): CallOptions {
    return {
      timeoutMs: budget.leftMs,
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
    return answer;
  }

  /** Linearizable and read-only; a transaction without a read would be answered without raft. */
  async get(keys: readonly string[], budget: Budget): Promise<Transaction> {
    const reads = keys.map((key) => ({ get: key }));
    return this.transact([], reads, [], budget);
  }

  /**
   * Everything below the prefix. Read again when a write of this agent was answered meanwhile.
   * @throws StoreUnavailable, StoreRefused
   */
  async range(budget: Budget): Promise<Header & { readonly kvs: readonly KeyValue[] }> {
    for (let round = 1; ; round += 1) {
      const answer = await this.store.range(this.keys.prefix, this.options(budget));
      const seen = this.#lastSeen;
      if (seen?.clusterId !== answer.clusterId || answer.revision >= seen.revision) {
        this.saw(answer);
        return answer;
      }
      if (round === MOST_READS || budget.leftMs === 0) {
        const why = `revision ${answer.revision} is older than ${seen.revision}, which is known`;
        throw new StoreUnavailable(`read: ${why}`, false);
      }
    }
  }

  saw(header: Header): void {
    const { clusterId, revision } = header;
    if (this.#lastSeen?.clusterId === clusterId && this.#lastSeen.revision >= revision) return;
    this.#lastSeen = { clusterId, revision };
  }
}
