/** Promotion to a timeline that nobody else takes (S6), as fast as PostgreSQL can (F5). */
import { TimeoutError } from '../clock.ts';
import { parseLsn } from '../core/lsn.ts';
import { messageOf } from './disk.ts';
import { historyName, writeStubs } from './history.ts';
import type { Parts } from './parts.ts';
import { PostgresError } from './postgres.ts';
import { sqlState } from './session.ts';

/** From look to look, ms. */
const LOOK_MS = 10;
/** For one question, ms. */
const ASK_MS = 2000;

/** Paused replay is resumed: a promotion out of it takes a second more. */
const PREPARE = `SELECT pg_is_in_recovery() AS recovery,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END AS replayed,
  CASE WHEN pg_is_in_recovery() AND pg_is_wal_replay_paused()
    THEN pg_wal_replay_resume()::text END AS resumed`;

const TIMELINE = `SELECT pg_is_in_recovery() AS recovery,
  CASE WHEN pg_is_in_recovery() THEN NULL
    ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline`;

/**
 * @param timelineNow of the standby as it was last seen; null when it is not known
 * @param permission the last word before PostgreSQL is told to
 * @returns the timeline that it is on afterwards
 * @throws PostgresError it refuses, or is not writable in time
 */
export async function promoteServer(
  parts: Parts,
  claim: number | null,
  timelineNow: () => Promise<number | null>,
  timeoutMs: number,
  permission: () => Promise<void>,
): Promise<number> {
  const { session, clock } = parts;
  const deadline = clock.now() + timeoutMs;
  const [before] = await session.query(PREPARE, Math.min(ASK_MS, timeoutMs));
  if (before?.recovery === 't') {
    if (claim !== null) await reserve(parts, claim, before.replayed ?? null, await timelineNow());
    await permission();
    const [answer] = await session.query('SELECT pg_promote(false) AS signalled', ASK_MS);
    if (answer?.signalled !== 't') throw new PostgresError('PostgreSQL refused to be promoted');
  }
  const [timeline] = await Promise.all([
    untilWritable(parts, deadline, timeoutMs),
    writeConfiguration(parts),
  ]);
  if (claim !== null && before?.recovery === 't' && timeline !== claim) {
    parts.log('warn', `promoted to timeline ${timeline}, where ${claim} was reserved`);
  }
  return timeline;
}

/**
 * Nothing in it matters to a primary, and it is read by nobody before the next reload; it must not say
 * that this is a standby. Written while PostgreSQL has its own work to do.
 */
async function writeConfiguration({ configuration, log }: Parts): Promise<void> {
  configuration.required = null;
  try {
    // PostgreSQL runs, and clients wait: nobody looks through the settings now.
    await configuration.write({ role: 'primary' }, 'as it is');
  } catch (error) {
    log('warn', `the configuration of a primary could not be written: ${messageOf(error)}`);
  }
}

async function reserve(
  { places, log }: Parts,
  claim: number,
  replayed: string | null,
  timeline: number | null,
): Promise<void> {
  if (timeline === null || replayed === null) {
    throw new PostgresError(`cannot reserve timeline ${claim}: the standby's own is not known`);
  }
  const written = await writeStubs(places, timeline, parseLsn(replayed), claim);
  if (written.length > 0) log('info', `wrote ${written.map(historyName).join(', ')}`);
}

async function untilWritable(
  { session, clock, postmaster }: Parts,
  deadline: number,
  timeoutMs: number,
): Promise<number> {
  for (;;) {
    try {
      const [row] = await session.query(TIMELINE, ASK_MS);
      if (row?.timeline) return Number.parseInt(row.timeline, 16);
    } catch (error) {
      // The end of recovery may fall between two functions of one query, or end the session.
      if (
        sqlState(error) === null &&
        !(error instanceof TimeoutError) &&
        postmaster.current() === null
      ) {
        throw new PostgresError('PostgreSQL ended while it was promoted');
      }
    }
    if (clock.now() >= deadline) {
      throw new PostgresError(`not promoted after ${Math.round(timeoutMs)} ms`);
    }
    await clock.wait(LOOK_MS);
  }
}
