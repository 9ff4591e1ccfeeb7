/** Waiting until processes are gone, and ending those that have no postmaster. */
import type { Clock } from '../clock.ts';
import type { Parts } from './parts.ts';
import { PostgresError } from './postgres.ts';
import { isAlive, type ProcessIdentity, signalProcess } from './proc.ts';

/** From look to look, ms: a process that is no child gives no event. */
const LOOK_MS = 10;

/** True when it is gone, false when it still lives after `timeoutMs`. */
export async function waitUntilGone(
  clock: Clock,
  processes: readonly ProcessIdentity[],
  timeoutMs: number,
): Promise<boolean> {
  const deadline = clock.now() + timeoutMs;
  let left = processes.filter(isAlive);
  while (left.length > 0) {
    if (clock.now() >= deadline) return false;
    await clock.wait(LOOK_MS);
    left = left.filter(isAlive);
  }
  return true;
}

/**
 * SIGKILL to the processes of this data directory that have no living postmaster; waits until they
 * are gone. A new postmaster refuses to start beside them, and they go on acknowledging (protocol
 * 0.5). Returns how many there were.
 * @throws PostgresError some are still there after `timeoutMs`
 */
export async function endOrphans(parts: Parts, timeoutMs: number): Promise<number> {
  const { clock, instance, postmaster, places } = parts;
  const deadline = clock.now() + timeoutMs;
  const killed = new Set<string>();
  for (;;) {
    await postmaster.look();
    instance.learnDirectory(places.dataDir);
    const orphans = instance.orphans(postmaster.current());
    if (orphans.length === 0) return killed.size;
    for (const orphan of orphans) {
      killed.add(`${orphan.pid}:${orphan.startTicks}`);
      signalProcess(orphan, 'SIGKILL');
    }
    if (!(await waitUntilGone(clock, orphans, deadline - clock.now()))) {
      const pids = orphans.map((orphan) => orphan.pid).join(', ');
      throw new PostgresError(`processes ${pids} without a postmaster do not end`);
    }
  }
}
