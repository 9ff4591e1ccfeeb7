/** A few hundred schedules at every test run; `npm run sim` has as many as you like. */
import { describe, expect, it } from 'vitest';
import { runBatch, simulate } from './batch.ts';
import { FAULT_KINDS, generate } from './schedule.ts';

const SCHEDULES = 150;

describe('the whole agent in virtual time', () => {
  it(`holds every promise in ${SCHEDULES} schedules`, { timeout: 60_000 }, async () => {
    const totals = await runBatch({
      seed: 'test',
      first: 0,
      stride: 1,
      end: SCHEDULES,
      nodes: [3, 7],
      kinds: [],
      mostViolations: 1,
    });
    const found = totals.found.map(({ schedule, violation }) => [schedule.seed, violation]);
    expect(found).toEqual([]);
    expect(totals.virtualMs / totals.schedules).toBeGreaterThanOrEqual(120_000);
    expect(Object.keys(totals.faults).sort()).toEqual([...FAULT_KINDS].sort());
    expect(totals.promotions).toBeGreaterThan(SCHEDULES);
    expect(totals.acknowledged).toBeGreaterThan(100 * SCHEDULES);
  });

  it('runs the same twice, line for line', { timeout: 20_000 }, async () => {
    const schedule = generate('twice-4', [4, 4]);
    const one = await simulate(schedule, true);
    const other = await simulate(schedule, true);
    expect(one.lines.length).toBeGreaterThan(50);
    expect(other.lines).toEqual(one.lines);
    expect(other.events).toBe(one.events);
  });

  it('survives being written down: a replay is the same run', async () => {
    const schedule = generate('replay-1', [3, 3]);
    const one = await simulate(schedule);
    const again = await simulate(JSON.parse(JSON.stringify(schedule)));
    expect(again).toEqual(one);
  });
});
