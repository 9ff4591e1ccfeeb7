/** The arithmetic of the lease (rule S1, F2). All values are milliseconds. */

/** Clocks of different machines are trusted to run apart by no more than this over one lease. */
export function driftMs(ttlMs: number): number {
  return Math.max(50, ttlMs / 1000);
}

/** Before this instant PostgreSQL may take writes; `sentAt` is when the proven renewal was sent. */
export function leaseDeadline(sentAt: number, grantedMs: number): number {
  return sentAt + grantedMs - driftMs(grantedMs);
}

/** How often a leader renews (F2). */
export function leaderRenewalMs(ttlMs: number): number {
  return Math.max(300, ttlMs / 6);
}

/** How often a replica keeps its member key alive (F2). */
export function memberRenewalMs(ttlMs: number): number {
  return Math.max(300, ttlMs / 3);
}

/** One round of renewal may take this long before the next is tried. */
export function renewalTimeoutMs(ttlMs: number, retryTimeoutMs: number): number {
  return Math.max(300, Math.min(retryTimeoutMs, ttlMs / 4));
}

/** Stages of stopping a primary whose lease cannot be proven, as time left until the deadline (S1). */
export const fenceStages = {
  /** Immediate stop: SIGQUIT to the postmaster. */
  immediateMs: 250,
  /** SIGSTOP, then SIGKILL to every process of the instance. */
  killMs: 100,
} as const;

/** A fast stop is begun only when this much time is left: some seconds, less for short leases. */
export function gracefulStopMs(ttlMs: number): number {
  return Math.max(600, Math.min(3000, ttlMs / 5));
}

/** A promotion is begun only when the lease is good for this much longer. */
export function promotionMarginMs(ttlMs: number): number {
  return gracefulStopMs(ttlMs) + 200;
}

/** Pause before rejoin number `failures` + 1: 1 s, doubled each time, at most a minute. */
export function rejoinBackoffMs(failures: number): number {
  return failures <= 0 ? 0 : Math.min(60_000, 1000 * 2 ** (failures - 1));
}
