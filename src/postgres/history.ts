/**
 * Timeline history files: reading them, and the stubs that keep two promotions from choosing the
 * same number (S6, protocol 0.1).
 */
import { readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { HistoryEntry } from '../core/history.ts';
import { formatLsn, parseLsn } from '../core/lsn.ts';
import { fileMode, isMissing, replaceFile, syncFolder } from './disk.ts';
import { PostgresError } from './postgres.ts';

/** In the reason of a stub's last line: how our own stubs are known again. */
const STUB_REASON = 'reserved by tenure, never promoted';
/** No cluster skips this many numbers: such a claim is a mistake of somebody's, not to be carried out. */
const MOST_STUBS = 1000;
/** Written at a time: their fsyncs share a commit of the file system, and the disk stays usable. */
const STUBS_AT_ONCE = 8;

export function historyName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
}

/**
 * Lines are `timeline <tab> position <tab> reason`; # starts a comment.
 * @throws PostgresError a line is none of these, or the numbers do not rise
 */
export function parseHistory(text: string): HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  for (const line of text.split('\n')) {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const match = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)\s*(.*)$/.exec(content);
    if (match === null) throw new PostgresError(`not a line of a timeline history: ${content}`);
    const timeline = Number(match[1]);
    const last = entries.at(-1);
    if (last !== undefined && timeline <= last.timeline) {
      throw new PostgresError(`timeline history goes back from ${last.timeline} to ${timeline}`);
    }
    entries.push({ timeline, switchLsn: parseLsn(match[2] as string), reason: match[3] as string });
  }
  return entries;
}

export function formatHistory(entries: readonly HistoryEntry[]): string {
  return entries
    .map((entry) => `${entry.timeline}\t${formatLsn(entry.switchLsn)}\t${entry.reason}\n`)
    .join('\n');
}

export interface LocalHistory {
  readonly entries: readonly HistoryEntry[];
  /** Time of the file; null on timeline 1, which has none. */
  readonly writtenAt: Date | null;
}

/** @throws PostgresError there is no such file, or it makes no sense */
export async function readHistory(walDir: string, timeline: number): Promise<LocalHistory> {
  if (timeline <= 1) return { entries: [], writtenAt: null };
  const path = join(walDir, historyName(timeline));
  try {
    const [text, { mtime }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return { entries: parseHistory(text), writtenAt: mtime };
  } catch (error) {
    if (isMissing(error)) throw new PostgresError(`${historyName(timeline)} is not in pg_wal`);
    throw error;
  }
}

/** Timelines with a history file here, rising. [] when the folder is not there. */
export async function localTimelines(walDir: string): Promise<number[]> {
  const names = await readdir(walDir).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return names
    .filter((name) => /^[0-9A-F]{8}\.history$/.test(name))
    .map((name) => Number.parseInt(name.slice(0, 8), 16))
    .sort((a, b) => a - b);
}

/**
 * Writes histories for each number between the current timeline and `claim`, so that PostgreSQL's
 * next promotion takes `claim`: it takes the number after the last file that it finds. Existing files
 * are left alone. Returns the numbers written, on disk for good.
 *
 * A stub has the ancestry of the current timeline, as PostgreSQL reads it, but leaves that timeline
 * one byte before `replayed`, where the standby already is past. On its way into a promotion, and
 * whenever its upstream is away, a standby looks for newer timelines; it would take a stub that
 * leaves at or after its own position for the one to recover to, and then promote to a child of the
 * stub. Its history would claim a descent from a number that another node may really have used.
 *
 * Missing numbers below its own are filled too: a clone has only the newest history, and a standby
 * that is further behind asks for each of them, and never streams when one is not there. Of those
 * only the nearest are written: they must not be what keeps a cluster of many timelines from having
 * a leader.
 * @throws PostgresError the claim is not free, or too far away
 */
export async function writeStubs(
  places: { readonly dataDir: string; readonly wal: string },
  timeline: number,
  replayed: number,
  claim: number,
): Promise<number[]> {
  if (claim <= timeline) {
    throw new PostgresError(`cannot promote to timeline ${claim}: already on ${timeline}`);
  }
  const taken = new Set(await localTimelines(places.wal));
  const above = [...taken].filter((number) => number >= claim);
  if (above.length > 0) {
    throw new PostgresError(
      `cannot promote to timeline ${claim}: ${historyName(above[0] as number)} exists here`,
    );
  }
  const missing = missingNumbers(taken, timeline, claim);
  if (missing.length === 0) return [];
  const { entries } = await readHistory(places.wal, timeline);
  const whole = [...entries, { timeline, switchLsn: replayed - 1, reason: STUB_REASON }];
  const mode = await fileMode(places.dataDir);
  const write = async (number: number): Promise<void> => {
    const before = whole.filter((entry) => entry.timeline < number);
    // An ancestor's own history is known: only numbers that nobody was promoted to are stubs.
    const ancestor = whole.some((entry) => entry.timeline === number);
    const text = formatHistory(number > timeline || ancestor ? before : unused(before));
    await replaceFile(join(places.wal, historyName(number)), text, mode);
  };
  for (let first = 0; first < missing.length; first += STUBS_AT_ONCE) {
    await Promise.all(missing.slice(first, first + STUBS_AT_ONCE).map(write));
  }
  await syncFolder(places.wal);
  return missing;
}

/**
 * Rising. Looks at no more numbers than may be written: a claim may be any number.
 * @throws PostgresError too many of them are above the current timeline
 */
function missingNumbers(taken: ReadonlySet<number>, timeline: number, claim: number): number[] {
  const below: number[] = [];
  for (let number = timeline - 1; number >= 2 && below.length < MOST_STUBS; number--) {
    if (!taken.has(number)) below.push(number);
  }
  const missing = below.reverse();
  const most = missing.length + MOST_STUBS;
  for (let number = timeline + 1; number < claim; number++) {
    if (taken.has(number)) continue;
    if (missing.length === most) {
      throw new PostgresError(
        `cannot promote to timeline ${claim} from ${timeline}: more than ${MOST_STUBS} numbers between them are not taken`,
      );
    }
    missing.push(number);
  }
  return missing;
}

/** As if it had been left at the very beginning: no standby ever takes it for its way on. */
function unused(entries: readonly HistoryEntry[]): readonly HistoryEntry[] {
  const [first] = entries;
  return first === undefined ? [] : [{ ...first, switchLsn: 1, reason: STUB_REASON }];
}

/**
 * Removes stubs that a standby on `timeline` would take for the newest timeline: of a promotion that
 * never happened, or fetched from a leader in part. It would ask its upstream for WAL that nobody
 * has, for ever (field D51). Stubs below a real history stay: PostgreSQL counts up through them. The
 * upstream's are fetched again. Returns the numbers removed.
 */
export async function removeStubs(walDir: string, timeline: number): Promise<number[]> {
  const above = (await localTimelines(walDir)).filter((number) => number > timeline);
  const stubs = new Set<number>();
  for (const number of above) {
    if (isStub(await readFile(join(walDir, historyName(number)), 'utf8'))) stubs.add(number);
  }
  let reached = timeline;
  for (let number = timeline + 1; above.includes(number); number++) {
    if (!stubs.has(number)) reached = number;
  }
  const removed = [...stubs].filter((number) => number > reached);
  for (const number of removed) await unlink(join(walDir, historyName(number)));
  if (removed.length > 0) await syncFolder(walDir);
  return removed;
}

/** Removes the history files of the timelines that `which` names; returns their numbers. */
export async function removeHistories(
  walDir: string,
  which: (timeline: number) => boolean,
): Promise<number[]> {
  const removed = (await localTimelines(walDir)).filter(which);
  for (const number of removed) await unlink(join(walDir, historyName(number)));
  if (removed.length > 0) await syncFolder(walDir);
  return removed;
}

function isStub(text: string): boolean {
  const last = text.trimEnd().split('\n').at(-1) ?? '';
  return last.endsWith(STUB_REASON);
}
