/** A promise binds for as long as the leader may rely on it, this life and the next (contract 5.4). */
import { describe, expect, it } from 'vitest';
import { type PromiseRecord, Promises } from '../../src/failsafe/promises.ts';
import { ManualClock } from '../store/manual-clock.ts';

const BOOT = 'this start';
const request = { leader: 'n1', ttlMs: 5000, slots: { n2: 100 } };

function member(clock: ManualClock, kept: PromiseRecord | null = null) {
  const saved: PromiseRecord[] = [];
  const hints: string[] = [];
  let broken = false;
  const promises = new Promises(
    {
      clock,
      boot: BOOT,
      save: async (promise) => {
        if (broken) throw new Error('disk full');
        saved.push(promise);
      },
      onChange: (why) => hints.push(why),
    },
    kept,
  );
  const breakDisk = (): void => {
    broken = true;
  };
  return { promises, saved, hints, breakDisk };
}

describe('a promise', () => {
  it('stands for the longer of both ttls, from its receipt', async () => {
    const clock = new ManualClock();
    const { promises } = member(clock);
    expect(promises.standing).toBeNull();
    await promises.give(request, 3000);
    const until = clock.now() + 5000;
    expect(promises.standing).toEqual({ leader: 'n1', until, slots: { n2: 100 } });
    clock.advance(4999);
    expect(promises.standing).not.toBeNull();
    clock.advance(1);
    expect(promises.standing).toBeNull();
    await promises.give(request, 9000);
    expect(promises.standing?.until).toBe(clock.now() + 9000);
  });

  it('stands for 20 s towards a Patroni leader, whose ttl is no shorter', async () => {
    const clock = new ManualClock();
    const { promises } = member(clock);
    await promises.give({ ...request, ttlMs: null }, 3000);
    expect(promises.standing?.until).toBe(clock.now() + 20_000);
  });

  it('is never made shorter by the next one to the same leader', async () => {
    const clock = new ManualClock();
    const { promises } = member(clock);
    await promises.give(request, 9000);
    const until = promises.standing?.until;
    await promises.give(request, 1000);
    expect(promises.standing?.until).toBe(until);
  });

  it('binds before it is on disk, and is not given when it cannot be written', async () => {
    const { promises, breakDisk, saved } = member(new ManualClock());
    breakDisk();
    const given = promises.give(request, 3000);
    expect(promises.standing?.leader).toBe('n1');
    await expect(given).rejects.toThrow('disk full');
    expect(saved).toEqual([]);
  });

  it('binds the next life of the agent, and one after a start of the machine for its whole time', async () => {
    const clock = new ManualClock();
    const before = member(clock);
    await before.promises.give(request, 3000);
    clock.advance(2000);
    const [kept] = before.saved;
    if (kept === undefined) throw new Error('nothing was saved');
    expect(member(clock, kept).promises.standing?.until).toBe(clock.now() + 3000);
    const elsewhere = { ...kept, boot: 'another start', until: 1 };
    expect(member(clock, elsewhere).promises.standing?.until).toBe(clock.now() + 5000);
    clock.advance(10_000);
    expect(member(clock, kept).promises.standing).toBeNull();
  });

  it('is a hint once, not at every round', async () => {
    const { promises, hints } = member(new ManualClock());
    await promises.give(request, 3000);
    await promises.give(request, 3000);
    expect(hints).toHaveLength(1);
  });
});
