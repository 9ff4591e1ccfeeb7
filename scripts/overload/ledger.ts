/** Results of many runs in one file: a JSON object per line, one for each minute. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const Entry = z.object({
  at: z.string(),
  ttl: z.number(),
  seed: z.number(),
  minutes: z.number(),
  demotions: z.number(),
  fenceShots: z.number(),
  leaderChanges: z.number(),
  /** Load average of the last minute, per processor. */
  load: z.number(),
});

export type LedgerEntry = z.infer<typeof Entry>;

export interface Total {
  readonly ttl: number;
  readonly minutes: number;
  readonly demotions: number;
  readonly fenceShots: number;
  readonly leaderChanges: number;
}

export class Ledger {
  readonly #file: string | undefined;
  readonly #entries: LedgerEntry[];

  /** @param file undefined: this run is all there is. @throws a line that is none of ours */
  constructor(file: string | undefined) {
    this.#file = file;
    const text = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : '';
    this.#entries = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Entry.parse(JSON.parse(line)));
  }

  add(entry: LedgerEntry): void {
    this.#entries.push(entry);
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  /** By ttl, ascending. */
  totals(): readonly Total[] {
    const ttls = [...new Set(this.#entries.map(({ ttl }) => ttl))].sort((a, b) => a - b);
    return ttls.map((ttl) => {
      const own = this.#entries.filter((entry) => entry.ttl === ttl);
      const sum = (of: (entry: LedgerEntry) => number): number =>
        own.reduce((total, entry) => total + of(entry), 0);
      return {
        ttl,
        minutes: sum(({ minutes }) => minutes),
        demotions: sum(({ demotions }) => demotions),
        fenceShots: sum(({ fenceShots }) => fenceShots),
        leaderChanges: sum(({ leaderChanges }) => leaderChanges),
      };
    });
  }
}
