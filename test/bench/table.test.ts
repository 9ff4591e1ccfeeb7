/** The table of `npm run bench`: medians, targets, and no ratio without two daemons of the same run. */
import { describe, expect, it } from 'vitest';
import { markdown, misses, NoComparison, ratio } from '../../scripts/bench/report.ts';
import { Results } from '../../scripts/bench/results.ts';
import { type RowId, rowOf } from '../../scripts/bench/rows.ts';
import { summary } from '../../scripts/bench/statistics.ts';

function results(
  values: Readonly<Record<string, readonly number[]>>,
  row: RowId,
  lost = 0,
): Results {
  const made = new Results();
  for (const [label, samples] of Object.entries(values)) {
    for (const value of samples) made.add(label, { samples: { [row]: { value, lost } } });
  }
  return made;
}

describe('few samples', () => {
  it('are summed up by median, least and largest', () => {
    expect(summary([3, 1, 10])).toEqual({ median: 3, min: 1, max: 10, count: 3 });
    expect(summary([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4, count: 4 });
    expect(summary([])).toBeUndefined();
  });
});

describe('a ratio', () => {
  const made = results({ ours: [0.2, 0.3, 0.25], theirs: [2, 3, 2.5] }, 'switchover');

  it('says how many times better the first daemon is', () => {
    expect(ratio(rowOf('switchover'), ['ours', 'theirs'], made)).toBeCloseTo(10);
    const rates = results({ ours: [30_000], theirs: [1_000] }, 'health');
    expect(ratio(rowOf('health'), ['ours', 'theirs'], rates)).toBeCloseTo(30);
  });

  it('is refused for one daemon', () => {
    expect(() => ratio(rowOf('switchover'), ['ours'], made)).toThrow(NoComparison);
  });

  it('is left out where a daemon has no number, or zero', () => {
    expect(ratio(rowOf('sigterm'), ['ours', 'theirs'], made)).toBeUndefined();
    const none = results({ ours: [0], theirs: [4] }, 'idle-children');
    expect(ratio(rowOf('idle-children'), ['ours', 'theirs'], none)).toBeUndefined();
  });
});

describe('the table', () => {
  it('has medians, what was lost and the ratio', () => {
    const made = results({ ours: [0.2, 0.3, 0.25], theirs: [2, 3, 2.5] }, 'switchover', 1);
    expect(markdown([rowOf('switchover')], ['ours', 'theirs'], made)).toEqual([
      '| measured | target | ours: median (min–max) | rows lost | theirs: median (min–max) | rows lost | theirs ÷ ours |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      '| switchover, idle | ≤ 0.35 s | 0.25 s (0.20–0.30) | 3 | 2.50 s (2.00–3.00) | 3 | 10 |',
    ]);
  });

  it('has no column for ratios with one daemon', () => {
    const [head, , line] = markdown([rowOf('health')], ['ours'], results({ ours: [9] }, 'health'));
    expect(head).not.toContain('÷');
    expect(line).toBe(
      '| health checks, 8 connections, `GET /primary` | ≥ 25,000 1/s | 9 1/s (9–9) | – |',
    );
  });

  it('says which rounds failed', () => {
    const made = results({ ours: [0.2] }, 'sigterm');
    made.failed('ours', ['sigterm', 'postmaster'], 'it did not come back');
    const [, , some, none] = markdown([rowOf('sigterm'), rowOf('postmaster')], ['ours'], made);
    expect(some).toContain('0.20 s (0.20–0.20); 1 rounds failed');
    expect(none).toContain('failed, see below');
  });
});

describe('targets', () => {
  it.each([
    { row: 'switchover', values: [0.3, 0.35, 0.4], missed: false, because: 'the median counts' },
    { row: 'switchover', values: [0.3, 0.36, 0.4], missed: true, because: 'it is above' },
    {
      row: 'death',
      values: [0.3, 0.4, 0.95],
      missed: true,
      because: 'one round was beyond the most',
    },
    { row: 'health', values: [25_000], missed: false, because: 'more is better' },
    { row: 'health', values: [24_000], missed: true, because: 'less is worse' },
  ] as const)('$row: $because', ({ row, values, missed }) => {
    const found = misses([rowOf(row)], 'ours', results({ ours: values }, row));
    expect(found.length > 0).toBe(missed);
  });
});
