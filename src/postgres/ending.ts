/** Waiting until processes are gone, and ending those that have no postmaster. */
import type { Clock } from '../clock.ts';
import type { Parts } from './parts.ts';
import { PostgresError } from './postgres.ts';
import {
  allProcesses,
  isAlive,
  type ProcessIdentity,
  processArguments,
  signalProcess,
} from './proc.ts';
import { toolSessions } from './run.ts';

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

/** Tools that write in a data directory and outlive the agent that started them (field D62). */
const WRITERS = ['initdb', 'pg_basebackup', 'pg_rewind'] as const;

/**
 * Ends tools that a former agent left at work on this data directory: beside them no other work
 * can begin. With each goes its session: pg_rewind starts a server of its own.
 * @throws PostgresError some are still there after `timeoutMs`
 */
export async function endStrayTools(parts: Parts, timeoutMs: number): Promise<number> {
  const { places, tools, clock } = parts;
  const names = new Set(WRITERS.map((tool) => tools.nameOf(tool).split('/').pop()?.slice(0, 15)));
  const isOurs = (argument: string): boolean => {
    const path = argument.slice(argument.indexOf('=') + 1);
    return path === places.dataDir || path.startsWith(`${places.stateDir}/`);
  };
  const everybody = allProcesses().filter(({ session }) => !toolSessions().has(session));
  const sessions = new Set(
    everybody
      .filter(({ command, pid }) => names.has(command) && processArguments(pid).some(isOurs))
      .map(({ session }) => session),
  );
  const stray = everybody.filter(({ session }) => sessions.has(session));
  for (const process of stray) signalProcess(process, 'SIGKILL');
  if (await waitUntilGone(clock, stray, timeoutMs)) return stray.length;
  throw new PostgresError('tools of an earlier agent do not end');
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
