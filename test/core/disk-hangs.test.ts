/** A data disk that hangs below a primary that answers from memory (rule F2; field D67). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { Observation, PostgresFacts } from '../../src/core/model.ts';
import { DISK_HEARD, type DiskSilence, rememberDisk } from '../../src/core/silence.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const hung = (change: Partial<Observation> = {}, said: Partial<DiskSilence> = {}): Observation =>
  given.leader({
    memory: given.memory({
      lastRole: 'primary',
      historyWrittenFor: 1,
      diskSilence: {
        since: given.NOW - 31_000,
        lastAt: given.NOW,
        flushedLsn: 5000,
        looks: 60,
        ...said,
      },
    }),
    ...change,
  });

const cases: readonly Case[] = [
  {
    given: 'D67: a disk that has taken nothing for longer than ttl',
    observation: hung(),
    rule: 'lead.disk-hangs',
    steps: ['killEverything', 'resign'],
    because: 'it answers from memory, and nobody can commit',
  },
  {
    given: 'one with nobody else to lead',
    observation: hung({ cluster: given.known(given.cluster({ members: [given.member('n1')] })) }),
    rule: 'lead.steady',
    steps: [],
    because: 'a start in place would need the same disk',
  },
  {
    given: 'less than ttl',
    observation: hung({}, { since: given.NOW - 29_000 }),
    rule: 'lead.steady',
    steps: [],
    because: 'it may be busy',
  },
  {
    given: 'less than ten seconds, and a ttl of three',
    observation: hung({ settings: given.settings({ ttlMs: 3000 }) }, { since: given.NOW - 9000 }),
    rule: 'lead.steady',
    steps: [],
    because: 'a busy disk takes seconds',
  },
  {
    given: 'two looks, however far apart',
    observation: hung({}, { looks: 2 }),
    rule: 'lead.steady',
    steps: [],
    because: 'they say nothing of the time between them',
  },
  {
    given: 'pause',
    observation: hung({ settings: given.settings({ paused: true }) }),
    rule: 'paused.keep',
    steps: [],
    because: 'nothing is stopped in pause',
  },
];

describe('a disk that hangs', () => {
  itDecides(cases);

  it('is looked at again soon', () => {
    expect(decide(hung({}, { since: given.NOW, looks: 1 })).wakeInMs).toBe(500);
    expect(decide(hung({}, { since: null })).wakeInMs).toBe(10_000);
  });
});

type Look = readonly [now: number, pending: number | null, flushed: number];

const primary = ([, pending, currentLsn]: Look): PostgresFacts => ({
  ...given.running(given.primarySql({ currentLsn })),
  ...(pending === null ? {} : { diskPendingSince: pending }),
});
const after = (...looks: readonly Look[]): DiskSilence =>
  looks.reduce((before, look) => rememberDisk(before, look[0], primary(look)), DISK_HEARD);

describe('the silence of a disk', () => {
  it.each<[string, readonly Look[], number | null, number]>([
    ['is none while nothing is pending', [[1, null, 7]], null, 0],
    [
      'began with what is pending',
      [
        [100, null, 7],
        [600, 200, 7],
      ],
      200,
      1,
    ],
    [
      'goes on',
      [
        [100, null, 7],
        [600, 200, 7],
        [1100, 200, 7],
      ],
      200,
      2,
    ],
    [
      'ends with the answer',
      [
        [100, null, 7],
        [600, 200, 7],
        [1100, null, 7],
      ],
      null,
      0,
    ],
    [
      'begins anew when WAL was flushed: PostgreSQL can write',
      [
        [100, null, 7],
        [600, 200, 7],
        [1100, 200, 8],
      ],
      1100,
      1,
    ],
    ['begins with the first look, as nobody knows what was before', [[600, 200, 7]], 600, 1],
    [
      'begins anew when nobody was there to look',
      [
        [100, null, 7],
        [600, 200, 7],
        [60_000, 200, 7],
      ],
      60_000,
      1,
    ],
  ])('%s', (_what, looks, since, seen) => {
    expect(after(...looks)).toMatchObject({ since, looks: seen });
  });

  it('is that of a primary that answers, and of nothing else', () => {
    const before = after([100, null, 7], [600, 200, 7]);
    for (const facts of [
      given.stopped('in production'),
      given.running(given.standbySql()),
      given.running(given.primarySql(), { sql: given.unknown('no answer') }),
    ])
      expect(rememberDisk(before, 700, { ...facts, diskPendingSince: 200 })).toBe(DISK_HEARD);
  });
});
