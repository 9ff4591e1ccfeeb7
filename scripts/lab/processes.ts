/**
 * Processes by (pid, start time), so that a recycled pid is never taken for the process it once was,
 * and processes found by the folder they work in, for orphans nobody remembers.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { waitFor } from './wait.ts';

export interface ProcessId {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process (field 22 of /proc/PID/stat). */
  readonly startTime: string;
}

interface Stat {
  readonly startTime: string;
  readonly zombie: boolean;
  /** It has a controlling terminal: somebody's shell, or what was started from one. */
  readonly onTerminal: boolean;
}

function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field, (command), may hold blanks and parentheses; the third follows the last ")".
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const startTime = fields[19];
  if (startTime === undefined) return undefined;
  return {
    startTime,
    zombie: fields[0] === 'Z' || fields[0] === 'X',
    onTerminal: fields[4] !== '0',
  };
}

/** The identity of a running process; undefined when there is none with that pid, or only a zombie. */
export function identify(pid: number): ProcessId | undefined {
  const stat = readStat(pid);
  return stat === undefined || stat.zombie ? undefined : { pid, startTime: stat.startTime };
}

export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.startTime === id.startTime;
}

/** Sends a signal to exactly this process; false when it is gone already. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Running processes whose working directory is `folder` or below it (also when it is deleted by now).
 * Not those on a terminal: all that a lab starts is in a session of its own, so that is a visitor's shell.
 */
export function processesIn(folder: string): ProcessId[] {
  const found: ProcessId[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    if (pid === process.pid) continue;
    const stat = readStat(pid);
    if (stat === undefined || stat.zombie || stat.onTerminal) continue;
    if (isBelow(workingDirectory(pid), folder)) found.push({ pid, startTime: stat.startTime });
  }
  return found;
}

function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined; // gone, or another user's
  }
}

function isBelow(path: string | undefined, folder: string): boolean {
  if (path === undefined) return false;
  const plain = path.replace(/ \(deleted\)$/, '');
  return plain === folder || plain.startsWith(`${folder}/`);
}

/** SIGKILL to all of them, and to what appears in `folder` meanwhile, until nothing is left. */
export async function killAllIn(folder: string, deadlineMs = 5000): Promise<number> {
  const killed = new Set<number>();
  await waitFor(`the end of all processes in ${folder}`, deadlineMs, (seen) => {
    const left = processesIn(folder);
    for (const id of left) {
      if (signalProcess(id, 'SIGKILL')) killed.add(id.pid);
    }
    seen(`pids ${left.map((id) => id.pid).join(', ')}`);
    return left.length === 0;
  });
  return killed.size;
}

/** Waits until the process is gone. */
export async function ended(id: ProcessId, what: string, deadlineMs: number): Promise<void> {
  await waitFor(`the end of ${what} (pid ${id.pid})`, deadlineMs, (seen) => {
    seen('still running');
    return !isAlive(id);
  });
}
