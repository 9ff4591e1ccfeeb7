/** The fence in this process and the guard beside it know one deadline (rule S1, S9). */
import { beforeEach, describe, expect, it } from 'vitest';
import { Fence } from '../../src/fence/fence.ts';
import { type Guard, GuardError, noGuard } from '../../src/fence/guard.ts';
import { noWatchdog, type Watchdog, WatchdogError } from '../../src/fence/watchdog.ts';
import { ManualClock } from '../store/manual-clock.ts';

const TTL_MS = 30_000;
let clock: ManualClock;
let told: string[];
let mayWrite: boolean;
let confirms: boolean;
let fence: Fence;
/** When it resets the machine, monotonic ms; null: it is not active. */
let resetAt: number | null;
let watched: boolean;

beforeEach(() => {
  clock = new ManualClock();
  told = [];
  mayWrite = true;
  confirms = true;
  resetAt = null;
  watched = true;
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
  const watchdog: Watchdog = {
    ...noWatchdog,
    proven: () => resetAt,
    ready: async () => {
      if (!watched) throw new WatchdogError('there is none');
      told.push('watched');
    },
    release: () => {
      if (resetAt !== null) told.push('V');
      resetAt = null;
    },
    facts: () => ({ state: resetAt === null ? 'idle' : 'active', failure: null }),
  };
  fence = new Fence({
    guard,
    watchdog,
    look: async () => undefined,
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
    expect(told).toEqual(['arm 5000', 'confirmed', 'watched', 'work', 'disarm']);
    told = [];
    confirms = false;
    await expect(fence.during(inMs(5000), async () => told.push('work'))).rejects.toThrow(
      GuardError,
    );
    expect(told).toEqual(['arm 5000', 'disarm']);
  });

  it('leaves it armed with the deadline that was proven meanwhile', async () => {
    await fence.during(inMs(5000), async () => fence.arm(inMs(20_000), TTL_MS));
    expect(told).toEqual(['arm 5000', 'confirmed', 'watched', 'arm 20000']);
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

describe('with a watchdog, the fence', () => {
  it('stops PostgreSQL in time for the machine not to be reset', () => {
    resetAt = inMs(25_000);
    fence.extend(inMs(29_950), TTL_MS);
    expect(told).toEqual(['arm 24500']);
    expect(fence.deadline).toBe(inMs(24_500));
  });

  it('ends at the lease where the machine is reset after it, or not at all', () => {
    fence.extend(inMs(29_950), TTL_MS);
    resetAt = inMs(40_000);
    fence.extend(inMs(29_950), TTL_MS);
    expect(told).toEqual(['arm 29950', 'arm 29950']);
  });

  it('has it active before anything becomes a primary, after the guard', async () => {
    await fence.readyToLead();
    expect(told, 'in pause').toEqual(['confirmed']);
    fence.arm(inMs(20_000), TTL_MS);
    told = [];
    await fence.readyToLead();
    expect(told).toEqual(['confirmed', 'watched']);
    watched = false;
    await expect(fence.readyToLead()).rejects.toThrow(WatchdogError);
    await fence.ready();
  });

  it('D4: turns it off only once PostgreSQL is proven to be stopped', async () => {
    resetAt = inMs(25_000);
    fence.extend(inMs(29_950), TTL_MS);
    for (let second = 0; second < 24; second++) {
      clock.advance(1000);
      await Promise.resolve();
    }
    expect(told).not.toContain('V');
    mayWrite = false;
    for (let turn = 0; turn < 10 && !told.includes('V'); turn++) {
      clock.advance(50);
      for (let step = 0; step < 5; step++) await Promise.resolve();
    }
    expect(told).toContain('V');
    // The last stage lets it go as well, in another way.
    expect(clock.now()).toBeLessThan(fence.deadline ?? 0);
  });

  it('turns it off with itself', () => {
    resetAt = inMs(25_000);
    fence.disarm();
    expect(told).toContain('V');
  });
});
