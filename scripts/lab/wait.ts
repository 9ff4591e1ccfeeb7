/** Waiting for a condition: the only way the lab lets time pass. */

/** How often a condition is looked at, unless told otherwise, in milliseconds. */
const DEFAULT_INTERVAL_MS = 25;

export class WaitedInVain extends Error {
  override readonly name = 'WaitedInVain';
}

/**
 * Looks at `probe` until it gives a value other than `undefined` or `false`, and returns that value.
 *
 * @param what completes the sentence "waited 5000 ms for …"
 * @param deadlineMs longest wait in milliseconds; a probe that hangs does not make it longer
 * @param probe may call `seen` with what it found; the last text is part of the error. A probe that
 *   throws has found its error.
 */
export async function waitFor<T>(
  what: string,
  deadlineMs: number,
  probe: (seen: (found: string) => void) => Promise<T | undefined | false> | T | undefined | false,
  intervalMs = DEFAULT_INTERVAL_MS,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last = 'nothing yet';
  const seen = (found: string) => {
    last = found;
  };
  for (;;) {
    const left = end - performance.now();
    const value = await within(Math.max(left, 1), attempt(probe, seen));
    if (value !== undefined && value !== false) return value;
    if (performance.now() >= end) {
      throw new WaitedInVain(`waited ${deadlineMs} ms for ${what}; last seen: ${last}`);
    }
    await pause(Math.min(intervalMs, Math.max(1, end - performance.now())));
  }
}

async function attempt<T>(
  probe: (seen: (found: string) => void) => Promise<T | undefined | false> | T | undefined | false,
  seen: (found: string) => void,
): Promise<T | undefined | false> {
  try {
    return await probe(seen);
  } catch (error) {
    seen(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** The promise's value, or undefined after `ms` milliseconds (the work behind it goes on). */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A pause between two looks at the same condition, in milliseconds; not a substitute for one. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
