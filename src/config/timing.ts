/** The three times that everything else hangs on, and the rule between them (C-6.1). */

export interface Timing {
  readonly ttlMs: number;
  readonly loopWaitMs: number;
  readonly retryTimeoutMs: number;
}

export const DEFAULT_TIMING: Timing = { ttlMs: 30_000, loopWaitMs: 10_000, retryTimeoutMs: 10_000 };

/** What a cluster of Tenure alone may go down to. */
export const OUR_FLOORS: Timing = { ttlMs: 3000, loopWaitMs: 1000, retryTimeoutMs: 1000 };
/** What Patroni applies, and so every member of a mixed cluster. */
export const PATRONI_FLOORS: Timing = { ttlMs: 20_000, loopWaitMs: 1000, retryTimeoutMs: 3000 };

const KEYS = [
  ['ttlMs', 'ttl'],
  ['loopWaitMs', 'loop_wait'],
  ['retryTimeoutMs', 'retry_timeout'],
] as const;

/** Whole seconds, raised to the floors, and loop_wait + 2 * retry_timeout <= ttl; in memory only. */
export function effectiveTiming(
  wanted: Timing,
  allMembersRunTenure: boolean,
): { timing: Timing; warnings: string[] } {
  const warnings: string[] = [];
  const floors = allMembersRunTenure ? OUR_FLOORS : PATRONI_FLOORS;
  const timing = { ...wanted };
  for (const [key, name] of KEYS) {
    // Leases are granted in whole seconds.
    const seconds = Math.max(1, Math.round(wanted[key] / 1000)) * 1000;
    timing[key] = Math.max(seconds, floors[key]);
    if (timing[key] > seconds) {
      const where = allMembersRunTenure ? '' : ' while a member runs Patroni';
      warnings.push(
        `${name}: ${seconds / 1000} is too low, at least ${floors[key] / 1000}${where}: ${timing[key] / 1000} is used`,
      );
    }
  }
  return { timing: fitted(timing, warnings), warnings };
}

function fitted(timing: Timing, warnings: string[]): Timing {
  const room = timing.ttlMs - 2 * timing.retryTimeoutMs;
  if (timing.loopWaitMs <= room) return timing;
  const loopWaitMs = Math.max(1000, room);
  const retryTimeoutMs =
    room >= 1000 ? timing.retryTimeoutMs : Math.floor((timing.ttlMs / 1000 - 1) / 2) * 1000;
  const used =
    room >= 1000
      ? `loop_wait ${loopWaitMs / 1000} is used`
      : `loop_wait ${loopWaitMs / 1000} and retry_timeout ${retryTimeoutMs / 1000} are used`;
  warnings.push(
    `loop_wait + 2 * retry_timeout must not be above ttl (${timing.ttlMs / 1000}): ${used}`,
  );
  return { ttlMs: timing.ttlMs, loopWaitMs, retryTimeoutMs };
}
