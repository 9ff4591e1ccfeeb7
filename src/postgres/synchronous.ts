/** Synchronous replication on the local server: what commits wait for (contract 5.15; rule S2). */
import { escapeLiteral } from 'pg';
import { TimeoutError, within } from '../clock.ts';
import { parseLsn } from '../core/lsn.ts';
import { messageOf } from './disk.ts';
import { TIME } from './facts.ts';
import { withOwnSession } from './localsession.ts';
import type { FirstNames } from './names.ts';
import type { Parts } from './parts.ts';
import { type Postgres, PostgresError } from './postgres.ts';
import { readProcess, signalProcess } from './proc.ts';
import type { Session } from './session.ts';

/** From look to look, ms. */
const LOOK_MS = 10;
/** For one question, ms. */
const ASK_MS = 2000;
/** A checkpoint that has begun comes first, ms. */
const CHECKPOINT_MS = 60_000;

const LOOK = `SELECT current_setting('synchronous_standby_names') AS names,
  CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn()::text END AS flushed`;

type InForce = Awaited<ReturnType<Postgres['setSynchronousNames']>>;

/** @throws PostgresError */
export async function setSynchronousNames(
  parts: Parts,
  names: string | null,
  timeoutMs: number,
): Promise<InForce> {
  const { configuration, postmaster, clock } = parts;
  const deadline = clock.now() + timeoutMs;
  try {
    const running = postmaster.current();
    if (running === null) throw new PostgresError('PostgreSQL does not run');
    const before = await withOwnSession(parts, '', look);
    configuration.synchronousNames = names;
    const wanted = names ?? configuration.settings.parameters.synchronous_standby_names ?? '';
    const changed = await configuration.write(await configuration.current());
    if (changed || before.names !== wanted) signalProcess(running, 'SIGHUP');
    // The file says it already: what else is in force stands above it, and is the user's too.
    if (names === null && !changed) return before;
    if (wanted === '') configuration.firstNames = null;
    else if (before.names === '') configuration.firstNames = { checkpoint: null };
    const inForce = await untilInForce(parts, wanted, names === null ? before : null, deadline);
    if (inForce.flushedLsn !== null) await nudge(parts);
    const first = configuration.firstNames;
    if (first === null) return inForce;
    first.checkpoint ??= throughCheckpointer(parts, first);
    const left = Math.max(1, deadline - clock.now());
    await within(clock, left, 'a checkpoint, from which on commits wait', first.checkpoint);
    return await withOwnSession(parts, '', look);
  } catch (error) {
    throw new PostgresError(`synchronous_standby_names: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Looked at on new connections only. The postmaster makes one after it has told all its processes to
 * reload, so one that shows the new value proves that; and what a walsender sends from then on it
 * hears confirmed under the new value. Commits confirmed under the former one are below the flushed
 * position that is looked at here.
 * @param otherwise good enough when it is the user's own wish that something stands above
 */
async function untilInForce(
  parts: Parts,
  wanted: string,
  otherwise: InForce | null,
  deadline: number,
): Promise<InForce> {
  for (;;) {
    const found = await withOwnSession(parts, '', look);
    if (found.names === wanted) return found;
    if (parts.clock.now() >= deadline) {
      if (otherwise !== null) return found;
      throw new PostgresError(
        `'${found.names}' is in force instead of '${wanted}'; is it set by ALTER SYSTEM?`,
      );
    }
    await parts.clock.wait(LOOK_MS);
  }
}

async function look(session: Session): Promise<InForce> {
  const [row] = await session.query(LOOK, ASK_MS);
  const flushed = row?.flushed ?? null;
  return { names: row?.names ?? '', flushedLsn: flushed === null ? null : parseLsn(flushed) };
}

/**
 * A walsender lets waiting commits go when its standby confirms something, not when its settings
 * change: without new WAL that is after wal_receiver_status_interval, 10 s. A commit of ours that waits
 * for nobody is new WAL; with the message in it, it is flushed at once. Best effort: others write too.
 */
async function nudge(parts: Parts): Promise<void> {
  try {
    await withOwnSession(parts, '-c synchronous_commit=local', async (session) => {
      await session.query("SELECT pg_logical_emit_message(true, 'tenure', '')", ASK_MS);
    });
  } catch (error) {
    parts.log('info', `no WAL was written after the names had changed: ${messageOf(error)}`);
  }
}

/**
 * Whether commits wait at all is a flag that the checkpointer sets, between two pieces of its work.
 * A checkpoint that is asked for after the reload begins after it has read its settings. It may take
 * longer than anybody can wait at one time, so it goes on by itself, and is asked for again if it fails.
 */
function throughCheckpointer(parts: Parts, first: FirstNames): Promise<void> {
  const { configuration } = parts;
  const done = withOwnSession(parts, '-c statement_timeout=0', async (session) => {
    await session.query('CHECKPOINT', CHECKPOINT_MS);
    if (configuration.firstNames === first) configuration.firstNames = null;
  });
  done.catch(() => {
    first.checkpoint = null;
  });
  return done;
}

/** @throws PostgresError */
export async function endSender({ session }: Parts, pid: number, startedAt: string): Promise<void> {
  try {
    await session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_replication
         WHERE pid = ${Math.trunc(pid)} AND to_char(backend_start, ${TIME}) = ${escapeLiteral(startedAt)}`,
      ASK_MS,
    );
  } catch (error) {
    if (error instanceof TimeoutError) session.reset();
    throw new PostgresError(`ending walsender ${pid}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * SIGTERM to the walreceiver: after a reload to no upstream it ends only when recovery needs more WAL,
 * which paused or delayed replay does not (protocol 2.1). Best effort; the next look tells.
 */
export async function endReceiver({ session, log }: Parts): Promise<void> {
  try {
    const [row] = await session.query('SELECT pid::text FROM pg_stat_wal_receiver', ASK_MS);
    const found = row?.pid ? readProcess(Number(row.pid)) : null;
    if (found !== null) signalProcess(found, 'SIGTERM');
  } catch (error) {
    log('warn', `ending the walreceiver: ${messageOf(error)}`);
  }
}
