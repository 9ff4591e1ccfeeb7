/** Every promise, in 10,000 schedules. The count is what varies with TENURE_SIM_SCHEDULES, never the time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { readLedger } from '../../scripts/sim/ledger.ts';
import { ROOT } from './broken/variant.ts';
import { FAULT_KINDS } from './schedule.ts';

const SCHEDULES = Number(process.env.TENURE_SIM_SCHEDULES ?? 10_000);

const ENOUGH_FOR_EVERY_KIND = 300;

/** For a machine that is many times slower than two idle cores, and for making a violation small. */
const PATIENCE_MS = 1_800_000;

const folder = mkdtempSync(join(tmpdir(), 'tenure-sim-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the whole agent in virtual time', () => {
  it(`holds every promise in ${SCHEDULES} schedules`, { timeout: PATIENCE_MS }, async () => {
    const path = join(folder, 'ledger.jsonl');
    const which = ['--schedules', String(SCHEDULES), '--seed', 'test'];
    const { stdout, stderr, exitCode } = await execa(
      'nice',
      ['-n', '10', process.execPath, 'scripts/sim.ts', ...which, '--ledger', path, '--out', folder],
      { cwd: ROOT, reject: false },
    );
    process.stdout.write(`${stdout}\n`);
    expect(`${exitCode} ${stderr}`).toBe('0 ');
    const ranges = readLedger(path);
    const sum = (of: (range: (typeof ranges)[number]) => number): number =>
      ranges.reduce((total, range) => total + of(range), 0);
    expect(ranges.flatMap(({ violations }) => violations)).toEqual([]);
    expect(sum(({ schedules }) => schedules)).toBe(SCHEDULES);
    expect(sum(({ virtualSeconds }) => virtualSeconds)).toBeGreaterThanOrEqual(120 * SCHEDULES);
    const faults = new Set(ranges.flatMap((range) => Object.keys(range.faults)));
    if (SCHEDULES >= ENOUGH_FOR_EVERY_KIND)
      expect([...faults].sort()).toEqual([...FAULT_KINDS].sort());
    expect(sum(({ promotions }) => promotions)).toBeGreaterThan(SCHEDULES);
    expect(sum(({ acknowledged }) => acknowledged)).toBeGreaterThan(100 * SCHEDULES);
  });
});
