/** Steps of synchronous replication prove again what they rely on (rules S2, S5). */
import { beforeEach, describe, expect, it } from 'vitest';
import { Act, type ActOptions } from '../src/act.ts';
import type { Step } from '../src/core/model.ts';
import * as given from './core/observations.ts';

let told: unknown[];
let deadline: number | null;
let leads: boolean;
let postgres: () => Promise<{ names: string; flushedLsn: number | null }>;
let store: () => Promise<boolean>;
let calls: string[];

beforeEach(() => {
  told = [];
  calls = [];
  deadline = 1000;
  leads = true;
  postgres = async () => ({ names: '"n2"', flushedLsn: 77 });
  store = async () => true;
});

function act(step: Step): Promise<void> {
  const options = {
    clock: { now: () => 500 },
    lease: {
      get leadership() {
        return leads ? { leaseId: '1', modRevision: 1 } : null;
      },
      facts: () => ({ ...given.leaderLease(), deadline }),
    },
    postgres: {
      setSynchronousNames: () => {
        calls.push('names');
        return postgres();
      },
    },
    store: {
      writeSync: () => {
        calls.push('sync');
        return store();
      },
    },
    onNamesInForce: (names: unknown) => told.push(names),
    onSyncWrite: (state: unknown) => told.push(state),
  } as unknown as ActOptions;
  return new Act(options).carryOut(step, given.leader());
}

const names: Step = { do: 'setSynchronousNames', names: '"n2"' };
const sync: Step = {
  do: 'writeSync',
  content: { leader: 'n1', standbys: ['n2'], quorum: 0 },
  modRevision: 4,
};

describe('setting names', () => {
  it('tells what was in force before as unknown first, then what is', async () => {
    await act(names);
    expect(told).toEqual([null, { names: '"n2"', lsn: 77, ofUser: false }]);
  });

  it('that may come into force late leaves it unknown', async () => {
    postgres = () => Promise.reject(new Error('not in time'));
    await expect(act(names)).rejects.toThrow('not in time');
    expect(told).toEqual([null]);
  });

  it.each([
    ['after the deadline', 500, true],
    ['without a proven lease', null, true],
    ['without the leader key', 1000, false],
  ])('S2: touches nothing %s', async (_when, until, holdsKey) => {
    deadline = until;
    leads = holdsKey;
    await expect(act(names)).rejects.toThrow();
    expect(calls).toEqual([]);
  });

  it('on a standby, before its promotion, says nothing of what was acknowledged', async () => {
    postgres = async () => ({ names: '"n2"', flushedLsn: null });
    await act(names);
    expect(told).toEqual([null]);
  });
});

describe('writing /sync', () => {
  it('is settled by an answer, whatever it is', async () => {
    await act(sync);
    expect(told).toEqual(['sent', 'settled']);
    store = async () => false;
    await expect(act(sync)).rejects.toThrow('/sync has changed');
    expect(told.slice(2)).toEqual(['sent', 'settled']);
  });

  it('stays open without one', async () => {
    store = () => Promise.reject(new Error('no answer'));
    await expect(act(sync)).rejects.toThrow('no answer');
    expect(told).toEqual(['sent']);
  });

  it('needs the leader key', async () => {
    leads = false;
    await expect(act(sync)).rejects.toThrow('no longer the leader');
    expect(calls).toEqual([]);
  });
});
