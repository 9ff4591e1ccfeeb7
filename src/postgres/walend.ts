/**
 * The end of the WAL of a stopped server: the last record that pg_waldump can read, from where
 * recovery would have to begin at the latest. Needed to tell whether this node holds something
 * that the leader does not (C-5.14, S6).
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { formatLsn, parseLsn } from '../core/lsn.ts';
import type { WalPoint } from '../core/model.ts';
import type { ControlData } from './controlfile.ts';
import { localTimelines, readHistory } from './history.ts';
import type { Places } from './options.ts';
import { PostgresError } from './postgres.ts';
import { failureOf, type RunResult, run } from './run.ts';
import { recordEnd, segmentName, shutdownCheckpointEnd } from './walmath.ts';

export interface WalSearch {
  readonly places: Places;
  readonly control: ControlData;
  readonly waldump: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** @throws PostgresError it cannot be found, or not in time */
export async function findWalEnd(search: WalSearch): Promise<WalPoint> {
  const { control } = search;
  const deadline = search.clock.now() + search.timeoutMs;
  // After a clean stop of a primary nothing follows the shutdown checkpoint.
  if (control.state === 'shut down') {
    const lsn = shutdownCheckpointEnd(control.checkpointLsn, control.walSegmentSize);
    return { timeline: control.timeline, lsn };
  }
  const start = startOf(control);
  const base = await endOn(search, start.timeline, start.lsn, deadline);
  return (await onNewerTimeline(search, base, deadline)) ?? base;
}

function startOf(control: ControlData): WalPoint {
  if (control.minRecoveryEndLsn > control.checkpointLsn) {
    return { timeline: control.minRecoveryEndTimeline, lsn: control.minRecoveryEndLsn };
  }
  return { timeline: control.timeline, lsn: control.checkpointLsn };
}

/** WAL that was received after the timeline's end, of its newest descendant that has some here. */
async function onNewerTimeline(
  search: WalSearch,
  base: WalPoint,
  deadline: number,
): Promise<WalPoint | null> {
  const { places, control } = search;
  const newer = (await localTimelines(places.wal)).filter((timeline) => timeline > base.timeline);
  for (const timeline of newer.reverse()) {
    const { entries } = await readHistory(places.wal, timeline);
    const left = entries.find((entry) => entry.timeline === base.timeline);
    const begin = entries.at(-1);
    if (left === undefined || begin === undefined || base.lsn < left.switchLsn) continue;
    const file = join(places.wal, segmentName(timeline, begin.switchLsn, control.walSegmentSize));
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (!there) continue;
    return await endOn(search, timeline, begin.switchLsn, deadline);
  }
  return null;
}

async function endOn(
  search: WalSearch,
  timeline: number,
  start: number,
  deadline: number,
): Promise<WalPoint> {
  // Without an end, pg_waldump waits 5 s for a segment after the last one to appear.
  const end = `--end=${formatLsn(await endOfSegments(search, timeline, start))}`;
  const quiet = await dump(search, timeline, start, ['--quiet', end], deadline);
  if (nothingAfter(quiet.stderr)) return { timeline, lsn: start };
  // The message names the last record that could be read; its length has to be asked for.
  const last = /error in WAL record at ([0-9A-F]+\/[0-9A-F]+)/.exec(quiet.stderr)?.[1];
  const shown =
    last === undefined
      ? await dump(search, timeline, start, [end], deadline)
      : await dump(search, timeline, parseLsn(last), ['--limit=1'], deadline);
  const record = lastRecord(shown.stdout);
  if (record === null) {
    throw new PostgresError(`no end of WAL found: ${failureOf(shown, search.timeoutMs)}`);
  }
  return { timeline, lsn: recordEnd(record.lsn, record.length, search.control.walSegmentSize) };
}

/** Where the segments that are here, one after the other from `start`, come to an end. */
async function endOfSegments(search: WalSearch, timeline: number, start: number): Promise<number> {
  const size = search.control.walSegmentSize;
  let begin = start - (start % size);
  for (;;) {
    const file = join(search.places.wal, segmentName(timeline, begin, size));
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (!there) return Math.max(begin, start);
    begin += size;
  }
}

/** pg_waldump exits with 1 wherever the WAL ends, so only a missing answer is a failure. */
async function dump(
  search: WalSearch,
  timeline: number,
  start: number,
  options: readonly string[],
  deadline: number,
): Promise<RunResult> {
  const result = await run({
    file: search.waldump,
    args: [
      `--path=${search.places.wal}`,
      `--timeline=${timeline}`,
      `--start=${formatLsn(start)}`,
      ...options,
    ],
    clock: search.clock,
    timeoutMs: Math.max(1, deadline - search.clock.now()),
  });
  if (result.timedOut || result.notStarted !== null || result.signal !== null) {
    throw new PostgresError(failureOf(result, search.timeoutMs));
  }
  return result;
}

function nothingAfter(stderr: string): boolean {
  return /could not find a valid record after/.test(stderr);
}

/** Position and length of the last record in pg_waldump's output. */
export function lastRecord(stdout: string): { lsn: number; length: number } | null {
  const records = stdout.matchAll(
    /len \(rec\/tot\):\s*\d+\/\s*(\d+), tx:\s*\d+, lsn: ([0-9A-F]+\/[0-9A-F]+)/g,
  );
  let last: { lsn: number; length: number } | null = null;
  for (const [, length, lsn] of records)
    last = { lsn: parseLsn(lsn as string), length: Number(length) };
  return last;
}
