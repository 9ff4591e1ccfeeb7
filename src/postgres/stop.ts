/** Stopping the server until nothing of it is left (C-5.13, rules S8, F4). */
import { TimeoutError, within } from '../clock.ts';
import type { PostmasterProcess, WalPoint } from '../core/model.ts';
import { messageOf } from './disk.ts';
import { endOrphans, waitUntilGone } from './ending.ts';
import { writeStandbySignal } from './files.ts';
import type { Parts } from './parts.ts';
import { PostgresError } from './postgres.ts';
import { isAlive, type ProcessEntry, type ProcessIdentity, signalProcess } from './proc.ts';
import { lookAtControl, type Tell, teller } from './shutdown.ts';

/** From look to look at pg_control and the postmaster, ms. */
const LOOK_MS = 10;
/** After "shut down", for walsenders to send the last record and have it confirmed, ms. */
const SENDER_GRACE_MS = 300;
/** After SIGTERM, before SIGQUIT, ms. */
const SENDER_TERM_MS = 100;
/** After that, for whatever else a shut-down postmaster waits for, before SIGQUIT, ms. */
const POSTMASTER_GRACE_MS = 3000;
/** For what a dead server leaves behind, ms. */
const LEFTOVERS_MS = 5000;
/** For the disk to say where the postmaster is, ms: a known one needs no disk. */
const FIND_MS = 1000;
/** For standby.signal, ms. */
const SIGNAL_FILE_MS = 2000;

export interface StopRequest {
  readonly mode: 'fast' | 'immediate';
  readonly becomeStandby: boolean;
  readonly timeoutMs: number;
  readonly onShutDown?: (end: WalPoint) => void;
  readonly holdSenders?: () => boolean;
}

/** @throws PostgresError something of it is still there in the end */
export async function stopServer(parts: Parts, request: StopRequest): Promise<void> {
  const deadline = parts.clock.now() + request.timeoutMs;
  if (request.mode === 'fast') await stopFast(parts, request, deadline);
  else await stopImmediately(parts, request, deadline);
  parts.session.reset();
  await endRest(parts);
}

async function stopFast(parts: Parts, request: StopRequest, deadline: number): Promise<void> {
  // A server that could not be kept from coming back as a primary is not stopped for it (S8).
  if (request.becomeStandby) await markStandby(parts);
  const found = await find(parts);
  if (found.kind === 'unknown') {
    throw new PostgresError(`cannot tell whether it runs: ${found.why}`);
  }
  if (found.kind === 'none') return;
  // While it serves, where it costs nobody anything: after the signal clients wait for it.
  const tell = request.onShutDown === undefined ? null : await teller(parts, request.onShutDown);
  parts.instance.processes(found);
  signalProcess(found, 'SIGINT');
  if (await watchEnd(parts, found, request, deadline, tell)) return;
  throw new PostgresError(`PostgreSQL did not stop in ${Math.round(request.timeoutMs)} ms`);
}

/**
 * Carried through whatever happens: it is asked for when going on is worse than any end. So nothing
 * that may fail or hang comes before the signal, least of all the disk.
 */
async function stopImmediately(
  parts: Parts,
  request: StopRequest,
  deadline: number,
): Promise<void> {
  const { instance, log } = parts;
  const found = await find(parts);
  if (found.kind === 'alive') {
    signalProcess(found, 'SIGQUIT');
    instance.processes(found);
  } else if (found.kind === 'unknown') {
    const signalled = instance.kill(null);
    log('warn', `cannot tell whether it runs (${found.why}): killed ${signalled} processes`);
  }
  const marked = request.becomeStandby
    ? markStandby(parts).catch((error: unknown) => log('error', messageOf(error)))
    : null;
  if (found.kind === 'alive' && !(await watchEnd(parts, found, request, deadline))) {
    await insist(parts, found);
  }
  await marked;
}

/** @throws PostgresError it is not on disk, for all that is known */
async function markStandby({ clock, places }: Parts): Promise<void> {
  try {
    await within(clock, SIGNAL_FILE_MS, 'the disk', writeStandbySignal(places));
  } catch (error) {
    throw new PostgresError(`cannot write standby.signal: ${messageOf(error)}`, { cause: error });
  }
}

async function find({ clock, postmaster }: Parts): Promise<PostmasterProcess> {
  try {
    return await within(clock, FIND_MS, 'postmaster.pid', postmaster.look());
  } catch (error) {
    return { kind: 'unknown', why: messageOf(error) };
  }
}

/**
 * Orphans are looked for with the disk's help, as a directory that was swapped out has some too.
 * Where it does not answer, those that are known have to do.
 */
async function endRest(parts: Parts): Promise<void> {
  const { clock, instance } = parts;
  const limit = FIND_MS + LEFTOVERS_MS;
  try {
    await within(clock, limit, 'the data directory', endOrphans(parts, LEFTOVERS_MS));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    parts.log('warn', `looking for processes without a postmaster: ${messageOf(error)}`);
    const left = instance.processes(null);
    instance.kill(null);
    if (await waitUntilGone(clock, left, LEFTOVERS_MS)) return;
    const pids = left.filter(isAlive).map(({ pid }) => pid);
    throw new PostgresError(`processes ${pids.join(', ')} do not end, not even by SIGKILL`);
  }
}

/** @throws PostgresError it has SIGKILL pending, and waits for a disk */
async function insist({ clock, instance }: Parts, postmaster: ProcessIdentity): Promise<void> {
  instance.kill(postmaster);
  if (await waitUntilGone(clock, [postmaster], LEFTOVERS_MS)) return;
  throw new PostgresError(`postmaster ${postmaster.pid} does not end, not even by SIGKILL`);
}

/** Watches until the postmaster is gone (true) or the time is over (false). */
async function watchEnd(
  parts: Parts,
  postmaster: ProcessIdentity,
  request: StopRequest,
  deadline: number,
  tell: Tell | null = null,
): Promise<boolean> {
  const { clock } = parts;
  let shutDown = false;
  const holdUp = new HoldUp(parts, postmaster, request.holdSenders ?? (() => false));
  while (isAlive(postmaster)) {
    if (clock.now() >= deadline) return false;
    if (request.mode === 'fast' && !shutDown) {
      const glance = await lookAtControl(parts);
      if (glance?.state === 'shut down' || glance?.state === 'shut down in recovery') {
        shutDown = true;
        if (glance.state === 'shut down') await tell?.(glance);
      }
    }
    if (shutDown) await holdUp.end();
    await clock.wait(LOOK_MS);
  }
  if (request.mode === 'fast' && !shutDown) await tellLate(parts, tell);
  return true;
}

/** The last look may have come after the end. */
async function tellLate(parts: Parts, tell: Tell | null): Promise<void> {
  const glance = await lookAtControl(parts);
  if (glance?.state === 'shut down') await tell?.(glance);
}

/**
 * Ends what keeps a shut-down server from ending. First walsenders: a frozen standby holds its own
 * until wal_sender_timeout, 60 s (F4). SIGTERM first, as SIGQUIT counts as a crash in the log. They
 * deliver the end of the shutdown too, so not before the caller says that it has arrived. Then the
 * postmaster, which may be waiting for anything, as for an archive_command that gets nowhere.
 */
class HoldUp {
  readonly #parts: Parts;
  readonly #postmaster: ProcessIdentity;
  readonly #held: () => boolean;
  #releasedAt: number | null = null;
  #told: readonly ProcessEntry[] | null = null;
  #quit = false;
  #over = false;

  constructor(parts: Parts, postmaster: ProcessIdentity, held: () => boolean) {
    this.#parts = parts;
    this.#postmaster = postmaster;
    this.#held = held;
  }

  /** Takes the next step when it is due. */
  async end(): Promise<void> {
    const { clock } = this.#parts;
    if (this.#releasedAt === null) {
      if (this.#held()) return;
      this.#releasedAt = clock.now();
    }
    const since = clock.now() - this.#releasedAt;
    if (since >= SENDER_GRACE_MS) this.#terminateSenders();
    if (since >= SENDER_GRACE_MS + SENDER_TERM_MS) this.#quitSenders();
    if (since >= SENDER_GRACE_MS + SENDER_TERM_MS + POSTMASTER_GRACE_MS) {
      await this.#quitPostmaster();
    }
  }

  #terminateSenders(): void {
    if (this.#told !== null) return;
    this.#told = this.#parts.instance.walSenders(this.#postmaster);
    for (const sender of this.#told) signalProcess(sender, 'SIGTERM');
    if (this.#told.length > 0) {
      this.#parts.log('info', `ending ${this.#told.length} walsenders that hold up the stop`);
    }
  }

  #quitSenders(): void {
    if (this.#quit) return;
    this.#quit = true;
    for (const sender of this.#told ?? []) signalProcess(sender, 'SIGQUIT');
  }

  /** Nothing is lost by it: the shutdown checkpoint is in pg_control, asked once more. */
  async #quitPostmaster(): Promise<void> {
    if (this.#over) return;
    const state = (await lookAtControl(this.#parts))?.state;
    if (state !== 'shut down' && state !== 'shut down in recovery') return;
    this.#over = true;
    this.#parts.log('warn', 'PostgreSQL is shut down and does not end: sending SIGQUIT');
    signalProcess(this.#postmaster, 'SIGQUIT');
  }
}
