import { describe, expect, it } from 'vitest';
import { DaemonProcess, SimClock } from './process.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';

const machine = { suspendedMs: 0, wallOffset: 0 };

describe('virtual time', () => {
  it('goes from event to event, in order, without waiting', async () => {
    const scheduler = new Scheduler();
    const seen: string[] = [];
    for (const [name, at] of [
      ['c', 3e9],
      ['a', 1],
      ['b', 1],
      ['cancelled', 2],
    ] as const) {
      const cancel = scheduler.at(at, () => void seen.push(`${name} ${scheduler.now}`));
      if (name === 'cancelled') cancel();
    }
    await scheduler.run(() => false);
    expect(seen).toEqual(['a 1', 'b 1', `c ${3e9}`]);
  });

  it('lets everything that follows from an event happen before the next', async () => {
    const scheduler = new Scheduler();
    const process = new DaemonProcess(scheduler);
    const clock = new SimClock(process, scheduler, 1, machine);
    const seen: number[] = [];
    void (async () => {
      await clock.wait(10);
      for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
      seen.push(scheduler.now);
      await clock.wait(5);
      seen.push(scheduler.now);
    })();
    scheduler.at(10.001, () => undefined);
    await scheduler.run(() => false);
    expect(seen).toEqual([10, 15]);
  });

  it('holds what is due for a stopped process until it goes on, and drops it when it ends', async () => {
    const scheduler = new Scheduler();
    const process = new DaemonProcess(scheduler);
    const clock = new SimClock(process, scheduler, 1, machine);
    const seen: number[] = [];
    clock.after(10, () => void seen.push(scheduler.now));
    clock.after(60, () => void seen.push(scheduler.now));
    scheduler.at(5, () => process.stop('signal'));
    scheduler.at(50, () => process.goOn('signal'));
    scheduler.at(55, () => process.end());
    await scheduler.run(() => false);
    expect(seen).toEqual([50]);
  });
});

describe('a machine that is suspended', () => {
  it('takes its sleep off a timer that was running, once, and not off an instant', async () => {
    const scheduler = new Scheduler();
    const process = new DaemonProcess(scheduler);
    const asleep = { suspendedMs: 0, wallOffset: 0 };
    const clock = new SimClock(process, scheduler, 1, asleep);
    const seen: string[] = [];
    // Due during the sleep, and after it.
    for (const ms of [50, 1000]) clock.after(ms, () => seen.push(`after ${ms}: ${scheduler.now}`));
    clock.at(clock.now() + 60, () => seen.push(`at: ${scheduler.now}`));
    scheduler.at(20, () => process.stop('suspend'));
    scheduler.at(520, () => {
      asleep.suspendedMs += 500;
      process.goOn('suspend');
    });
    await scheduler.run(() => false);
    expect(seen).toEqual(['after 50: 550', 'at: 610', 'after 1000: 1500']);
  });
});

describe('chance', () => {
  it('is the same for the same seed, and evenly spread', () => {
    const one = new Random('seed');
    const other = new Random('seed');
    const numbers = Array.from({ length: 10_000 }, () => one.next());
    expect(numbers).toEqual(Array.from({ length: 10_000 }, () => other.next()));
    expect(numbers.reduce((sum, number) => sum + number, 0) / 10_000).toBeCloseTo(0.5, 1);
  });
});
