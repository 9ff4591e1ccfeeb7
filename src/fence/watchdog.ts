/**
 * The seam to the hardware watchdog: a device that resets the machine when it hears nothing for its
 * timeout, whatever has become of the daemon, the guard and the kernel's scheduler (contract 5.18).
 */
import type { WatchdogFacts } from '../core/model.ts';

export interface Watchdog {
  /**
   * Leadership was proven until `deadline` (monotonic ms): keeps the machine running for one timeout,
   * if that ends before the lease, and begins to activate a device that is not active. Returns when
   * the machine is reset without another one, monotonic ms; null: nothing resets it. Never waits, never throws.
   */
  proven(deadline: number): number | null;

  /**
   * Active, or not wanted; `automatic` goes on without. Awaited before PostgreSQL becomes a primary.
   * @throws WatchdogError it is required and cannot be activated
   */
  ready(): Promise<void>;

  /** Turns it off. Only on proof that PostgreSQL is stopped or in recovery, or in pause. Never waits, never throws. */
  release(): void;

  facts(): WatchdogFacts;

  /** `stopped`: as `release`. Otherwise it goes on counting after the end of this process. */
  close(stopped: boolean): void;
}

/** The message says what cannot be used, and why. */
export class WatchdogError extends Error {
  override readonly name = 'WatchdogError';
}

/** `watchdog.mode: off` */
export const noWatchdog: Watchdog = {
  proven: () => null,
  ready: async () => undefined,
  release: () => undefined,
  facts: () => ({ state: 'off', failure: null }),
  close: () => undefined,
};
