/** The guard as a process: finding the one of an earlier life, starting one. */
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Clock, within } from '../clock.ts';
import {
  allProcesses,
  directoryKey,
  identify,
  type ProcessIdentity,
  processArguments,
  workingDirectory,
} from '../postgres/proc.ts';
import { GuardError } from './guard.ts';
import { programFile } from './programs.ts';

const PROGRAM = 'tenure-guard';
/** For perl to start and to get the lock of one that was killed, ms. */
const START_MS = 5000;
/** Kept of what it complains about, characters. */
const COMPLAINT = 500;

/** Whom a guard guards. */
export interface Ward {
  readonly dataDir: string;
  /** Exists; the guard works here and has its lock here. Never inside `dataDir`. */
  readonly stateDir: string;
  /** Names of the server's executable. */
  readonly commands: readonly string[];
}

/** @throws GuardError */
function program(): string {
  const file = programFile(PROGRAM);
  if (file === null) throw new GuardError(`bin/${PROGRAM} is not there`);
  return file;
}

/** Null: it is gone, or another user's. */
function mountsOf(process: string): string | null {
  try {
    return readlinkSync(`/proc/${process}/ns/mnt`);
  } catch {
    return null;
  }
}

/**
 * Living guards of this data directory, whoever started them. Another container's may have been
 * started with the same paths: it is ours only where paths mean the same, or when it works in our
 * own state directory (a service may get mounts of its own at each start).
 */
export function findGuards({ dataDir, stateDir }: Ward): ProcessIdentity[] {
  const here = directoryKey(stateDir);
  return allProcesses()
    .filter(({ command }) => command === 'perl')
    .filter(({ pid }) => {
      const [, program, , guarded] = processArguments(pid);
      return program?.endsWith(`/${PROGRAM}`) === true && guarded === dataDir;
    })
    .filter(({ pid }) => workingDirectory(pid) === here || mountsOf(`${pid}`) === mountsOf('self'))
    .map(({ pid, startTicks }) => ({ pid, startTicks }));
}

/**
 * Starts a guard that outlives this process; returns when it listens.
 * @throws GuardError it does not
 */
export async function startGuard(ward: Ward, clock: Clock): Promise<ProcessIdentity> {
  const lock = join(ward.stateDir, 'guard.lock');
  const child = execa('perl', [program(), lock, ward.dataDir, ...ward.commands], {
    // A session of its own: a signal to the daemon's group or terminal does not reach it.
    detached: true,
    cleanup: false,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    extendEnv: false,
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
    cwd: ward.stateDir,
  });
  const { pid, nodeChildProcess: events } = child;
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString()}`.slice(0, COMPLAINT);
  });
  const listening = new Promise<boolean>((resolve) => {
    child.stdout.once('data', () => resolve(true));
    child.then(
      () => resolve(false),
      () => resolve(false),
    );
    events.once('error', (error) => {
      complaint = error.message;
    });
  });
  const ready = await within(clock, START_MS, PROGRAM, listening).catch((error: unknown) => {
    complaint = error instanceof Error ? error.message : String(error);
    return false;
  });
  child.stdout.destroy();
  child.stderr.destroy();
  events.unref();
  const identity = ready && pid !== undefined ? identify(pid) : null;
  if (identity !== null) return identity;
  if (pid !== undefined) events.kill('SIGKILL');
  const why = complaint.trim() || 'it ended at once';
  throw new GuardError(
    `the guard cannot be started: ${why}. It needs perl (Debian: perl-base); tenure.guard: off does without it`,
  );
}
