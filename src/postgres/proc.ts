/**
 * Processes by (pid, start time): a pid alone names nobody, as the kernel gives it to the next
 * process (S1). Everything here is synchronous and reads only /proc, never a disk.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process. */
  readonly startTicks: number;
}

export interface ProcessEntry extends ProcessIdentity {
  /** Name of the executed file, cut to 15 characters. */
  readonly command: string;
  readonly parent: number;
  readonly session: number;
  /** T and t are stopped. */
  readonly state: string;
}

/** Null when there is no such process, or when it is only a zombie: kill(pid, 0) finds those (field D60). */
export function readProcess(pid: number): ProcessEntry | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  return parseStat(text);
}

/** One line of /proc/<pid>/stat; null for a process that has ended. */
export function parseStat(text: string): ProcessEntry | null {
  // The command is in parentheses and may itself contain spaces and parentheses.
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const rest = text.slice(close + 2).split(' ');
  const [state, parent, , session] = rest;
  const started = rest[19];
  if (open < 0 || state === undefined || started === undefined) return null;
  if (state === 'Z' || state === 'X' || state === 'x') return null;
  return {
    pid: Number(text.slice(0, open)),
    command: text.slice(open + 1, close),
    state,
    parent: Number(parent),
    session: Number(session),
    startTicks: Number(started),
  };
}

/** The very process, and not a zombie. */
export function isAlive(identity: ProcessIdentity): boolean {
  return readProcess(identity.pid)?.startTicks === identity.startTicks;
}

export function identify(pid: number): ProcessIdentity | null {
  const entry = readProcess(pid);
  return entry === null ? null : { pid: entry.pid, startTicks: entry.startTicks };
}

/** Sends a signal to the very process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Every process of the machine except zombies. */
export function allProcesses(): ProcessEntry[] {
  const found: ProcessEntry[] = [];
  for (const name of readdirSync('/proc')) {
    const first = name.charCodeAt(0);
    if (first < 48 || first > 57) continue;
    const entry = readProcess(Number(name));
    if (entry !== null) found.push(entry);
  }
  return found;
}

/** Identity of a directory that survives renames and deletion: what /proc/<pid>/cwd can be matched with. */
export type DirectoryKey = string;

export function directoryKey(path: string): DirectoryKey | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

/** Working directory of a process; null when it is gone or belongs to somebody else. */
export function workingDirectory(pid: number): DirectoryKey | null {
  return directoryKey(`/proc/${pid}/cwd`);
}

/** Arguments of a process, its program first; [] when they cannot be read. */
export function processArguments(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '').split('\0');
  } catch {
    return [];
  }
}

/** What ps shows: PostgreSQL writes there what the process is doing. '' when it cannot be read. */
export function processTitle(pid: number): string {
  return processArguments(pid).join(' ').trim();
}
