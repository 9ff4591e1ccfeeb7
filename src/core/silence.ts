/**
 * Since when a server that runs gives no sign of life (rule F2; issues 10 and 11 of the contract's
 * section 9). A refusal is a sign of life, "too many clients" and "starting up" included; so is a
 * query that was cancelled because it took too long. And since when its disk has not: then it answers
 * from memory, and only commits wait.
 */
import type { PostgresFacts } from './server.ts';

/** A server is hung after this time without a sign of life, or after ttl, if that is longer; ms. */
const HUNG_MS = 10_000;
/** And not before it was looked at so many times: one failed look says nothing about a busy machine. */
const HUNG_LOOKS = 3;
/** Looks further apart than this are not one silence: nobody was there to hear, ms. */
const APART_MS = 10_000;

/** A silent server is looked at again after this time, ms. */
export const SILENT_LOOK_MS = 500;

interface Identity {
  readonly pid: number;
  readonly startTicks: number;
}

export interface Silence {
  /** The postmaster that has answered this agent: one that never did may just not be reached so. */
  readonly answeredBy: Identity | null;
  /** The first look of an unbroken row that heard nothing; null: it was heard at the last one. */
  readonly since: number | null;
  /** The last look of that row. */
  readonly lastAt: number | null;
  readonly looks: number;
}

export const HEARD: Silence = { answeredBy: null, since: null, lastAt: null, looks: 0 };

/** @param working a job is in progress: it has deadlines of its own, and silence may be its doing */
export function rememberSilence(
  before: Silence,
  now: number,
  { postmaster, sql, silent }: PostgresFacts,
  working: boolean,
): Silence {
  if (postmaster.kind !== 'alive') return HEARD;
  const { pid, startTicks } = postmaster;
  const same = before.answeredBy?.pid === pid && before.answeredBy.startTicks === startTicks;
  const answeredBy = sql.known ? { pid, startTicks } : same ? before.answeredBy : null;
  if (silent === undefined || working || answeredBy === null) return { ...HEARD, answeredBy };
  const goesOn = same && before.lastAt !== null && now - before.lastAt < APART_MS;
  return {
    answeredBy,
    since: goesOn ? before.since : now,
    lastAt: now,
    looks: goesOn ? before.looks + 1 : 1,
  };
}

/** How long the server, or its disk, has been hung, ms; null: it is not, or that is not certain yet. */
export function hungMs(
  { since, looks }: Pick<Silence, 'since' | 'looks'>,
  now: number,
  ttlMs: number,
): number | null {
  if (since === null || looks < HUNG_LOOKS) return null;
  const silentMs = now - since;
  return silentMs >= Math.max(ttlMs, HUNG_MS) ? silentMs : null;
}

export interface DiskSilence {
  /** Since when nothing that was begun on the disk has come to its end, monotonic ms; null: nothing is pending. */
  readonly since: number | null;
  /** The last look. */
  readonly lastAt: number | null;
  /** Flushed position at that look, bytes; null: unknown. */
  readonly flushedLsn: number | null;
  readonly looks: number;
}

export const DISK_HEARD: DiskSilence = { since: null, lastAt: null, flushedLsn: null, looks: 0 };

/** WAL that was flushed is a sign of life too: a disk that is only slow, or busy, is none that hangs. */
export function rememberDisk(
  before: DiskSilence,
  now: number,
  { postmaster, sql, diskPendingSince: pending }: PostgresFacts,
): DiskSilence {
  if (postmaster.kind !== 'alive' || !sql.known || sql.value.inRecovery) return DISK_HEARD;
  const flushedLsn = sql.value.currentLsn;
  if (pending === undefined) return { since: null, lastAt: now, flushedLsn, looks: 0 };
  const watched = before.lastAt !== null && now - before.lastAt < APART_MS;
  const still = watched && flushedLsn !== null && flushedLsn === before.flushedLsn;
  return {
    since: still ? (before.since ?? pending) : now,
    lastAt: now,
    flushedLsn,
    looks: still ? before.looks + 1 : 1,
  };
}
