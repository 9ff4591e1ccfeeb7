/**
 * The seam to the guard: a process of its own that kills PostgreSQL at the deadline when this one
 * cannot, because it is dead, stopped or stuck (rule S1). Owned by the fence; the simulator may give
 * its own side.
 */
import type { GuardFacts } from '../core/model.ts';

export interface Guard {
  /**
   * Finds the guard of this node's earlier life, or starts one; from then on it is watched and
   * replaced when it is killed, stopped or silent. The first thing that a daemon does beside a
   * database. Returns the deadline that the guard found is armed with (monotonic ms; perhaps over),
   * null when it is not.
   * @throws GuardError there is none and none can be started
   */
  open(): Promise<number | null>;

  /** From `deadline` on (monotonic ms) everything of PostgreSQL is dead, unless told otherwise. Never waits, never throws. */
  arm(deadline: number): void;

  /** Only on proof that PostgreSQL is stopped or in recovery, or in pause. Never waits, never throws. */
  disarm(): void;

  /**
   * The guard itself has confirmed what it was last told; an armed one that there is time left.
   * @throws GuardError it has not, after `timeoutMs`
   */
  ready(timeoutMs: number): Promise<void>;

  facts(): GuardFacts;

  /** Stops looking after it. `end`: it is not needed any more, as PostgreSQL is proven to be stopped. */
  close(end: boolean): void;
}

/** There is no guard to rely on; the message says why and what can be done. */
export class GuardError extends Error {
  override readonly name = 'GuardError';
}

/** Nothing stops PostgreSQL while the daemon cannot (`tenure.guard: off`). */
export const noGuard: Guard = {
  open: async () => null,
  arm: () => undefined,
  disarm: () => undefined,
  ready: async () => undefined,
  facts: () => ({ state: 'off', pid: null }),
  close: () => undefined,
};
