/** Ranges are taken up where they ended, for the same source, seed and nodes, and summed over all. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { enter, nextOf, readLedger, sourceDigest, summary } from '../../scripts/sim/ledger.ts';
import { newTotals } from './totals.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenure-ledger-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'runs.jsonl');
beforeEach(() => rmSync(path, { force: true }));

const mine = { source: 'abc', seed: '1', nodes: '3..7' };
const totals = {
  ...newTotals(),
  schedules: 1000,
  virtualMs: 3_600_000,
  faults: { isolate: 4, pause: 3 },
};

test('the next range begins where the last one of the same source, seed and nodes ended', () => {
  enter(path, { ...mine, first: 0, end: 1000 }, totals, 30);
  enter(path, { ...mine, seed: '2', first: 0, end: 5000 }, totals, 30);
  enter(path, { ...mine, source: 'def', first: 0, end: 9000 }, totals, 30);
  const entries = readLedger(path);
  expect(nextOf(entries, mine)).toBe(1000);
  expect(nextOf(entries, { ...mine, seed: '2' })).toBe(5000);
  expect(nextOf(entries, { ...mine, nodes: '3..3' })).toBe(0);
  expect(nextOf([], mine)).toBe(0);
});

test('the summary adds everything up', () => {
  enter(path, { ...mine, first: 0, end: 1000 }, totals, 30);
  enter(path, { ...mine, first: 1000, end: 2000 }, totals, 30);
  expect(summary(readLedger(path)).join('\n')).toMatchInlineSnapshot(`
    "2000 schedules in 2 ranges, of 1 versions of the source
    2 virtual hours in 0.0 hours
    0 promotions, 0 writes acknowledged
    14 faults: isolate 8, pause 6
    violations: 0"
  `);
});

test('a line that is not ours is told by its number', () => {
  enter(path, { ...mine, first: 0, end: 1000 }, totals, 30);
  appendFileSync(path, '{"schedules": "many"}\n');
  expect(() => readLedger(path)).toThrow('line 2');
});

test('the source has one digest', () => {
  expect(sourceDigest()).toMatch(/^[0-9a-f]{12}$/);
  expect(sourceDigest()).toBe(sourceDigest());
});
