/** The hardware watchdog over a device of the test's own (contract 5.18; field D4, D5). */
import { beforeEach, describe, expect, it } from 'vitest';
import type { WatchdogPolicy } from '../../src/core/watchdog.ts';
import { WatchdogError } from '../../src/fence/watchdog.ts';
import type { WatchdogDevice, WatchdogDriver } from '../../src/fence/watchdog-device.ts';
import { WatchdogKeeper } from '../../src/fence/watchdog-keeper.ts';
import { ManualClock } from '../store/manual-clock.ts';

const DEVICE = '/dev/watchdog';
let clock: ManualClock;
let told: string[];
let logged: string[];
let ttlMs: number;
/** The device's own idea of its timeout, seconds; null: as it is told. */
let stubborn: number | null;
let obstacle: string | null;
let endless: boolean;
let broken: boolean;

beforeEach(() => {
  clock = new ManualClock();
  told = [];
  logged = [];
  ttlMs = 30_000;
  stubborn = null;
  obstacle = null;
  endless = false;
  broken = false;
});

const driver: WatchdogDriver = {
  obstacle: () => obstacle,
  endless: () => endless,
  open: async (seconds) => {
    if (broken) throw new WatchdogError('EIO');
    let timeoutMs = (stubborn ?? seconds) * 1000;
    told.push(`open ${seconds}`);
    const device: WatchdogDevice = {
      get timeoutMs() {
        return timeoutMs;
      },
      identity: 'a device',
      magicClose: true,
      endless,
      retime: async (next) => {
        timeoutMs = (stubborn ?? next) * 1000;
        told.push(`timeout ${next}`);
      },
      keepAlive: () => {
        if (broken) throw new WatchdogError('EIO');
        told.push('1');
      },
      close: (off) => told.push(off ? 'V' : 'close'),
    };
    return device;
  },
};

const watchdog = (change: Partial<WatchdogPolicy> = {}): WatchdogKeeper =>
  new WatchdogKeeper({
    clock,
    policy: { mode: 'automatic', safetyMarginMs: 5000, ...change },
    driver,
    device: DEVICE,
    ttlMs: () => ttlMs,
    log: (level, text) => logged.push(`${level}: ${text}`),
    onChange: () => undefined,
  });

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};
/** As a renewal that was sent now and answered at once. */
const proven = (one: WatchdogKeeper): number | null => one.proven(clock.now() + ttlMs - 50);

async function active(change: Partial<WatchdogPolicy> = {}): Promise<WatchdogKeeper> {
  const one = watchdog(change);
  proven(one);
  await settle();
  proven(one);
  told = [];
  return one;
}

describe('the watchdog', () => {
  it('is opened by the first proof of leadership, and kept alive by each one after it', async () => {
    const one = watchdog();
    expect(one.facts().state).toBe('idle');
    expect(proven(one)).toBeNull();
    await one.ready();
    expect(one.facts().state).toBe('active');
    clock.advance(5000);
    expect(proven(one)).toBe(clock.now() + 25_000);
    expect(told).toEqual(['open 25', '1']);
  });

  it.each([
    [5000, 'open 25'],
    [null, 'open 15'],
    // A keep-alive comes a moment after the renewal was sent.
    [0, 'open 28'],
  ])('waits for what the safety margin %j leaves of ttl', async (safetyMarginMs, expected) => {
    await watchdog({ safetyMarginMs }).ready();
    expect(told).toEqual([expected]);
  });

  it('D5: hears nothing of a proof that came so late that it would wait beyond the lease', async () => {
    const one = await active();
    clock.advance(1000);
    const before = clock.now() - 1000 + 25_000;
    expect(one.proven(clock.now() + 24_999)).toBe(before);
    expect(told).toEqual([]);
    expect(one.proven(clock.now() + 25_000)).toBe(clock.now() + 25_000);
    expect(told).toEqual(['1']);
  });

  it('is turned off when it is let go, once', async () => {
    const one = await active();
    one.release();
    one.release();
    expect(told).toEqual(['V']);
    expect(one.facts().state).toBe('idle');
    proven(one);
    await settle();
    expect(told).toEqual(['V', 'open 25']);
  });

  it('does not stay open when it was let go while it was being opened', async () => {
    const one = watchdog();
    proven(one);
    one.release();
    await settle();
    expect(told).toEqual(['open 25', 'V']);
    expect(one.facts().state).toBe('idle');
  });

  it('D4: goes on counting when the daemon ends beside a PostgreSQL that may be running', async () => {
    (await active()).close(false);
    expect(told).toEqual(['close']);
    expect(logged.at(-1)).toContain('critical: /dev/watchdog resets this machine in 25000 ms');
    const stopped = await active();
    stopped.close(true);
    expect(told).toEqual(['V']);
  });

  it('gets another timeout with another ttl', async () => {
    const one = await active();
    ttlMs = 20_000;
    proven(one);
    await settle();
    expect(told).toContain('timeout 15');
    told = [];
    clock.advance(1000);
    expect(proven(one)).toBe(clock.now() + 15_000);
    expect(told).toEqual(['1']);
  });

  it.each([
    ['does not exist', () => (obstacle = 'ENOENT: no such file'), 'ENOENT'],
    ['fails', () => (broken = true), 'EIO'],
    ['waits for less than PostgreSQL needs to be stopped', () => (stubborn = 6), '6000 ms'],
    ['would have to wait for less than that', () => (ttlMs = 3000), 'ttl 3000'],
  ])('that %s: required fails, automatic goes on without', async (_what, bend, why) => {
    bend();
    const required = watchdog({ mode: 'required' });
    await expect(required.ready()).rejects.toThrow(why);
    expect(required.facts()).toEqual({ state: 'failed', failure: expect.stringContaining(why) });
    expect(logged.at(-1)).toMatch(/^error: /);
    const automatic = watchdog();
    await automatic.ready();
    expect(automatic.facts()).toEqual({ state: 'failed', failure: null });
    expect(logged.at(-1)).toMatch(why === 'ENOENT' ? /^info: / : /^warning: /);
    expect(told.filter((word) => word.startsWith('open')).length).toBe(
      told.filter((word) => word === 'V').length,
    );
  });

  it('that failed is tried again after a minute', async () => {
    broken = true;
    const one = watchdog({ mode: 'required' });
    await expect(one.ready()).rejects.toThrow('EIO');
    broken = false;
    await expect(one.ready()).rejects.toThrow('EIO');
    clock.advance(60_000);
    await one.ready();
    expect(one.facts()).toEqual({ state: 'active', failure: null });
  });

  it('that can no longer be written to has its time, and is given up after it', async () => {
    const one = await active({ mode: 'required' });
    const resetAt = clock.now() + 25_000;
    broken = true;
    clock.advance(5000);
    expect(proven(one)).toBe(resetAt);
    expect(one.facts().failure).toContain('EIO');
    clock.advance(23_000);
    expect(proven(one)).toBeNull();
    expect(told).toEqual(['close']);
  });
});

describe('a watchdog that nothing turns off', () => {
  beforeEach(() => {
    endless = true;
  });

  it('is left alone unless it is required', async () => {
    const one = watchdog();
    await one.ready();
    expect(told).toEqual([]);
    expect(logged.at(-1)).toContain('nowayout');
  });

  it('is kept alive by the daemon while there is nothing to fence, and only then', async () => {
    const one = await active({ mode: 'required' });
    one.release();
    one.release();
    clock.advance(13_000);
    expect(told).toEqual(['1', '1', '1']);
    expect(one.facts().state).toBe('idle');
    proven(one);
    clock.advance(20_000);
    expect(told).toHaveLength(4);
    expect(one.facts().state).toBe('active');
    one.close(true);
    expect(logged.at(-1)).toContain('critical: /dev/watchdog resets this machine');
  });
});
