/** The fence in this process and the guard beside it know one deadline (rule S1, S9). */
import { beforeEach, describe, expect, it } from 'vitest';
import { Fence } from '../../src/fence/fence.ts';
import { type Guard, GuardError, noGuard } from '../../src/fence/guard.ts';
import { ManualClock } from '../store/manual-clock.ts';

const TTL_MS = 30_000;
let clock: ManualClock;
let told: string[];
let mayWrite: boolean;
let confirms: boolean;
let fence: Fence;

beforeEach(() => {
  clock = new ManualClock();
  told = [];
  mayWrite = true;
  confirms = true;
  const start = clock.now();
  const guard: Guard = {
    ...noGuard,
    arm: (deadline) => told.push(`arm ${deadline - start}`),
    disarm: () => told.push('disarm'),
    ready: async () => {
      if (!confirms) throw new GuardError('no answer');
      told.push('confirmed');
    },
    close: (end) => told.push(end ? 'end' : 'leave'),
  };
  fence = new Fence({
    guard,
    clock,
    postgres: {
      stop: async () => undefined,
      signalStop: () => undefined,
      freezeEverything: () => ({ signalled: 0 }),
      killEverything: () => {
        told.push('kill');
        return { signalled: 0 };
      },
    },
    mayTakeWrites: () => mayWrite,
    log: () => undefined,
    onShot: () => undefined,
  });
});

const inMs = (ms: number): number => clock.now() + ms;

describe('the fence', () => {
  it('arms the guard with each deadline, and disarms it with itself', () => {
    fence.arm(inMs(10_000), TTL_MS);
    fence.arm(inMs(12_000), TTL_MS);
    fence.disarm();
    expect(told).toEqual(['arm 10000', 'arm 12000', 'disarm']);
    expect(fence.deadline).toBeNull();
  });

  it('does not let the guard kill what is proven to be in recovery', () => {
    mayWrite = false;
    fence.arm(inMs(10_000), TTL_MS);
    clock.advance(7000);
    expect(told).toEqual(['arm 10000', 'disarm']);
  });

  it('arms it again when the server became a primary meanwhile', () => {
    mayWrite = false;
    fence.arm(inMs(10_000), TTL_MS);
    clock.advance(7000);
    mayWrite = true;
    clock.advance(3000);
    expect(told).toEqual(['arm 10000', 'disarm', 'arm 10000', 'arm 10000', 'kill']);
  });

  it('does what makes a leader only with a guard that has confirmed', async () => {
    await fence.during(inMs(5000), async () => told.push('work'));
    expect(told).toEqual(['arm 5000', 'confirmed', 'work', 'disarm']);
    told = [];
    confirms = false;
    await expect(fence.during(inMs(5000), async () => told.push('work'))).rejects.toThrow(
      GuardError,
    );
    expect(told).toEqual(['arm 5000', 'disarm']);
  });

  it('leaves it armed with the deadline that was proven meanwhile', async () => {
    await fence.during(inMs(5000), async () => fence.arm(inMs(20_000), TTL_MS));
    expect(told).toEqual(['arm 5000', 'confirmed', 'arm 20000']);
  });

  it('puts back the deadline that was in force when nothing came of it', async () => {
    fence.arm(inMs(1000), TTL_MS);
    await fence.during(inMs(5000), async () => undefined);
    expect(told.at(-1)).toBe('arm 1000');
  });

  it.each([true, false])('ends the guard only when PostgreSQL is stopped: %s', (stopped) => {
    fence.close(stopped);
    expect(told).toEqual([stopped ? 'end' : 'leave']);
  });
});
