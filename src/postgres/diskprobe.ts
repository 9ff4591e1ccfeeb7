/**
 * Whether the disk below a running primary still takes anything: one that hangs lets PostgreSQL answer
 * from memory, and only commits wait (field D67). The times of two things that are there are set, and
 * forced to the disk: nothing is left behind, and pg_wal may be elsewhere.
 */
import { open } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { Places } from './options.ts';

/** From the end of one probe to the next, ms: each is a write to the file system's journal. */
const EVERY_MS = 5000;

export class DiskProbe {
  readonly #clock: Clock;
  readonly #touch: () => Promise<void>;
  #begunAt: number | null = null;
  #endedAt = Number.NEGATIVE_INFINITY;

  /** `touch` writes to the disk; it may never come to its end. */
  constructor(clock: Clock, touch: () => Promise<void>) {
    this.#clock = clock;
    this.#touch = touch;
  }

  /** When the probe in progress began, monotonic ms; null: none is. */
  get pendingSince(): number | null {
    return this.#begunAt;
  }

  /** Begins one when it is time; returns at once. Never more than one: each may hold a thread for ever. */
  look(): void {
    if (this.#begunAt !== null || this.#clock.now() - this.#endedAt < EVERY_MS) return;
    this.#begunAt = this.#clock.now();
    const end = (): void => {
      this.#begunAt = null;
      this.#endedAt = this.#clock.now();
    };
    // A refusal is an answer: what PostgreSQL makes of it is for PostgreSQL to say.
    this.#touch().then(end, end);
  }
}

/** Sets the times of the data directory's PG_VERSION and of pg_wal, durably. */
export async function touchDisk({ dataDir, wal }: Pick<Places, 'dataDir' | 'wal'>): Promise<void> {
  for (const path of [`${dataDir}/PG_VERSION`, wal]) {
    const handle = await open(path, 'r');
    try {
      const now = new Date();
      await handle.utimes(now, now);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
