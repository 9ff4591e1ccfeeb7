/** Nothing of PostgreSQL is started or promoted without a guard that has confirmed (rules S1, S9). */
import { describe, expect, it } from 'vitest';
import type { Job, Observation } from '../src/core/model.ts';
import { GuardError } from '../src/fence/guard.ts';
import { Jobs } from '../src/jobs.ts';
import { PromotionRefused } from '../src/postgres/scripts.ts';
import { Work, type WorkOptions } from '../src/work.ts';
import * as given from './core/observations.ts';
import { ManualClock } from './store/manual-clock.ts';

const UPSTREAM = { name: 'n2', host: 'n2', port: 5432 };

interface Scene {
  readonly deadlineMs?: number;
  readonly observation?: Observation;
  readonly prePromote?: () => Promise<void>;
}
const allow = async (): Promise<void> => undefined;

/** What was done to PostgreSQL by the time that the job has ended, and its outcome. */
async function done(
  job: Job,
  ready: () => Promise<void>,
  { deadlineMs = 60_000, observation = given.leader(), prePromote = allow }: Scene = {},
): Promise<{
  readonly calls: string[];
  readonly why: string;
  readonly refused?: true | undefined;
  readonly notBegun?: true | undefined;
}> {
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
    stop: async (mode: string, { timeoutMs }: { readonly timeoutMs: number }) => {
      calls.push(mode === 'fast' ? `stop in ${timeoutMs / 1000} s` : 'stop');
    },
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
      readyToLead: async () => {
        calls.push('ready to lead');
        await ready();
      },
    },
    lease: { facts: () => ({ holdsLeaderKey: true, deadline: clock.now() + deadlineMs }) },
    scripts: {
      prePromote: async () => {
        calls.push('pre_promote');
        await prePromote();
      },
      beforeStop: note('before_stop', undefined),
    },
    journal: { promoting: async () => undefined, forgetPromotions: async () => undefined },
    requests: { begun: () => undefined, settle: () => undefined },
    name: 'n1',
    log: () => undefined,
  };
  new Work(options as unknown as WorkOptions).begin(job, observation);
  await jobs.idle();
  const { why = '', refused, notBegun } = jobs.state?.outcome ?? {};
  return { calls, why, refused, notBegun };
}

const JOBS: readonly (readonly [Job, readonly string[]])[] = [
  [{ kind: 'promote', claim: 2 }, ['pre_promote', 'ready to lead', 'promote']],
  [{ kind: 'start', as: 'primary' }, ['ready to lead', 'start']],
  [{ kind: 'start', as: 'standby', upstream: UPSTREAM }, ['ready', 'start']],
  [{ kind: 'bootstrap' }, ['ready', 'bootstrap']],
  [{ kind: 'clone', from: UPSTREAM, why: '' }, ['ready', 'clone']],
  [{ kind: 'rewind', from: UPSTREAM, why: '' }, ['ready', 'rewind']],
  [
    { kind: 'restart', as: 'primary', upstream: null, timeoutMs: null, request: null },
    ['checkpoint', 'before_stop', 'stop in 60 s', 'ready to lead', 'start'],
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
    const { calls, why, notBegun } = await done(job, refuse);
    expect(calls.at(-1)).toMatch(/^ready/);
    expect(notBegun).toBe(true);
    expect(why).toContain('the guard has not confirmed');
  });
});

describe('pre_promote', () => {
  it('that says no leaves PostgreSQL as it is, and the job says who refused', async () => {
    const { calls, refused, why } = await done({ kind: 'promote', claim: 2 }, allow, {
      prePromote: async () => {
        throw new PromotionRefused('exit code 3');
      },
    });
    expect({ calls, refused, why }).toEqual({
      calls: ['pre_promote'],
      refused: true,
      why: 'exit code 3',
    });
  });

  it('is not what failed when PostgreSQL does', async () => {
    const fail = async (): Promise<void> => {
      throw new GuardError('no');
    };
    expect((await done({ kind: 'promote', claim: 2 }, fail)).refused).toBeUndefined();
  });
});

describe('a fast stop', () => {
  const stop = { kind: 'stop', mode: 'fast', becomeStandby: true } as const;
  const bounded = (synchronousMode: 'on' | 'quorum' | 'off'): Scene => ({
    observation: given.leader({
      settings: given.settings({ synchronousMode, primaryStopTimeoutMs: 7000 }),
    }),
  });

  it.each<[string, Job, Scene, readonly string[]]>([
    ['asks before_stop first', stop, {}, ['before_stop', 'stop in 60 s']],
    [
      'has primary_stop_timeout in priority mode',
      stop,
      bounded('on'),
      ['before_stop', 'stop in 7 s'],
    ],
    ['and in quorum mode', stop, bounded('quorum'), ['before_stop', 'stop in 7 s']],
    ['but not without synchronous mode', stop, bounded('off'), ['before_stop', 'stop in 60 s']],
    ['an immediate one asks nobody', { ...stop, mode: 'immediate' }, {}, ['stop']],
    [
      'nor does that of a primary without the key: it has no time',
      stop,
      { observation: given.leader({ lease: given.ownLease('n1') }) },
      ['stop in 60 s'],
    ],
  ])('%s', async (_what, job, scene, calls) => {
    expect((await done(job, allow, scene)).calls).toEqual(calls);
  });
});
