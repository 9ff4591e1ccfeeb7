/** One run of the simulator; its many thousands are in schedules.sim.test.ts. */
import { describe, expect, it } from 'vitest';
import { simulate } from './batch.ts';
import { generate } from './schedule.ts';

describe('a run', () => {
  it('is the same twice, line for line', { timeout: 60_000 }, async () => {
    const schedule = generate('twice-4', [4, 4]);
    const one = await simulate(schedule, true);
    const other = await simulate(schedule, true);
    expect(one.lines.length).toBeGreaterThan(50);
    expect(other.lines).toEqual(one.lines);
    expect(other.events).toBe(one.events);
  });

  it('survives being written down: a replay is the same', { timeout: 60_000 }, async () => {
    const schedule = generate('replay-1', [3, 3]);
    const one = await simulate(schedule);
    const again = await simulate(JSON.parse(JSON.stringify(schedule)));
    expect(again).toEqual(one);
  });
});
