/** A simulator that does not notice a broken agent proves nothing: every variant has to be caught. */
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { catalogue } from './broken/catalogue.ts';
import { ROOT } from './broken/variant.ts';

describe.concurrent('broken agents', { timeout: 600_000 }, () => {
  it.each(catalogue)('$name is noticed within $within schedules: $what', async ({ name }) => {
    const { exitCode, stdout, stderr } = await execa(
      'nice',
      ['-n', '10', process.execPath, 'scripts/sim.ts', '--variant', name],
      { cwd: ROOT, reject: false },
    );
    expect(`${exitCode} ${stdout} ${stderr}`).toMatch(/^0 .*"kind":/);
  });
});
