/** Starting the server and waiting until it accepts connections (C-6.8). */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Upstream, UpstreamFacts } from '../core/model.ts';
import { recoveryTimeline } from './controlfile.ts';
import { messageOf, readIfThere } from './disk.ts';
import { explainExit, noteLogs } from './earlyexit.ts';
import { endOrphans, waitUntilGone } from './ending.ts';
import { removeSignals, writeStandbySignal } from './files.ts';
import { removeHistories, removeStubs } from './history.ts';
import { ctlTimeout, type Parts, readControl, toolFor } from './parts.ts';
import { PostgresError, type Progress } from './postgres.ts';
import { describeExit, type Exit, pidOf, type Started } from './postmaster.ts';
import { isAlive, readProcess } from './proc.ts';
import { otherOnPort } from './services.ts';
import { createSlotOn } from './upstream.ts';

/** From try to try, ms: first and last. */
const FIRST_TRY_MS = 10;
const LAST_TRY_MS = 100;
/** For creating our slot on the upstream, ms: without it the start is only slower. */
const SLOT_TIMEOUT_MS = 1000;
/** For asking the upstream for its history, ms. */
const ASK_MS = 1000;

export interface StartRequest {
  readonly as: 'primary' | 'standby';
  readonly upstream: Upstream | null;
  readonly timeoutMs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Instead of what a start as that role writes to disk. */
  readonly prepare?: () => Promise<void>;
}

/** @throws PostgresError it ended at once, or is not up in time (then it goes on starting) */
export async function startServer(parts: Parts, request: StartRequest): Promise<void> {
  const { clock, postmaster, places } = parts;
  const deadline = clock.now() + request.timeoutMs;
  const found = await postmaster.look();
  if (found.kind === 'alive') throw new PostgresError(`PostgreSQL already runs as ${found.pid}`);
  if (found.kind === 'unknown')
    throw new PostgresError(`cannot tell whether it runs: ${found.why}`);
  request.progress('ending processes without a postmaster');
  await endOrphans(parts, ctlTimeout(parts.options));
  await refuseUnseen(parts);
  await removeStalePid(parts);
  const file = await toolFor(parts, 'postgres');
  request.progress('writing its configuration');
  if (request.prepare !== undefined) await request.prepare();
  else if (request.as === 'standby') await prepareStandby(parts, request.upstream);
  else await preparePrimary(parts);
  if (request.signal.aborted) throw new PostgresError('the start was cancelled');
  const logs = await noteLogs(places);
  request.progress('starting');
  const started = postmaster.start(file, parts.configuration.postmasterArguments());
  const ending = await untilReady(parts, started, deadline, request);
  if (ending === 'ready') return;
  if (ending === 'late') {
    throw new PostgresError(
      `PostgreSQL does not accept connections after ${Math.round(request.timeoutMs)} ms; it goes on starting`,
    );
  }
  if (ending === 'cancelled') {
    parts.instance.kill(started.identity);
    await waitUntilGone(clock, [started.identity], ctlTimeout(parts.options));
    throw new PostgresError('the start was cancelled');
  }
  const taken = otherOnPort(parts.instance, places.dataDir, parts.listen.port);
  const said = (await explainExit(parts, file, logs)) + taken;
  throw new PostgresError(`PostgreSQL ended while starting${describeExit(ending)}${said}`);
}

/**
 * A server that answers for this data directory runs, whatever processes are to be seen: it may be
 * in another container. Beside it neither a pid file may be removed nor a server started.
 */
async function refuseUnseen({ session }: Parts): Promise<void> {
  session.reset();
  const answers = await session.connect().then(
    () => true,
    () => false,
  );
  session.reset();
  if (answers) {
    throw new PostgresError(
      'a server answers for this data directory, but its postmaster is not among the processes here',
    );
  }
}

async function prepareStandby(parts: Parts, upstream: Upstream | null): Promise<void> {
  const { configuration, places, options } = parts;
  // A program to run and a server to ask, at the same time: clients may be waiting for this node.
  const [control, leader] = await Promise.all([
    readControl(parts, places.dataDir, ctlTimeout(options)),
    upstream === null ? null : askLeader(parts, upstream),
    upstream === null ? null : ensureOwnSlot(parts, upstream),
    writeStandbySignal(places),
  ]);
  const own = recoveryTimeline(control);
  const stubs = await removeStubs(places.wal, own);
  if (stubs.length > 0) parts.log('info', `removed reserved timelines ${stubs.join(', ')}`);
  if (leader !== null) await dropForeignHistories(parts, leader, own);
  configuration.required = control.required;
  configuration.startsAsStandby();
  await configuration.write({ role: 'standby', upstream });
}

/** Null: nothing to compare histories with. */
async function askLeader(parts: Parts, upstream: Upstream): Promise<UpstreamFacts | null> {
  try {
    const facts = await parts.upstreams.ask(upstream, ASK_MS);
    return facts.inRecovery ? null : facts;
  } catch (error) {
    parts.log('info', `histories were not compared with ${upstream.name}: ${messageOf(error)}`);
    return null;
  }
}

/**
 * The history of a promotion that nobody continued makes recovery head for a timeline that has no
 * WAL, and the standby never streams (field D51).
 */
async function dropForeignHistories(
  { places, log }: Parts,
  leader: UpstreamFacts,
  own: number,
): Promise<void> {
  const ancestry = [leader.timeline, ...leader.history.map(({ timeline }) => timeline)];
  const dropped = await removeHistories(
    places.wal,
    (timeline) => timeline > own && !ancestry.includes(timeline),
  );
  if (dropped.length > 0)
    log(
      'info',
      `removed histories that ${leader.name} does not descend from: ${dropped.join(', ')}`,
    );
}

async function preparePrimary(parts: Parts): Promise<void> {
  parts.configuration.required = null;
  await parts.configuration.write({ role: 'primary' });
  // Last: with the signal still there the directory starts as a standby, which does no harm.
  await removeSignals(parts.places);
}

/** Best effort: the upstream may not be up, or not allow it. */
export async function ensureOwnSlot(parts: Parts, upstream: Upstream): Promise<void> {
  const slot = parts.configuration.ownSlot;
  if (slot === null) return;
  try {
    await createSlotOn(parts.clock, upstream, parts.options.replication, slot, SLOT_TIMEOUT_MS);
  } catch (error) {
    parts.log('info', `slot ${slot} was not created on its upstream: ${messageOf(error)}`);
  }
}

/**
 * A postmaster.pid that names another living process keeps PostgreSQL from starting: in a container
 * pids repeat. Called when nothing of this data directory runs, so it may go, and with it the lock of
 * its socket if that names the same process.
 */
async function removeStalePid({ places, log }: Parts): Promise<void> {
  const text = await readIfThere(places.postmasterPid);
  if (text === null) return;
  const pid = pidOf(text);
  const taken = pid === null ? null : readProcess(pid);
  log(
    'info',
    `removing postmaster.pid of process ${pid}${taken === null ? ', which is gone' : ', which is another program now'}`,
  );
  const lines = text.split('\n');
  const socket = lines[4]?.trim();
  const port = lines[3]?.trim();
  if (socket && port) {
    const lock = join(socket, `.s.PGSQL.${port}.lock`);
    const holder = await readFile(lock, 'utf8').catch(() => '');
    if (pid !== null && pidOf(holder) === pid)
      await rm(lock, { force: true }).catch(() => undefined);
  }
  // Back after a power cut, it is removed again.
  await rm(places.postmasterPid, { force: true });
}

async function untilReady(
  parts: Parts,
  started: Started,
  deadline: number,
  request: StartRequest,
): Promise<'ready' | 'late' | 'cancelled' | Exit> {
  const { clock, session } = parts;
  const cut = new AbortController();
  let exit: Exit | null = null;
  const exited = started.exited.then((how) => {
    exit = how;
    cut.abort();
  });
  const cancel = (): void => cut.abort();
  request.signal.addEventListener('abort', cancel, { once: true });
  let pause = FIRST_TRY_MS;
  let last = '';
  try {
    for (;;) {
      const answer = await Promise.race([
        session.connect().then(() => 'ready' as const, messageOf),
        exited,
      ]);
      if (exit !== null || !isAlive(started.identity)) {
        await Promise.race([exited, clock.wait(LAST_TRY_MS)]);
        return exit ?? { code: null, signal: null };
      }
      if (answer === 'ready') return 'ready';
      if (request.signal.aborted) return 'cancelled';
      if (clock.now() >= deadline) return 'late';
      if (answer !== undefined && answer !== last) request.progress(`waiting: ${answer}`);
      last = answer ?? last;
      await clock.wait(Math.min(pause, deadline - clock.now()), cut.signal);
      pause = Math.min(LAST_TRY_MS, pause * 1.5);
    }
  } finally {
    request.signal.removeEventListener('abort', cancel);
  }
}
