/**
 * WAL as a chain of records. Two servers hold the same contents exactly when they hold the same
 * record objects: positions and timeline numbers may agree by chance, objects do not.
 */
import type { HistoryEntry } from '../../src/core/history.ts';

export interface WalRecord {
  readonly timeline: number;
  /** Bytes. */
  readonly start: number;
  readonly end: number;
  /** Index in every log that holds it. */
  readonly depth: number;
  /** The client's write that it commits, null for PostgreSQL's own. */
  readonly write: number | null;
  /** When it was written, virtual ms. */
  readonly at: number;
}

/** Sizes of PostgreSQL's own records, bytes. */
export const SHUTDOWN_RECORD = 120;
export const END_OF_RECOVERY_RECORD = 48;
export const CHECKPOINT_RECORD = 120;
const FIRST_LSN = 0x3000000;

export class Wal {
  readonly records: WalRecord[];

  constructor(records: readonly WalRecord[] = []) {
    this.records = [...records];
  }

  get head(): WalRecord | null {
    return this.records.at(-1) ?? null;
  }

  get end(): number {
    return this.head?.end ?? FIRST_LSN;
  }

  get timeline(): number {
    return this.head?.timeline ?? 1;
  }

  append(timeline: number, size: number, write: number | null, at: number): WalRecord {
    const start = this.end;
    const depth = this.records.length;
    const record: WalRecord = { timeline, start, end: start + size, depth, write, at };
    this.records.push(record);
    return record;
  }

  holds(record: WalRecord): boolean {
    return this.records[record.depth] === record;
  }

  copy(): Wal {
    return new Wal(this.records);
  }
}

export interface History {
  readonly entries: readonly HistoryEntry[];
  /** Reserved by the agent, never promoted to. */
  readonly stub: boolean;
}

/** PostgreSQL's findNewestTimeLine: counts up while there is a history file. */
export function newestTimeline(from: number, histories: ReadonlyMap<number, History>): number {
  let newest = from;
  while (histories.has(newest + 1)) newest += 1;
  return newest;
}

/** PostgreSQL's tliOfPointInHistory, for the history of `target`. */
export function timelineAt(
  lsn: number,
  target: number,
  histories: ReadonlyMap<number, History>,
): number {
  const entries = histories.get(target)?.entries ?? [];
  for (const entry of entries) if (lsn < entry.switchLsn) return entry.timeline;
  return target;
}
