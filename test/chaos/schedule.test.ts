import { describe, expect, it } from 'vitest';
import { KINDS, kindsFor, plan } from '../../scripts/chaos/schedule.ts';

const first = (seed: number, count: number) =>
  Array.from({ length: count }, (_, number) => plan(seed, number, KINDS));

describe('a schedule', () => {
  it('is decided by its seed', () => {
    expect(first(7, 60)).toEqual(first(7, 60));
    expect(first(7, 60)).not.toEqual(first(8, 60));
  });

  it('has every kind once before any comes again', () => {
    for (const begin of [0, KINDS.length]) {
      const kinds = first(3, 2 * KINDS.length)
        .slice(begin, begin + KINDS.length)
        .map(({ kind }) => kind);
      expect(new Set(kinds)).toEqual(new Set(KINDS));
    }
  });

  it('has faults that end before a lease does, and others that outlast it', () => {
    const durations = first(1, 40).map(({ durationMs }) => durationMs);
    expect(durations.some((ms) => ms < 4000)).toBe(true);
    expect(durations.some((ms) => ms > 5000)).toBe(true);
  });

  it('has faults of processes and clocks alone on the loopback', () => {
    const kinds = kindsFor('loopback');
    expect(kinds).toContain('daemon killed');
    expect(kinds).toContain('wall clock jump');
    expect(kinds).not.toContain('node isolated');
    expect(kinds).not.toContain('disk full');
  });
});
