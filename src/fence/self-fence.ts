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
  /** Told at every stage whether there was anything to stop, before it is stopped. */
  readonly onStage?: (mayTakeWrites: boolean) => void;
}

interface Stage {
  /** Monotonic ms. */
  readonly at: number;
  readonly shoot: () => void;
}

export class SelfFence {
  readonly #options: FenceOptions;
  #deadline: number | null = null;
  #cancel: () => void = () => undefined;

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
    this.disarm();
    this.#deadline = deadline;
    // Half of what is left is for proving, however short it is: a primary found at start has no more
    // than retry_timeout, and must not be stopped before anybody was asked.
    const left = Math.max(0, deadline - this.#options.clock.now());
    const gracefulMs = Math.min(gracefulStopMs(ttlMs), left / 2);
    this.#next([
      { at: deadline - gracefulMs, shoot: () => this.#stopFast() },
      { at: deadline - fenceStages.immediateMs, shoot: () => this.#stopImmediately() },
      { at: deadline - fenceStages.killMs, shoot: () => this.#kill() },
    ]);
  }

  /** Only when the caller has proof that PostgreSQL is stopped or in recovery, or in pause. */
  disarm(): void {
    this.#cancel();
    this.#cancel = () => undefined;
    this.#deadline = null;
  }

  /** One timer at a time: that of the stage which comes next. */
  #next([stage, ...later]: readonly Stage[]): void {
    if (stage === undefined) return;
    this.#cancel = this.#options.clock.at(stage.at, () => {
      const mayTakeWrites = this.#options.mayTakeWrites();
      this.#options.onStage?.(mayTakeWrites);
      if (mayTakeWrites) stage.shoot();
      this.#next(later);
    });
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
