/** A daemon beside a PostgreSQL that runs already: how long it has to prove its leadership (rule S8). */
import { describe, expect, it } from 'vitest';
import type { PostgresFacts } from '../src/core/model.ts';
import { type Guard, noGuard } from '../src/fence/guard.ts';
import { Runtime, type RuntimeOptions } from '../src/runtime.ts';
import * as given from './core/observations.ts';
import { ManualClock } from './store/manual-clock.ts';

const RETRY_MS = given.settings().retryTimeoutMs;
const GUARD_MS = 1234;

/** What the guard was told by the first look, as ms from then on. */
async function armed(
  facts: PostgresFacts,
  found: number | null,
  paused = false,
): Promise<number[]> {
  const clock = new ManualClock();
  const startedAt = clock.now();
  const told: number[] = [];
  const guard: Guard = {
    ...noGuard,
    open: async () => (found === null ? null : startedAt + found),
    arm: (deadline) => told.push(deadline - startedAt),
  };
  const options = {
    identity: { scope: 'demo', name: 'n1', connUrl: '', apiUrl: '' },
    clock,
    guard,
    store: { grantLease: () => new Promise(() => undefined) },
    postgres: { observe: async () => facts },
    journal: { boot: '', node: { promise: null }, promised: async () => undefined },
    policy: { settings: given.settings({ paused }) },
    say: () => undefined,
  };
  await new Runtime(options as unknown as RuntimeOptions).lookFirst();
  return told;
}

const primary = given.running(given.primarySql());
const standby = given.running(given.standbySql());

describe('a daemon that finds PostgreSQL running', () => {
  it.each([
    [
      'a primary whose guard is armed keeps the deadline of the guard',
      primary,
      GUARD_MS,
      [GUARD_MS],
    ],
    ['a primary whose guard has fired gets no time at all', primary, -5, [-5]],
    ['a primary without a guard is guarded from now on', primary, null, [RETRY_MS]],
    ['orphans may write as well', given.stopped('in production', { orphans: 2 }), null, [RETRY_MS]],
    ['a standby has nothing to prove', standby, null, []],
    ['nor has one whose guard is still armed', standby, GUARD_MS, []],
  ] as const)('%s', async (_because, facts, found, told) => {
    expect(await armed(facts, found)).toEqual(told);
  });

  it('leaves it alone in pause', async () => {
    expect(await armed(primary, null, true)).toEqual([]);
  });
});
