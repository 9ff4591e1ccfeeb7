/** The logs of rounds, read while the files are there: a cluster takes its logs with it. */
import { readFileSync } from 'node:fs';
import type { Story } from './measurement.ts';
import { parseLog, type Telling } from './phases.ts';

/** Lines that belong to a story: a little before it, and a little after it. */
const AROUND_MS = 1000;

export class Tellings {
  readonly #read = new Map<Story, Telling>();

  keep(stories: readonly Story[]): void {
    for (const story of stories) {
      if (this.#read.has(story)) continue;
      const inside = (at: number): boolean =>
        at >= story.faultAt - AROUND_MS && at <= story.gapTo + AROUND_MS;
      const lines = story.logs.map(({ who, file }) => ({
        who,
        lines: parseLog(readFileSync(file, 'utf8')).filter(({ at }) => inside(at)),
      }));
      this.#read.set(story, { ...story, lines });
    }
  }

  of(stories: readonly Story[]): readonly Telling[] {
    return stories.flatMap((story) => this.#read.get(story) ?? []);
  }
}
