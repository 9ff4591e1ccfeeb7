/**
 * The fence: whatever stops PostgreSQL before the lease can expire. This process does it in stages,
 * the guard beside it at the last moment and without being asked; both know one deadline (rule S1).
 */
import type { GuardFacts } from '../core/model.ts';
import type { Guard } from './guard.ts';
import { SelfFence, type FenceOptions as SelfFenceOptions } from './self-fence.ts';

export interface FenceOptions extends Omit<SelfFenceOptions, 'onStage'> {
  readonly guard: Guard;
}

/** For the guard to confirm what it was told, ms. It takes one; more when it has to be replaced. */
const READY_MS = 1000;

export class Fence {
  readonly #guard: Guard;
  readonly #self: SelfFence;

  constructor({ guard, ...options }: FenceOptions) {
    this.#guard = guard;
    this.#self = new SelfFence({ ...options, onStage: (may) => this.#stage(may) });
  }

  /** Instant before which PostgreSQL may take writes, monotonic ms; null when the fence is down. */
  get deadline(): number | null {
    return this.#self.deadline;
  }

  get guard(): GuardFacts {
    return this.#guard.facts();
  }

  /** Sets or moves the deadline, monotonic ms. `ttlMs` decides how early a fast stop is worth beginning. */
  arm(deadline: number, ttlMs: number): void {
    this.#guard.arm(deadline);
    this.#self.arm(deadline, ttlMs);
  }

  /** Only when the caller has proof that PostgreSQL is stopped or in recovery, or in pause. */
  disarm(): void {
    this.#self.disarm();
    this.#guard.disarm();
  }

  /**
   * Awaited before anything of PostgreSQL is started or promoted: a guard that has fired kills also
   * what comes afterwards, so it must have heard of what happened since (protocol: S9).
   * @throws GuardError
   */
  async ready(): Promise<void> {
    await this.#guard.ready(READY_MS);
  }

  /**
   * Does what may make a running primary the leader, with the guard armed meanwhile: should this
   * process be stopped before it sees the answer, nobody else would arm it.
   * @throws GuardError, and what `work` throws: then PostgreSQL is guarded as little as before
   */
  async during<T>(deadline: number, work: () => Promise<T>): Promise<T> {
    const before = this.#self.deadline;
    this.#guard.arm(deadline);
    try {
      await this.ready();
      return await work();
    } finally {
      // A renewal that was proven meanwhile has armed both.
      if (this.#self.deadline === before) this.#restore(before);
    }
  }

  /** Finds or starts the guard. Returns the deadline it was left armed with, monotonic ms. @throws GuardError */
  async open(): Promise<number | null> {
    return await this.#guard.open();
  }

  /** `stopped`: PostgreSQL is proven not to run, or the cluster is paused. */
  close(stopped: boolean): void {
    this.#self.disarm();
    this.#guard.close(stopped);
  }

  #restore(deadline: number | null): void {
    if (deadline === null) this.#guard.disarm();
    else this.#guard.arm(deadline);
  }

  /** The guard cannot tell a standby from a primary. It is armed again before anything could change that. */
  #stage(mayTakeWrites: boolean): void {
    const { deadline } = this.#self;
    if (!mayTakeWrites) this.#guard.disarm();
    else if (deadline !== null) this.#guard.arm(deadline);
  }
}
