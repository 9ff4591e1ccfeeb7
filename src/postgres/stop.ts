/** Stopping the server until nothing of it is left (C-5.13, rules S8, F4). */
import { within } from '../clock.ts';
import type { WalPoint } from '../core/model.ts';
import { type ControlGlance, glanceAtControl } from './controlfile.ts';
import { messageOf } from './disk.ts';
import { endOrphans, waitUntilGone } from './ending.ts';
import { writeStandbySignal } from './files.ts';
import { ctlTimeout, type Parts, readControl } from './parts.ts';
import { PostgresError } from './postgres.ts';
import { isAlive, type ProcessEntry, type ProcessIdentity, signalProcess } from './proc.ts';
import { shutdownCheckpointEnd } from './walmath.ts';

/** From look to look at pg_control and the postmaster, ms. */
const LOOK_MS = 10;
/** For one look at pg_control, ms. */
const GLANCE_MS = 500;
/** After "shut down", for walsenders to send the last record and have it confirmed, ms. */
const SENDER_GRACE_MS = 300;
/** After SIGTERM, before SIGQUIT, ms. */
const SENDER_TERM_MS = 100;
/** For what a dead server leaves behind, ms. */
const LEFTOVERS_MS = 5000;

export interface StopRequest {
  readonly mode: 'fast' | 'immediate';
  readonly becomeStandby: boolean;
  readonly timeoutMs: number;
  readonly onShutDown?: (end: WalPoint) => void;
}

/** @throws PostgresError something of it is still there in the end */
export async function stopServer(parts: Parts, request: StopRequest): Promise<void> {
  const { clock, postmaster, instance, places } = parts;
  const deadline = clock.now() + request.timeoutMs;
  if (request.becomeStandby) await writeStandbySignal(places);
  const found = await postmaster.look();
  if (found.kind === 'unknown')
    throw new PostgresError(`cannot tell whether it runs: ${found.why}`);
  if (found.kind === 'alive') {
    instance.processes(found);
    signalProcess(found, request.mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    const gone = await watchEnd(parts, found, request, deadline);
    if (!gone) await insist(parts, found, request);
  }
  parts.session.reset();
  await endOrphans(parts, LEFTOVERS_MS);
}

/** An immediate stop is carried through; a fast one that takes too long is the caller's to decide on. */
async function insist(
  { clock, instance }: Parts,
  postmaster: ProcessIdentity,
  request: StopRequest,
): Promise<void> {
  if (request.mode === 'fast') {
    throw new PostgresError(`PostgreSQL did not stop in ${Math.round(request.timeoutMs)} ms`);
  }
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
): Promise<boolean> {
  const { clock } = parts;
  let shutDownAt: number | null = null;
  const senders = new SenderEnd(parts, postmaster);
  while (isAlive(postmaster)) {
    if (clock.now() >= deadline) return false;
    if (request.mode === 'fast' && shutDownAt === null) {
      const glance = await look(parts);
      if (glance?.state === 'shut down' || glance?.state === 'shut down in recovery') {
        shutDownAt = clock.now();
        if (glance.state === 'shut down') await tellEnd(parts, glance, request);
      }
    }
    if (shutDownAt !== null) senders.hurry(clock.now() - shutDownAt);
    await clock.wait(LOOK_MS);
  }
  if (request.mode === 'fast' && shutDownAt === null) await tellLate(parts, request);
  return true;
}

/** Null: no answer from the disk, which must not keep the deadline from coming. */
async function look({ clock, places }: Parts): Promise<ControlGlance | null> {
  const glance = glanceAtControl(places.dataDir);
  return await within(clock, GLANCE_MS, 'pg_control', glance).catch(() => null);
}

/** The last look may have come after the end. */
async function tellLate(parts: Parts, request: StopRequest): Promise<void> {
  const glance = await look(parts);
  if (glance?.state === 'shut down') await tellEnd(parts, glance, request);
}

/** Where the shutdown checkpoint ends, checked with pg_controldata before anybody relies on it (F4). */
async function tellEnd(parts: Parts, glance: ControlGlance, request: StopRequest): Promise<void> {
  if (request.onShutDown === undefined) return;
  try {
    const control = await readControl(parts, parts.places.dataDir, ctlTimeout(parts.options));
    if (control.state !== 'shut down' || control.checkpointLsn !== glance.checkpointLsn) {
      parts.log('warn', `pg_control says "${control.state}" where a first look said "shut down"`);
      return;
    }
    const lsn = shutdownCheckpointEnd(control.checkpointLsn, control.walSegmentSize);
    request.onShutDown({ timeline: control.timeline, lsn });
  } catch (error) {
    parts.log('warn', `the end of the shutdown checkpoint is not known: ${messageOf(error)}`);
  }
}

/**
 * Ends walsenders that keep a shut-down server from ending: a frozen standby holds its walsender
 * until wal_sender_timeout, 60 s (F4). SIGTERM first, as SIGQUIT counts as a crash in the log.
 */
class SenderEnd {
  readonly #parts: Parts;
  readonly #postmaster: ProcessIdentity;
  #told: readonly ProcessEntry[] | null = null;
  #quit = false;

  constructor(parts: Parts, postmaster: ProcessIdentity) {
    this.#parts = parts;
    this.#postmaster = postmaster;
  }

  hurry(sinceShutDownMs: number): void {
    if (sinceShutDownMs >= SENDER_GRACE_MS && this.#told === null) {
      this.#told = this.#parts.instance.walSenders(this.#postmaster);
      for (const sender of this.#told) signalProcess(sender, 'SIGTERM');
      if (this.#told.length > 0) {
        this.#parts.log('info', `ending ${this.#told.length} walsenders that hold up the stop`);
      }
    }
    if (sinceShutDownMs >= SENDER_GRACE_MS + SENDER_TERM_MS && !this.#quit) {
      this.#quit = true;
      for (const sender of this.#told ?? []) signalProcess(sender, 'SIGQUIT');
    }
  }
}
