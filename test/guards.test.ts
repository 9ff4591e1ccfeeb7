/** The catalogue of guards stays true while the source changes; `npm run guards` does the rest. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { guards } from '../scripts/guards/catalogue.ts';

const text = (file: string): string => readFileSync(join(import.meta.dirname, '..', file), 'utf8');

describe('the catalogue of guards', () => {
  it.each(guards)('$id stands once in $file, and its test is there', (guard) => {
    expect(text(guard.file).split(guard.guard).length - 1).toBe(1);
    expect(text(guard.test)).toContain(guard.name);
  });

  it('is in docs/reliability.md, bug by bug', () => {
    const document = text('docs/reliability.md');
    const ids = guards.flatMap(({ id }) => id.match(/D\d+/g) ?? []);
    // Those of timelines are named in one line; of two ends of a range, the numbers between count.
    const told = [...document.matchAll(/D(\d+)(?:–D(\d+))?/g)].flatMap(([, from, to = from]) =>
      Array.from({ length: Number(to) - Number(from) + 1 }, (_none, at) => `D${Number(from) + at}`),
    );
    expect(ids.filter((id) => !told.includes(id))).toEqual([]);
  });
});
