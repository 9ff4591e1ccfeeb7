/**
 * The one place that runs PostgreSQL's tools. Each gets a process group of its own, so that a
 * signal to the agent's terminal does not reach it (field D62) and so that nothing of it is left
 * behind when it is given up. The wait is bounded whatever the tool or its children do.
 */
import { execa } from 'execa';
import type { Clock } from '../clock.ts';
import { PostgresError } from './postgres.ts';

/** Kept of each output stream, bytes: the end of it. */
const KEPT_BYTES = 256 * 1024;
/** From SIGTERM to SIGKILL, ms. */
const TERM_GRACE_MS = 1000;
/** For the last output after the exit, ms: a grandchild may hold the pipe open for ever. */
const PIPE_GRACE_MS = 200;

export interface RunRequest {
  readonly file: string;
  readonly args: readonly string[];
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default C, so that messages can be read; initdb needs the user's own. */
  readonly locale?: 'C' | 'inherited';
  /** An open file that it gets as its standard input; else it gets none. */
  readonly stdin?: number;
  /** Each line of stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  /** The command as a person would type it, arguments included. */
  readonly what: string;
  /** Null: did not start, or was ended by a signal. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly cancelled: boolean;
  readonly durationMs: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it could not be started, else null. */
  readonly notStarted: string | null;
}

const running = new Set<number>();
let started = 0;

/** How many tools run now, and how many were started since this process began. */
export function toolCounts(): { readonly running: number; readonly started: number } {
  return { running: running.size, started };
}

/** Sessions of the tools that run now. */
export function toolSessions(): ReadonlySet<number> {
  return running;
}

/** The agent's own secrets and its supervisor's socket are nobody else's business (C-6.8). */
export function serverEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined || /^(?:PATRONI_|TENURE_|KUBERNETES_|NOTIFY_SOCKET$)/.test(name))
      continue;
    kept[name] = value;
  }
  return kept;
}

/** As the server's, without libpq's variables: where a tool connects to is said on its command line. */
function toolEnvironment(request: RunRequest): Record<string, string> {
  const kept = serverEnvironment();
  for (const name of Object.keys(kept)) {
    if (/^PG[A-Z]/.test(name)) delete kept[name];
  }
  return { ...kept, ...(request.locale === 'inherited' ? {} : { LC_ALL: 'C' }), ...request.env };
}

/** Never rejects; a tool that could not be started is a result too. */
export async function run(request: RunRequest): Promise<RunResult> {
  const { clock, signal } = request;
  const startedAt = clock.now();
  const child = execa(request.file, [...request.args], {
    detached: true,
    cleanup: false,
    // Any descriptor will do; the library's type has only the first ones.
    stdin: (request.stdin ?? 'ignore') as 'ignore' | 3,
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    extendEnv: false,
    env: toolEnvironment(request),
    ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
  });
  const { pid } = child;
  const events = child.nodeChildProcess;
  if (pid !== undefined) running.add(pid);
  started += 1;
  const stdout = new Tail();
  const stderr = new Tail(request.onLine);
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  let notStarted: string | null = null;
  let ended: { code: number | null; signal: NodeJS.Signals | null } | null = null;
  const exit = new Promise<void>((resolve) => {
    events.once('exit', (code, by) => {
      ended = { code, signal: by };
      resolve();
    });
    events.once('error', (error) => {
      notStarted ??= error.message;
      if (pid === undefined) resolve();
    });
  });
  const closed = new Promise<void>((resolve) => events.once('close', () => resolve()));
  const ending = await boundedEnd(request, exit, pid);
  if (notStarted === null) await Promise.race([closed, clock.wait(PIPE_GRACE_MS)]);
  // Whatever it has started and left behind, when it did not end by itself.
  if (ending !== 'ended') killGroup(pid, 'SIGKILL');
  if (pid !== undefined) running.delete(pid);
  const end = ended as { code: number | null; signal: NodeJS.Signals | null } | null;
  return {
    what: [request.file, ...request.args].join(' '),
    exitCode: end?.code ?? null,
    signal: end?.signal ?? null,
    timedOut: ending === 'timeout',
    cancelled: ending === 'cancelled' || (signal?.aborted ?? false),
    durationMs: clock.now() - startedAt,
    stdout: stdout.text(),
    stderr: stderr.text(),
    notStarted,
  };
}

async function boundedEnd(
  request: RunRequest,
  exit: Promise<void>,
  pid: number | undefined,
): Promise<'ended' | 'timeout' | 'cancelled'> {
  const { clock, timeoutMs, signal } = request;
  const stopWaiting = new AbortController();
  const cancelled = new Promise<'cancelled'>((resolve) => {
    if (signal?.aborted) return resolve('cancelled');
    const listen = (): void => resolve('cancelled');
    signal?.addEventListener('abort', listen, { once: true });
    stopWaiting.signal.addEventListener('abort', () =>
      signal?.removeEventListener('abort', listen),
    );
  });
  const timeout = clock.wait(timeoutMs, stopWaiting.signal).then(() => 'timeout' as const);
  const ending = await Promise.race([exit.then(() => 'ended' as const), cancelled, timeout]);
  stopWaiting.abort();
  if (ending === 'ended') return ending;
  killGroup(pid, 'SIGTERM');
  await Promise.race([exit, clock.wait(TERM_GRACE_MS)]);
  killGroup(pid, 'SIGKILL');
  await Promise.race([exit, clock.wait(TERM_GRACE_MS)]);
  return ending;
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is empty: what was asked for.
  }
}

/** The end of a stream of bytes. */
class Tail {
  #chunks: Buffer[] = [];
  #size = 0;
  #line = '';
  readonly #onLine: ((line: string) => void) | undefined;

  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (
      this.#chunks.length > 1 &&
      this.#size - (this.#chunks[0] as Buffer).length >= KEPT_BYTES
    ) {
      this.#size -= (this.#chunks.shift() as Buffer).length;
    }
    if (this.#onLine === undefined) return;
    const lines = (this.#line + chunk.toString('utf8')).split(/\r\n|\r|\n/);
    this.#line = (lines.pop() ?? '').slice(-KEPT_BYTES);
    for (const line of lines) this.#onLine(line);
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8').slice(-KEPT_BYTES);
  }
}

/** One line: what was run, how it ended, what it said last. */
export function failureOf(result: RunResult, timeoutMs: number): string {
  const tool = result.what.split(' ')[0]?.split('/').pop() ?? result.what;
  if (result.notStarted !== null) return `${tool} could not be started: ${result.notStarted}`;
  const how = result.cancelled
    ? 'was cancelled'
    : result.timedOut
      ? `did not end in ${Math.round(timeoutMs)} ms`
      : result.signal !== null
        ? `was ended by ${result.signal}`
        : `failed with exit code ${result.exitCode}`;
  return `${tool} ${how}${lastLines(result.stderr || result.stdout)} (${result.what})`;
}

/** `: ` and the last lines that say something, or ''. */
export function lastLines(text: string, count = 4): string {
  const lines = text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^\d+\/\d+ kB \(\d+%\)/.test(line));
  return lines.length === 0 ? '' : `: ${lines.slice(-count).join(' | ')}`;
}

/** As {@link run}. @throws PostgresError it did not end with exit code 0 */
export async function runOrThrow(request: RunRequest): Promise<RunResult> {
  const result = await run(request);
  if (result.exitCode === 0 && !result.cancelled && !result.timedOut) return result;
  throw new PostgresError(failureOf(result, request.timeoutMs));
}
