/** The catalogue of broken agents; that each is noticed is in broken.sim.test.ts. */
import { describe, expect, it } from 'vitest';
import { catalogue } from './broken/catalogue.ts';
import { edited } from './broken/variant.ts';

describe('the catalogue of broken agents', () => {
  it('has at least fifteen, each with a name of its own', () => {
    expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length);
    expect(catalogue.length).toBeGreaterThanOrEqual(15);
  });

  it.each(catalogue)('$name still applies to the source', ({ edits }) => {
    for (const file of new Set(edits.map((edit) => edit.file))) {
      const own = edits.filter((edit) => edit.file === file);
      expect(() => edited(file, own)).not.toThrow();
    }
  });
});
