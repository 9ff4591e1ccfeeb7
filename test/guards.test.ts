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
});
