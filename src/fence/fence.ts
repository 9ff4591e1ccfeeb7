/**
 * The fence: whatever stops PostgreSQL before the lease can expire. This process does it in stages,
 * the guard beside it at the last moment and without being asked; both know one deadline (rule S1).
 * A hardware watchdog, where there is one, resets the machine when neither does; an outage of the
 * store alone must not come to that, so PostgreSQL is stopped before it.
 */
import type { GuardFacts, WatchdogFacts } from '../core/model.ts';
import { stopBefore } from '../core/watchdog.ts';
import type { Guard } from './guard.ts';
import { SelfFence, type FenceOptions as SelfFenceOptions } from './self-fence.ts';
import { noWatchdog, type Watchdog } from './watchdog.ts';

export interface FenceOptions extends Omit<SelfFenceOptions, 'onStage'> {
  readonly guard: Guard;
  /** Absent: none. */
  readonly watchdog?: Watchdog;
  /** One look at PostgreSQL, after which `mayTakeWrites` knows. Bounded; never rejects. */
  readonly look?: () => Promise<void>;
}

/** For the guard to confirm what it was told, ms. It takes one; more when it has to be replaced. */
const READY_MS = 1000;
/** From look to look for the end of a PostgreSQL that was stopped, ms: the watchdog is counting. */
const LOOK_MS = 100;

export class Fence {
  readonly #options: FenceOptions;
  readonly #guard: Guard;
  readonly #watchdog: Watchdog;
  readonly #self: SelfFence;
  #turningOff = false;

  constructor(options: FenceOptions) {
    this.#options = options;
    this.#guard = options.guard;
    this.#watchdog = options.watchdog ?? noWatchdog;
    this.#self = new SelfFence({ ...options, onStage: (may) => this.#stage(may) });
  }

  /** Instant before which PostgreSQL may take writes, monotonic ms; null when the fence is down. */
  get deadline(): number | null {
    return this.#self.deadline;
  }

  get guard(): GuardFacts {
    return this.#guard.facts();
  }

  get watchdog(): WatchdogFacts {
    return this.#watchdog.facts();
  }

  /**
   * Leadership was proven until `proven`, monotonic ms. `ttlMs` as in {@link arm}.
   */
  extend(proven: number, ttlMs: number): void {
    const resetAt = this.#watchdog.proven(proven);
    this.arm(resetAt === null ? proven : Math.min(proven, stopBefore(resetAt)), ttlMs);
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
    this.#watchdog.release();
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
   * The same before a start as primary or a promotion: the watchdog is active as well, if there is one.
   * @throws GuardError, WatchdogError
   */
  async readyToLead(): Promise<void> {
    // One after the other: a device is not started for a primary that does not come.
    await this.ready();
    // In pause there is no deadline, and no watchdog.
    if (this.#self.deadline !== null) await this.#watchdog.ready();
  }

  /**
   * Does what may make a running primary the leader, with the guard armed meanwhile: should this
   * process be stopped before it sees the answer, nobody else would arm it.
   * @throws GuardError, WatchdogError, and what `work` throws: then PostgreSQL is guarded as little as before
   */
  async during<T>(deadline: number, work: () => Promise<T>): Promise<T> {
    const before = this.#self.deadline;
    this.#guard.arm(deadline);
    try {
      await this.ready();
      await this.#watchdog.ready();
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
    this.#watchdog.close(stopped);
  }

  #restore(deadline: number | null): void {
    if (deadline !== null) {
      this.#guard.arm(deadline);
      return;
    }
    this.#guard.disarm();
    this.#watchdog.release();
  }

  /** The guard cannot tell a standby from a primary. It is armed again before anything could change that. */
  #stage(mayTakeWrites: boolean): void {
    const { deadline } = this.#self;
    if (!mayTakeWrites) {
      this.#guard.disarm();
      this.#watchdog.release();
      return;
    }
    if (deadline !== null) this.#guard.arm(deadline);
    if (this.#watchdog.facts().state === 'active') this.#turnOffOnceStopped();
  }

  /** The loop may be waiting for the store, whose silence is why PostgreSQL is being stopped. */
  #turnOffOnceStopped(): void {
    const { clock, look, mayTakeWrites } = this.#options;
    const { deadline } = this.#self;
    if (this.#turningOff || look === undefined || deadline === null) return;
    this.#turningOff = true;
    const untilStopped = async (): Promise<void> => {
      while (this.#self.deadline === deadline && this.#watchdog.facts().state === 'active') {
        await clock.wait(LOOK_MS);
        await look();
        if (this.#self.deadline === deadline && !mayTakeWrites()) this.#watchdog.release();
      }
    };
    untilStopped()
      .catch((error: unknown) =>
        this.#options.log('error', `turning the watchdog off: ${String(error)}`),
      )
      .finally(() => {
        this.#turningOff = false;
      });
  }
}
