/** Rule S1: done by the deadline, whatever PostgreSQL does; nothing when it is armed again in time. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SelfFence } from '../../src/fence/self-fence.ts';
import { ManualClock } from '../store/manual-clock.ts';

const TTL_MS = 30_000;
let clock: ManualClock;
let done: string[];
let primary: boolean;
let fence: SelfFence;

beforeEach(() => {
  clock = new ManualClock();
  done = [];
  primary = true;
  fence = new SelfFence({
    clock,
    postgres: {
      // A server that hangs: no stage may wait for the one before it.
      stop: (mode) => {
        done.push(`stop ${mode}`);
        return new Promise(() => undefined);
      },
      signalStop: (mode) => {
        done.push(`signal ${mode}`);
      },
      freezeEverything: () => {
        done.push('freeze');
        return { signalled: 3 };
      },
      killEverything: () => {
        done.push('kill');
        return { signalled: 3 };
      },
    },
    mayTakeWrites: () => primary,
    log: () => undefined,
    onShot: () => undefined,
  });
  fence.arm(clock.now() + 10_000, TTL_MS);
});

describe('the fence', () => {
  it('does nothing while there is time', () => {
    clock.advance(6900);
    expect(done).toEqual([]);
  });

  it('stops fast, then at once, then kills, in order and before the deadline', () => {
    clock.advance(7000);
    expect(done).toEqual(['stop fast']);
    clock.advance(2750);
    expect(done).toEqual(['stop fast', 'signal immediate']);
    clock.advance(150);
    expect(done).toEqual(['stop fast', 'signal immediate', 'freeze', 'kill']);
  });

  it('is called off by a later deadline', () => {
    clock.advance(6000);
    fence.arm(clock.now() + 10_000, TTL_MS);
    clock.advance(6900);
    expect(done).toEqual([]);
  });

  it('S8: gives a primary found at start half of its time to be proven, however long its lease is', () => {
    fence.arm(clock.now() + 2000, TTL_MS);
    clock.advance(999);
    expect(done).toEqual([]);
    clock.advance(1);
    expect(done).toEqual(['stop fast']);
  });

  it('leaves a standby alone', () => {
    primary = false;
    clock.advance(20_000);
    expect(done).toEqual([]);
  });

  it('shoots when the server becomes a primary between two stages', () => {
    primary = false;
    clock.advance(9000);
    primary = true;
    clock.advance(1000);
    expect(done).toEqual(['signal immediate', 'freeze', 'kill']);
  });

  it('kills at once when it is armed with a deadline that has passed', () => {
    fence.arm(clock.now() - 1, TTL_MS);
    clock.advance(0);
    expect(done).toContain('kill');
  });

  it('stands down when told', () => {
    fence.disarm();
    clock.advance(20_000);
    expect(done).toEqual([]);
    expect(fence.deadline).toBeNull();
  });
});
