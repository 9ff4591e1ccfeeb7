/**
 * Stops PostgreSQL before the lease can expire, when leadership cannot be proven in time (rule S1).
 *
 * It knows one instant, the deadline, and works backwards from it: a fast stop while there is time,
 * SIGQUIT at 250 ms, SIGSTOP and SIGKILL to every process at 100 ms. It asks nobody and waits for
 * nothing; being armed again with a later deadline is the only thing that calls it off.
 */
import type { Clock } from '../clock.ts';
import { fenceStages, gracefulStopMs } from '../core/timing.ts';
import type { Postgres } from '../postgres/postgres.ts';

export interface FenceOptions {
  readonly clock: Clock;
  readonly postgres: Pick<Postgres, 'stop' | 'signalStop' | 'freezeEverything' | 'killEverything'>;
  /** False only when PostgreSQL is proven stopped or in recovery and nothing is about to change that. */
  readonly mayTakeWrites: () => boolean;
  readonly log: (level: 'info' | 'warning' | 'error', text: string) => void;
  /** Told when a stage was carried out: a hint to look. */
  readonly onShot: (stage: string) => void;
}

export class SelfFence {
  readonly #options: FenceOptions;
  #deadline: number | null = null;
  #timers: (() => void)[] = [];

  constructor(options: FenceOptions) {
    this.#options = options;
  }

  /** Instant before which PostgreSQL may take writes, monotonic ms; null when the fence is down. */
  get deadline(): number | null {
    return this.#deadline;
  }

  /**
   * Sets or moves the deadline. `ttlMs` decides how early a fast stop is worth beginning.
   */
  arm(deadline: number, ttlMs: number): void {
    this.#clear();
    this.#deadline = deadline;
    this.#at(deadline - gracefulStopMs(ttlMs), () => this.#stopFast());
    this.#at(deadline - fenceStages.immediateMs, () => this.#stopImmediately());
    this.#at(deadline - fenceStages.killMs, () => this.#kill());
  }

  /** Only when the caller has proof that PostgreSQL is stopped or in recovery, or in pause. */
  disarm(): void {
    this.#clear();
    this.#deadline = null;
  }

  #at(instant: number, shoot: () => void): void {
    this.#timers.push(
      this.#options.clock.after(instant - this.#options.clock.now(), () => {
        if (this.#options.mayTakeWrites()) shoot();
      }),
    );
  }

  #clear(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
  }

  #stopFast(): void {
    this.#options.log(
      'error',
      'the lease could not be renewed in time: stopping PostgreSQL before it ends',
    );
    const timeoutMs = Math.max(0, (this.#deadline ?? 0) - this.#options.clock.now());
    // Whether it succeeds is seen by the stages after it, not by this promise.
    this.#options.postgres
      .stop('fast', { becomeStandby: true, timeoutMs })
      .catch((error: unknown) =>
        this.#options.log('warning', `fast stop before the lease ends: ${String(error)}`),
      );
    this.#options.onShot('fast stop');
  }

  #stopImmediately(): void {
    this.#options.postgres.signalStop('immediate');
    this.#options.onShot('immediate stop');
  }

  #kill(): void {
    this.#options.postgres.freezeEverything();
    const { signalled } = this.#options.postgres.killEverything();
    if (signalled > 0)
      this.#options.log(
        'error',
        `killed ${signalled} processes of PostgreSQL before the lease ends`,
      );
    this.#options.onShot('kill');
  }
}
