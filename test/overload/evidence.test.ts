/** What `npm run overload` counts, and how it sums up over runs. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anyOf, DEMOTING_RULES, difference, evidence } from '../../scripts/overload/evidence.ts';
import { Ledger } from '../../scripts/overload/ledger.ts';

const NOTHING = { demotions: 0, fenceShots: 0, leaderChanges: 0 };

describe('evidence of a demotion', () => {
  it.each([
    { log: 'INFO: no action. I am (n1), the leader with the lock [lead.steady]', is: {} },
    {
      log: 'INFO: the store cannot be read and the lease is over: demoting [blind.demote]',
      is: { demotions: 1 },
    },
    { log: 'INFO: n2 holds the lease; stopping our primary [follow.demote]', is: { demotions: 1 } },
    {
      log: 'ERROR: the lease could not be renewed in time: stopping PostgreSQL before it ends',
      is: { fenceShots: 1 },
    },
    {
      log: 'ERROR: killed 12 processes of PostgreSQL before the lease ends',
      is: { fenceShots: 1 },
    },
  ])('in a log: $log', ({ log, is }) => {
    const found = evidence(['', log], '');
    expect(found).toEqual({ ...NOTHING, ...is });
    expect(anyOf(found)).toBe(Object.keys(is).length > 0);
  });

  it("in the leader key: an end of it, not the holder's own writes", () => {
    const watched =
      'PUT\n/service/demo/leader\nn1\nDELETE\n/service/demo/leader\n\nPUT\n/service/demo/leader\nn2\n';
    expect(evidence([], watched)).toEqual({ ...NOTHING, leaderChanges: 1 });
  });

  it('knows rules that exist', () => {
    const folder = join(import.meta.dirname, '../../src/core');
    const text = readdirSync(folder)
      .map((file) => readFileSync(join(folder, file), 'utf8'))
      .join('');
    expect(DEMOTING_RULES.filter((rule) => !text.includes(`'${rule}'`))).toEqual([]);
  });

  it('counts from a beginning', () => {
    const before = { demotions: 1, fenceShots: 2, leaderChanges: 3 };
    const after = { demotions: 2, fenceShots: 2, leaderChanges: 5 };
    expect(difference(before, after)).toEqual({ demotions: 1, fenceShots: 0, leaderChanges: 2 });
  });
});

describe('the ledger', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ledger-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const entry = { at: '2026-07-01T12:00:00Z', seed: 1, minutes: 1, ...NOTHING, load: 2 };

  it('adds up what earlier runs have left, by ttl', () => {
    const file = join(folder, 'overload.jsonl');
    new Ledger(file).add({ ...entry, ttl: 10 });
    const ledger = new Ledger(file);
    ledger.add({ ...entry, ttl: 10, demotions: 1 });
    ledger.add({ ...entry, ttl: 3 });
    expect(ledger.totals()).toEqual([
      { ttl: 3, minutes: 1, ...NOTHING },
      { ttl: 10, minutes: 2, ...NOTHING, demotions: 1 },
    ]);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(4);
  });

  it('refuses a file of something else', () => {
    const file = join(folder, 'other');
    writeFileSync(file, '{"minutes":"many"}\n');
    expect(() => new Ledger(file)).toThrow();
  });
});
