import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Entry, enter, nextOf, readLedger, summary } from '../../scripts/chaos/ledger.ts';

const folder = mkdtempSync(join(tmpdir(), 'chaos-ledger-'));
afterAll(() => rmSync(folder, { recursive: true }));

const entry = (changes: Partial<Entry> = {}): Entry => ({
  at: '2026-01-01T00:00:00.000Z',
  mode: 'asynchronous',
  network: 'namespaces',
  seed: 1,
  number: 0,
  kind: 'daemon killed',
  on: 'n1 (primary)',
  durationMs: 1000,
  outageMs: 1500,
  healedMs: 2000,
  acknowledged: 100,
  cancelledWaits: 0,
  lost: 0,
  lostBytes: 0,
  lostMs: 0,
  excused: 0,
  violations: [],
  ...changes,
});

describe('the ledger', () => {
  it('has what was entered', () => {
    const file = join(folder, 'two.jsonl');
    const entries = [entry(), entry({ number: 1, healedMs: null, violations: ['a'] })];
    for (const one of entries) enter(file, one);
    expect(readLedger(file)).toEqual(entries);
  });

  it('goes on after the last fault of the same seed and mode', () => {
    const entries = [entry({ number: 4 }), entry({ seed: 2, number: 9 })];
    expect(nextOf(entries, 1, 'asynchronous')).toBe(5);
    expect(nextOf(entries, 1, 'quorum')).toBe(0);
    expect(nextOf(entries, 3, 'asynchronous')).toBe(0);
  });

  it('sums up: the worst of each kind, violations and what never healed', () => {
    const lines = summary([
      entry(),
      entry({ outageMs: 7700, number: 1, lost: 2, lostBytes: 300, lostMs: 40 }),
      entry({ mode: 'quorum', seed: 5, healedMs: null, violations: ['a', 'b'] }),
    ]);
    expect(lines).toContain(
      '| asynchronous | 1 | 2 | 200 | 2 | 300 bytes, 0.0 s | 0 | 2.0 s | 0 |',
    );
    expect(lines).toContain('| quorum | 5 | 1 | 100 | 0 | – | 0 | 1 not healed | 2 |');
    expect(lines).toContain('| daemon killed | 2, 7.7 s | 1, 1.5 s |');
  });
});
