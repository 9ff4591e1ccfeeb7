/**
 * The arithmetic of the hardware watchdog (contract 5.18; rule S1; field D5): how long it waits, and
 * by when PostgreSQL must be stopped so that a mere outage of the store does not reset the machine.
 */
import { driftMs, gracefulStopMs, leaderRenewalMs } from './timing.ts';

export interface WatchdogPolicy {
  readonly mode: 'off' | 'automatic' | 'required';
  /** ms before the end of the lease; null: half of ttl. */
  readonly safetyMarginMs: number | null;
}

/** From the sending of a renewal to the keep-alive that its proof allows, ms. */
const PROOF_MS = 1000;
/** To see that PostgreSQL is gone and to turn the watchdog off, ms. */
const ROOM_MS = 500;

/** What the device is asked for, whole seconds: it knows no others. 0: ttl is too short for any. */
export function watchdogSeconds(ttlMs: number, { safetyMarginMs }: WatchdogPolicy): number {
  const wantedMs = safetyMarginMs === null ? ttlMs / 2 : ttlMs - safetyMarginMs;
  return Math.max(0, Math.floor(Math.min(wantedMs, ttlMs - driftMs(ttlMs) - PROOF_MS) / 1000));
}

/** A keep-alive now keeps the machine running beyond `deadline`: it has come too late (field D5). */
export function keepsTooLong(now: number, timeoutMs: number, deadline: number): boolean {
  return now + timeoutMs > deadline;
}

/** By when PostgreSQL must be stopped when the watchdog resets the machine at `resetAt`, monotonic ms. */
export function stopBefore(resetAt: number): number {
  return resetAt - ROOM_MS;
}

/**
 * Why a device that waits for `timeoutMs` cannot be used; null: it can. Between two renewals there has
 * to be time to stop PostgreSQL in, or the first one that fails would reset the machine.
 */
export function watchdogUnfit(timeoutMs: number, ttlMs: number): string | null {
  const neededMs = leaderRenewalMs(ttlMs) + gracefulStopMs(ttlMs) + ROOM_MS;
  if (timeoutMs >= neededMs) return null;
  return `it would wait for ${timeoutMs} ms, and with ttl ${ttlMs} ms it has to wait for ${Math.ceil(neededMs)} ms: use a longer ttl or a smaller watchdog.safety_margin`;
}
