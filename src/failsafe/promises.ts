/**
 * The member's side of failsafe mode (contract 5.4): a leader that cannot reach the store asks every
 * member to let it go on. Whoever agrees promises not to race for as long as the leader may rely on
 * it, and the promise is on disk before it is given: it binds the next life of this agent too.
 */
import type { Clock } from '../clock.ts';
import type { FailsafePromise } from '../core/model.ts';

/** Patroni's leaders know no ttl below this one, and their loop is slower (protocol, failsafe), ms. */
export const PATRONI_TTL_MS = 20_000;

/** What a leader asks. */
export interface FailsafeRequest {
  readonly leader: string;
  /** The ttl that the leader counts with, ms; null: a Patroni leader, which does not say. */
  readonly ttlMs: number | null;
  /** Positions of its replication slots, bytes. */
  readonly slots: Readonly<Record<string, number>>;
}

/** What is kept on disk. */
export interface PromiseRecord {
  readonly leader: string;
  /** End of the promise on a clock that counts from the machine's start, ms. */
  readonly until: number;
  /** How long it was given for, ms: what it is worth after the machine was started again. */
  readonly forMs: number;
  /** Which start of the machine `until` is counted from. */
  readonly boot: string;
}

export interface PromisesOptions {
  readonly clock: Clock;
  readonly boot: string;
  readonly save: (promise: PromiseRecord) => Promise<void>;
  readonly onChange: (why: string) => void;
}

export class Promises {
  readonly #options: PromisesOptions;
  #standing: FailsafePromise | null;

  /** @param kept of an earlier life */
  constructor(options: PromisesOptions, kept: PromiseRecord | null) {
    this.#options = options;
    this.#standing =
      kept === null ? null : { leader: kept.leader, until: this.#end(kept), slots: {} };
  }

  /** Null when none stands. */
  get standing(): FailsafePromise | null {
    const promise = this.#standing;
    return promise !== null && this.#options.clock.now() < promise.until ? promise : null;
  }

  /**
   * Gives the promise, from now on.
   * @param ttlMs of this member's own configuration
   * @throws when it cannot be written down: then it is not given
   */
  async give(request: FailsafeRequest, ttlMs: number): Promise<void> {
    const { clock, boot, save, onChange } = this.#options;
    const forMs = Math.max(ttlMs, request.ttlMs ?? PATRONI_TTL_MS);
    const { leader, slots } = request;
    const until = Math.max(clock.now() + forMs, this.#of(leader)?.until ?? 0);
    const isNew = this.standing?.leader !== leader;
    // Binds from here on, whatever begins while it is written down.
    this.#standing = { leader, until, slots };
    await save({ leader, until, forMs, boot });
    if (isNew) onChange(`${leader} goes on without the store, and this member has agreed`);
  }

  #of(leader: string): FailsafePromise | null {
    return this.#standing?.leader === leader ? this.#standing : null;
  }

  /** Of another start of the machine nothing is known but how long it was for. */
  #end({ until, forMs, boot }: PromiseRecord): number {
    const latest = this.#options.clock.now() + forMs;
    return boot === this.#options.boot ? Math.min(until, latest) : latest;
  }
}
