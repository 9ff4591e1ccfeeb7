/** Nothing of PostgreSQL is started or promoted without a guard that has confirmed (rules S1, S9). */
import { describe, expect, it } from 'vitest';
import type { Job } from '../src/core/model.ts';
import { GuardError } from '../src/fence/guard.ts';
import { Jobs } from '../src/jobs.ts';
import { Work, type WorkOptions } from '../src/work.ts';
import * as given from './core/observations.ts';
import { ManualClock } from './store/manual-clock.ts';

const UPSTREAM = { name: 'n2', host: 'n2', port: 5432 };

/** What was done to PostgreSQL by the time that the job has ended, and its outcome. */
async function done(
  job: Job,
  ready: () => Promise<void>,
  deadlineMs = 60_000,
): Promise<{ readonly calls: string[]; readonly why: string }> {
  const clock = new ManualClock();
  const calls: string[] = [];
  const note =
    <T>(call: string, result: T) =>
    async (): Promise<T> => {
      calls.push(call);
      return result;
    };
  const postgres = {
    bootstrap: note('bootstrap', { systemIdentifier: '1' }),
    clone: note('clone', undefined),
    rewind: note('rewind', undefined),
    start: note('start', undefined),
    stop: note('stop', undefined),
    checkpoint: note('checkpoint', undefined),
    promote: async (_claim: number, _timeoutMs: number, permission: () => Promise<void>) => {
      await permission();
      calls.push('promote');
      return 2;
    },
  };
  const jobs = new Jobs(clock, () => undefined);
  const options = {
    clock,
    jobs,
    postgres,
    fence: {
      ready: async () => {
        calls.push('ready');
        await ready();
      },
    },
    lease: { facts: () => ({ holdsLeaderKey: true, deadline: clock.now() + deadlineMs }) },
    journal: { promoting: async () => undefined, forgetPromotions: async () => undefined },
    requests: { begun: () => undefined, settle: () => undefined },
    name: 'n1',
    log: () => undefined,
  };
  new Work(options as unknown as WorkOptions).begin(job, given.leader());
  await jobs.idle();
  return { calls, why: jobs.state?.outcome?.why ?? '' };
}

const JOBS: readonly (readonly [Job, readonly string[]])[] = [
  [{ kind: 'promote', claim: 2 }, ['ready', 'promote']],
  [{ kind: 'start', as: 'primary' }, ['ready', 'start']],
  [{ kind: 'start', as: 'standby', upstream: UPSTREAM }, ['ready', 'start']],
  [{ kind: 'bootstrap' }, ['ready', 'bootstrap']],
  [{ kind: 'clone', from: UPSTREAM, why: '' }, ['ready', 'clone']],
  [{ kind: 'rewind', from: UPSTREAM, why: '' }, ['ready', 'rewind']],
  [
    { kind: 'restart', as: 'primary', upstream: null, timeoutMs: null, request: null },
    ['checkpoint', 'stop', 'ready', 'start'],
  ],
  [{ kind: 'reinitialize', from: UPSTREAM, request: 1 }, ['stop', 'ready', 'clone']],
];

describe('the guard', () => {
  it.each(JOBS)('has confirmed before $kind', async (job, calls) => {
    expect((await done(job, async () => undefined)).calls).toEqual(calls);
  });

  it.each(JOBS)('that does not confirm ends $kind before anything comes to life', async (job) => {
    const refuse = async (): Promise<void> => {
      throw new GuardError('the guard has not confirmed');
    };
    const { calls, why } = await done(job, refuse);
    expect(calls.at(-1)).toBe('ready');
    expect(why).toContain('the guard has not confirmed');
  });
});
