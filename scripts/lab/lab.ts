/**
 * A lab: one work folder, the processes started in it and the ports reserved for them.
 * Closing it leaves no process, no port and no folder.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type ReservedPort, reservePort } from './ports.ts';
import {
  ended,
  identify,
  isAlive,
  killAllIn,
  type ProcessId,
  processesIn,
  signalProcess,
} from './processes.ts';
import { within } from './wait.ts';

/** The checkout this file belongs to. */
export const CHECKOUT = join(import.meta.dirname, '..', '..');

export interface SpawnOptions {
  /** For messages; also the name of the log file. */
  readonly name: string;
  /** Working directory; must be inside the lab's folder, since that is how orphans are found. */
  readonly cwd: string;
  /** Output and errors are appended here; default: NAME.log in cwd. */
  readonly log?: string;
  /** Added to a small environment (PATH, HOME, TMPDIR, LANG, …). */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process started by the lab. Its output is in `log`. */
export interface LabProcess extends ProcessId {
  readonly name: string;
  readonly log: string;
  /** Settles when the process has ended; never rejects. */
  readonly exited: Promise<Exit>;
  isAlive(): boolean;
  signal(signal: NodeJS.Signals): boolean;
  /** Sends the signal and waits for the end; SIGKILL and an error when that takes longer than `deadlineMs`. */
  end(signal: NodeJS.Signals, deadlineMs: number): Promise<Exit>;
  /** The end of its log, for messages. */
  tail(lines?: number): string;
}

/** The labs of this process that are open. */
const open = new Set<Lab>();

/** The logs of everything that was started in the labs that are open now, oldest lab first. */
export function openLogs(): readonly string[] {
  return [...open].flatMap((lab) => lab.logs);
}

export class Lab {
  /** Absolute path of the work folder. */
  readonly folder: string;
  readonly #processes = new Set<LabProcess>();
  readonly #logs = new Set<string>();
  readonly #ports: ReservedPort[] = [];
  readonly #closers: Array<() => Promise<void>> = [];
  readonly #onExit: () => void;
  #closing: Promise<void> | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    // Whatever ends this process, nothing is left behind (but for its own SIGKILL).
    this.#onExit = () => {
      for (const id of processesIn(folder)) signalProcess(id, 'SIGKILL');
      remove(folder);
    };
    process.on('exit', this.#onExit);
    open.add(this);
  }

  /** The log file of every process that was started here, ended ones too. */
  get logs(): readonly string[] {
    return [...this.#logs];
  }

  static open(): Lab {
    if (process.getuid?.() === 0) {
      throw new Error(
        'the lab runs PostgreSQL, which refuses to run as root: found uid 0, allowed: any other user (use scripts/unprivileged.sh)',
      );
    }
    return new Lab(mkdtempSync(join(tmpdir(), 'lab-')));
  }

  /** A free loopback port, reserved until the lab is closed. */
  async port(): Promise<number> {
    const reserved = await reservePort();
    this.#ports.push(reserved);
    return reserved.port;
  }

  /** A folder inside the lab, made when missing. */
  path(...parts: string[]): string {
    const path = join(this.folder, ...parts);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Starts a process in its own process group, so that Ctrl-C on a terminal does not reach it. */
  async spawn(command: readonly string[], options: SpawnOptions): Promise<LabProcess> {
    if (this.#closing !== undefined)
      throw new Error(`the lab is closing; ${options.name} is not started any more`);
    const [file, ...args] = command;
    if (file === undefined) throw new Error(`no command given for ${options.name}`);
    const log = options.log ?? join(options.cwd, `${options.name}.log`);
    mkdirSync(dirname(log), { recursive: true });
    this.#logs.add(log);
    const fd = openSync(log, 'a');
    let child: ChildProcess;
    try {
      child = spawn(file, args, {
        cwd: options.cwd,
        env: { ...baseEnvironment(), ...options.env },
        stdio: ['ignore', fd, fd],
        detached: true,
      });
    } finally {
      closeSync(fd);
    }
    const running = await track(child, file, options.name, log);
    this.#processes.add(running);
    void running.exited.then(() => this.#processes.delete(running));
    return running;
  }

  /** Something to do first when the lab closes; the last one registered is called first. */
  onClose(closer: () => Promise<void>): void {
    this.#closers.push(closer);
  }

  /** Ends everything and removes the folder. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const closer of this.#closers.toReversed()) {
      await within(5000, closer()).catch((error) => console.error('lab: while closing:', error));
    }
    for (const running of this.#processes) running.signal('SIGKILL');
    await killAllIn(this.folder);
    await Promise.all([...this.#processes].map((running) => within(2000, running.exited)));
    for (const port of this.#ports) port.release();
    remove(this.folder);
    process.off('exit', this.#onExit);
    open.delete(this);
  }
}

/** Opens a lab, runs `work` and closes the lab whatever happens. */
export async function withLab<T>(work: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = Lab.open();
  try {
    return await work(lab);
  } finally {
    await lab.close();
  }
}

/** Removes a folder, also one in which a test took its own rights away. */
function remove(folder: string): void {
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 } as const;
  try {
    rmSync(folder, options);
  } catch {
    execFileSync('chmod', ['-R', 'u+rwX', folder]);
    rmSync(folder, options);
  }
}

function baseEnvironment(): Record<string, string> {
  const kept =
    /^(PATH|HOME|TMPDIR|USER|LOGNAME|LANG|LC_\w+|TZ|TERM|TENURE_NODE|NODE_COMPILE_CACHE)$/;
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (kept.test(name) && value !== undefined) env[name] = value;
  }
  return env;
}

async function track(
  child: ChildProcess,
  file: string,
  name: string,
  log: string,
): Promise<LabProcess> {
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(new Error(`cannot start ${name} (${file}): ${error.message}`)),
    );
  });
  const pid = child.pid as number;
  // Gone already when it failed at once: then no other process can have its pid before Node reaps it.
  const id = identify(pid) ?? { pid, startTime: 'gone' };
  const tail = (lines = 20) =>
    readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  return {
    ...id,
    name,
    log,
    exited,
    tail,
    isAlive: () => isAlive(id),
    signal: (signal) => signalProcess(id, signal),
    end: async (signal, deadlineMs) => {
      signalProcess(id, signal);
      const exit = await within(deadlineMs, exited);
      if (exit !== undefined) return exit;
      signalProcess(id, 'SIGKILL');
      await ended(id, name, 5000);
      throw new Error(
        `${name} did not end within ${deadlineMs} ms of ${signal}; its log:\n${tail()}`,
      );
    },
  };
}
