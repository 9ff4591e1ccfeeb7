/** A simulator that does not notice a broken agent proves nothing: each variant has to be caught. */
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { catalogue } from './broken/catalogue.ts';
import { edited, ROOT } from './broken/variant.ts';

/** Those that are noticed within a few schedules; `npm run sim -- --variants` runs them all. */
const QUICK = [
  'no-deadline',
  'no-suspend',
  'claims-not-compared',
  'release-blindly',
  'race-blindly',
  'keeps-after-deadline',
];

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

  it.each(QUICK)('%s is noticed', { timeout: 60_000 }, async (name) => {
    const { exitCode, stdout, stderr } = await execa(
      process.execPath,
      ['scripts/sim.ts', '--variant', name],
      { cwd: ROOT, reject: false },
    );
    expect(`${exitCode} ${stdout} ${stderr}`).toMatch(/^0 .*"kind":/);
  });
});
