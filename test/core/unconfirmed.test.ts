/** Commits that were given up while they waited for a standby (field D38, promise P2). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import { PLACEHOLDER } from '../../src/core/guarantee.ts';
import type { SqlFacts, Unconfirmed } from '../../src/core/model.ts';
import {
  confirmedLsn,
  NO_WAITS,
  rememberWaits,
  type WaitMemory,
} from '../../src/core/unconfirmed.ts';
import * as given from './observations.ts';
import { sender } from './synchronous-scenes.ts';

/** What one look finds: own flushed position, who waits, and what n2 has flushed (null: it is gone). */
type Look = readonly [
  flushed: number,
  waiting: readonly string[],
  n2: number | null,
  names?: string,
];

const facts = ([flushed, waitingCommits, n2, names = '"n2"']: Look): SqlFacts =>
  given.primarySql({
    currentLsn: flushed,
    waitingCommits,
    synchronousStandbyNames: names,
    walSenders: n2 === null ? [] : [sender('n2', { flushLsn: n2 })],
  });

const seen = (looks: readonly Look[], before: WaitMemory = NO_WAITS): WaitMemory =>
  looks.reduce((memory, look) => rememberWaits(memory, facts(look), null), before);

const idle: Look = [5000, [], 5000];

describe('a commit that ceases to wait', () => {
  it.each<[string, readonly Look[], WaitMemory['total']]>([
    [
      'D38: while its standby is gone: nobody has confirmed it',
      [idle, [5100, ['7/1'], null], [5100, [], null], [5100, [], null]],
      { lsn: 5100, count: 1 },
    ],
    [
      'D38: while its standby stands still',
      [idle, [5100, ['7/1', '8/2'], 5000], [5100, ['8/2'], 5000], [5100, ['8/2'], 5000]],
      { lsn: 5100, count: 1 },
    ],
    [
      'each one that is given up',
      [idle, [5100, ['7/1'], null], [5200, ['8/2'], null], [5200, [], null], [5200, [], null]],
      { lsn: 5200, count: 2 },
    ],
    [
      'as its standby has confirmed it',
      [idle, [5100, ['7/1'], 5000], [5100, [], 5100], [5100, [], 5100]],
      null,
    ],
    [
      'as its standby has confirmed it just after it was looked at',
      [idle, [5100, ['7/1'], 5000], [5100, [], 5000], [5100, [], 5100]],
      null,
    ],
    [
      'when it cannot be told whether its standby had confirmed it before it went',
      [idle, [5100, ['7/1'], 5000], [5100, [], null], [5100, [], null]],
      null,
    ],
    [
      'under other names, which let it go',
      [idle, [5100, ['7/1'], null], [5100, [], null, ''], [5100, [], null, '']],
      null,
    ],
    [
      'where nobody can confirm',
      [
        [5000, [], null, `"${PLACEHOLDER}"`],
        [5100, ['7/1'], null, `"${PLACEHOLDER}"`],
        [5100, [], null, `"${PLACEHOLDER}"`],
        [5100, [], null, `"${PLACEHOLDER}"`],
      ],
      { lsn: 5100, count: 1 },
    ],
  ])('%s', (_what, looks, total) => {
    expect(seen(looks).total).toEqual(total);
  });

  it('is forgotten once standbys hold it after all', () => {
    const lost = seen([idle, [5100, ['7/1'], null], [5100, [], null], [5100, [], null]]);
    expect(seen([[5200, [], 5099]], lost).total).toEqual({ lsn: 5100, count: 1 });
    expect(seen([[5200, [], 5100]], lost).total).toBeNull();
  });

  it('is known from the store after PostgreSQL was started again', () => {
    const published: Unconfirmed = { leader: 'n1', timeline: 1, lsn: 5100, count: 3 };
    expect(rememberWaits(NO_WAITS, facts([5200, [], null]), published).total).toEqual({
      lsn: 5100,
      count: 3,
    });
  });
});

it.each([
  ['"n2"', 4000],
  ['2 ("n2","n3")', 3000],
  ['ANY 1 ("n2","n3")', 4000],
  ['ANY 2 ("n2","n3")', 3000],
  ['3 ("n2","n3","n4")', null],
  ['FIRST 1 ("n2","n3")', null],
  ['', null],
])('enough standbys of %s have confirmed up to %j', (synchronousStandbyNames, expected) => {
  const walSenders = [
    sender('n2', { flushLsn: 4000 }),
    sender('n3', { flushLsn: 3000 }),
    sender('n4', { flushLsn: 9000, state: 'catchup' }),
    sender('stranger', { flushLsn: 9000 }),
  ];
  expect(confirmedLsn(given.primarySql({ synchronousStandbyNames, walSenders }))).toBe(expected);
});

describe('the next leader', () => {
  const after = (lsn: number, change: Partial<Unconfirmed> = {}) =>
    given.leader({
      cluster: given.known(
        given.cluster({
          unconfirmed: { leader: 'n3', timeline: 1, lsn, count: 2, ...change },
          history: [{ timeline: 1, switchLsn: 5000, reason: 'x' }],
        }),
      ),
      postgres: given.running(given.primarySql({ timeline: 2 })),
      memory: given.memory({ lastRole: 'primary', historyWrittenFor: 2 }),
    });

  it.each([
    [5001, 'they are lost'],
    [5000, 'they were kept'],
  ])('D38: says what became of commits up to %i', (lsn, fate) => {
    const decision = decide(after(lsn));
    expect(decision.rule).toBe('lead.unconfirmed');
    expect(decision.why).toContain('2 commits visible on n3');
    expect(decision.why).toContain(fate);
    expect(decision.steps).toEqual([{ do: 'tellUnconfirmed', fate: decision.why }]);
  });

  it('says nothing of its own, which are not lost', () => {
    expect(decide(after(5001, { leader: 'n1', timeline: 2 })).rule).toBe('lead.steady');
  });
});
