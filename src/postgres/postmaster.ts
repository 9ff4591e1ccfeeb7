/**
 * The postmaster: found, started, adopted, known again. Its identity is its pid with its start
 * time, never the pid alone: in a container a stale postmaster.pid soon names another process.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import type { PostmasterProcess } from '../core/model.ts';
import { showMemoryOf } from '../dumps.ts';
import { isMissing, messageOf } from './disk.ts';
import type { Instance } from './instance.ts';
import type { Places } from './options.ts';
import { PostgresError } from './postgres.ts';
import { identify, isAlive, type ProcessIdentity, readProcess } from './proc.ts';
import { serverEnvironment } from './run.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Started {
  readonly identity: ProcessIdentity;
  /** Settles when the process has ended; never rejects. */
  readonly exited: Promise<Exit>;
}

/** First line of postmaster.pid; null for anything that is no pid. */
export function pidOf(text: string): number | null {
  // In single-user mode the server writes its pid negated.
  const pid = Math.abs(Number.parseInt(text, 10));
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}

export class Postmaster {
  readonly #places: Places;
  readonly #instance: Instance;
  readonly #onExit: (why: string) => void;
  readonly #onFound: (pid: number) => void;
  #known: { readonly identity: ProcessIdentity; readonly adopted: boolean } | null = null;

  /** @param onFound is told of each postmaster that somebody else, or an earlier agent, has started */
  constructor(
    places: Places,
    instance: Instance,
    onExit: (why: string) => void,
    onFound: (pid: number) => void = () => undefined,
  ) {
    this.#places = places;
    this.#instance = instance;
    this.#onExit = onExit;
    this.#onFound = onFound;
  }

  /** Looks for it: the one that we know, the one that postmaster.pid names, or one in the data directory. */
  async look(): Promise<PostmasterProcess> {
    const known = this.#alive();
    if (known !== null) return known;
    let text = '';
    try {
      text = await readFile(this.#places.postmasterPid, 'utf8');
    } catch (error) {
      if (!isMissing(error)) return { kind: 'unknown', why: messageOf(error) };
    }
    this.#instance.learnDirectory(this.#places.dataDir);
    this.#adopt(text);
    return this.#alive() ?? { kind: 'none' };
  }

  /** The living one that we know of, without touching a disk. */
  current(): ProcessIdentity | null {
    const alive = this.#alive();
    return alive?.kind === 'alive' ? { pid: alive.pid, startTicks: alive.startTicks } : null;
  }

  /** As {@link look}, now: for when there is no time to wait. */
  lookNow(): ProcessIdentity | null {
    const known = this.current();
    if (known !== null) return known;
    this.#instance.learnDirectory(this.#places.dataDir);
    let text = '';
    try {
      text = readFileSync(this.#places.postmasterPid, 'utf8');
    } catch {
      // Then it is looked for among the processes.
    }
    this.#adopt(text);
    return this.current();
  }

  /**
   * Starts a postmaster that outlives this process, with our own output as its output: in a
   * container the server's log is the container's (recipe A).
   * @throws PostgresError it could not be executed
   */
  start(file: string, args: readonly string[]): Started {
    const child = execa(file, [...args], {
      detached: true,
      cleanup: false,
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'inherit',
      buffer: false,
      reject: false,
      extendEnv: false,
      env: serverEnvironment(),
    });
    const exited = child.then(
      (result) => ({ code: result.exitCode ?? null, signal: result.signal ?? null }),
      () => ({ code: null, signal: null }),
    ) as Promise<Exit>;
    const identity = child.pid === undefined ? null : identify(child.pid);
    if (child.pid === undefined) throw new PostgresError(`${file} could not be started`);
    showMemoryOf(child.pid);
    child.nodeChildProcess.unref();
    // It may have ended already: an identity that no process has is as dead as it is.
    const own = identity ?? { pid: child.pid, startTicks: -1 };
    this.#known = { identity: own, adopted: false };
    exited
      .then((exit) => this.#onExit(`postmaster ${own.pid} ended${describeExit(exit)}`))
      .catch(() => undefined);
    return { identity: own, exited };
  }

  #alive(): PostmasterProcess | null {
    if (this.#known === null || !isAlive(this.#known.identity)) return null;
    return { kind: 'alive', ...this.#known.identity, adopted: this.#known.adopted };
  }

  #adopt(pidFile: string): void {
    const pid = pidOf(pidFile);
    const named = pid === null ? null : this.#postmasterAt(pid);
    const found = named ?? this.#instance.findPostmaster();
    if (found === null) return;
    this.#known = { identity: found, adopted: true };
    this.#onFound(found.pid);
  }

  /** The process is a server in this data directory, and not the child of one. */
  #postmasterAt(pid: number): ProcessIdentity | null {
    const entry = readProcess(pid);
    if (entry === null || !this.#instance.isServerCommand(entry)) return null;
    if (!this.#instance.livesHere(pid)) return null;
    const parent = readProcess(entry.parent);
    const isChild =
      parent !== null &&
      this.#instance.isServerCommand(parent) &&
      this.#instance.livesHere(parent.pid);
    return isChild ? null : { pid, startTicks: entry.startTicks };
  }
}

export function describeExit(exit: Exit): string {
  if (exit.signal !== null) return ` by ${exit.signal}`;
  return exit.code === null ? '' : ` with exit code ${exit.code}`;
}
