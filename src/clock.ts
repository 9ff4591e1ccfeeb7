/**
 * Time. Inside the agent it is monotonic milliseconds that also count the machine's suspend
 * (rules S1, S10); wall time exists only in text for people.
 */
import { uptime } from 'node:os';

/** A thing that can cut a wait short. */
export interface Waker {
  /** Ends the wait in progress, or the next one when none is. */
  hint(reason: string): void;
}

export interface Clock {
  /** Monotonic ms, suspend included, unaffected by clock steps. */
  now(): number;
  /** For people and for wire formats that ask for it. */
  wall(): Date;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms`; the returned function cancels it. */
  after(ms: number, call: () => void): () => void;
  /**
   * Calls back once when `now()` has reached `instant`, also when that happens while the machine is
   * suspended: then within 100 ms of its waking. The returned function cancels it.
   */
  at(instant: number, call: () => void): () => void;
}

/** Differences up to this size are the 10 ms steps of the boot clock, not a suspend. */
const BOOT_CLOCK_STEP_MS = 25;

/** The boot clock costs a system call or two: it is read again after this time at the earliest. */
const LOOK_EVERY_MS = 5;

/** Timers do not run while the machine is suspended: longer ones look at the clock this often. */
const LONGEST_TIMER_MS = 100;

export class RealClock implements Clock {
  readonly #onLate: ((ms: number) => void) | undefined;
  #suspendedMs = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  readonly #origin = uptime() * 1000 - performance.now();

  /** @param onLate told of every wait that ran its full time: by how many ms it ended late */
  constructor(onLate?: (ms: number) => void) {
    this.#onLate = onLate;
  }

  now(): number {
    const fine = performance.now();
    if (fine - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = fine;
      const behind = uptime() * 1000 - fine - this.#origin - this.#suspendedMs;
      if (behind > BOOT_CLOCK_STEP_MS) this.#suspendedMs += behind;
    }
    return fine + this.#origin + this.#suspendedMs;
  }

  wall(): Date {
    return new Date();
  }

  wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const due = performance.now() + Math.max(1, ms);
      const timer = setTimeout(
        () => {
          this.#onLate?.(Math.max(0, performance.now() - due));
          done();
        },
        Math.max(0, ms),
      );
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  after(ms: number, call: () => void): () => void {
    const timer = setTimeout(call, Math.max(0, ms));
    return () => clearTimeout(timer);
  }

  at(instant: number, call: () => void): () => void {
    let timer: NodeJS.Timeout;
    const look = (): void => {
      const left = instant - this.now();
      if (left > 0) timer = setTimeout(look, Math.min(left, LONGEST_TIMER_MS));
      else call();
    };
    timer = setTimeout(look, Math.max(0, Math.min(instant - this.now(), LONGEST_TIMER_MS)));
    return () => clearTimeout(timer);
  }
}

/** Rejects with `TimeoutError` when `work` has not settled after `ms`; the work itself goes on. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * Bounds a promise. The only way in this code base to put a deadline on work that has none.
 * @throws TimeoutError after `ms`
 */
export async function within<T>(
  clock: Clock,
  ms: number,
  what: string,
  work: Promise<T>,
): Promise<T> {
  let cancel: () => void = () => undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(ms, () =>
      reject(new TimeoutError(`${what}: no answer in ${Math.round(ms)} ms`)),
    );
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    cancel();
  }
}
