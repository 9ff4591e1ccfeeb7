/** A server that runs and says nothing (rule F2; field D67, contract section 9, issue 10). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { Memory, Observation, PostgresFacts } from '../../src/core/model.ts';
import { HEARD, type Silence } from '../../src/core/silence.ts';
import { type Look, newMemory, remember } from '../../src/memory.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const HOW = 'PostgreSQL: no answer in 2300 ms';
const answers = given.running(given.primarySql());
const deaf: PostgresFacts = { ...answers, silent: 'it takes no connections' };
const mute = given.running(given.primarySql(), {
  sql: given.unknown(HOW),
  ready: 'no answer',
  silent: HOW,
});
const full = given.running(given.primarySql(), { sql: given.unknown('too many clients') });
const other = (facts: PostgresFacts): PostgresFacts => ({
  ...facts,
  postmaster: { kind: 'alive', pid: 101, startTicks: 2, adopted: false },
});

const silence = (change: Partial<Silence> = {}): Silence => ({
  answeredBy: { pid: 100, startTicks: 1 },
  since: given.NOW - 31_000,
  lastAt: given.NOW,
  looks: 8,
  ...change,
});
const hung = (
  change: Partial<Observation> = {},
  said: Partial<Silence> = {},
  memory: Partial<Memory> = {},
): Observation =>
  given.leader({
    postgres: mute,
    memory: given.memory({ lastRole: 'primary', silence: silence(said), ...memory }),
    ...change,
  });
const alone = given.known(given.cluster({ members: [given.member('n1')] }));

const cases: readonly Case[] = [
  {
    given: 'a primary that has said nothing for longer than ttl',
    observation: hung(),
    rule: 'lead.hung',
    steps: ['killEverything', 'resign'],
    because: 'it serves nobody, and may come back to life: killed first, released then (S1)',
  },
  {
    given: 'one whose postmaster takes no connections, while a session goes on answering',
    observation: hung({ postgres: deaf }),
    rule: 'lead.hung',
    steps: ['killEverything', 'resign'],
    because: 'clients cannot reach it',
  },
  {
    given: 'one with nobody else to lead',
    observation: hung({ cluster: alone }),
    rule: 'lead.hung',
    steps: ['killEverything'],
    because: 'it is started again in place, under the same key',
  },
  {
    given: 'a silence shorter than ttl',
    observation: hung({}, { since: given.NOW - 29_000 }),
    rule: 'lead.wait-for-server',
    steps: [],
    because: 'ttl is what may pass before a failure is acted on',
  },
  {
    given: 'a silence longer than a very short ttl',
    observation: hung(
      { settings: given.settings({ ttlMs: 3000 }), lease: given.leaderLease() },
      { since: given.NOW - 9000 },
    ),
    rule: 'lead.wait-for-server',
    steps: [],
    because: 'a busy machine is silent for seconds, and comes back',
  },
  {
    given: 'two failed looks, however far apart',
    observation: hung({}, { looks: 2 }),
    rule: 'lead.wait-for-server',
    steps: [],
    because: 'one failed look says nothing',
  },
  {
    given: 'a hung primary in pause',
    observation: hung({ settings: given.settings({ paused: true }) }),
    rule: 'paused.wait',
    steps: [],
    because: 'nothing is stopped in pause',
  },
];

const look = (now: number, postgres: PostgresFacts, change: Partial<Look> = {}): Look => ({
  now,
  name: 'n1',
  cluster: given.known(given.cluster()),
  postgres,
  lease: given.leaderLease({ deadline: now + 20_000 }),
  job: null,
  ended: null,
  ...change,
});
const after = (...looks: readonly Look[]): Silence =>
  looks.reduce(remember, newMemory(0, { promotedHere: [], leaseId: null })).silence;

describe('a hung server', () => {
  itDecides(cases);

  it('is looked at again soon, whatever else is decided', () => {
    expect(decide(given.leader({ postgres: deaf })).wakeInMs).toBe(10_000);
    const memory = given.memory({ silence: silence({ since: given.NOW, looks: 1 }) });
    expect(decide(given.leader({ postgres: deaf, memory })).wakeInMs).toBe(500);
  });
});

describe('silence', () => {
  const since = (looks: readonly Look[]): readonly [number | null, number] => {
    const said = after(...looks);
    return [said.since, said.looks];
  };

  it.each<[string, readonly Look[], readonly [number | null, number]]>([
    ['begins with the first look that heard nothing', [look(1, answers), look(2, mute)], [2, 1]],
    ['goes on', [look(1, answers), look(2, mute), look(4000, mute), look(8000, deaf)], [2, 3]],
    ['ends with an answer', [look(1, answers), look(2, mute), look(3, answers)], [null, 0]],
    ['ends with a refusal', [look(1, answers), look(2, mute), look(3, full)], [null, 0]],
    [
      'is not that of a job in progress',
      [look(1, answers), look(2, mute, { job: { ...given.ended('stop', true), outcome: null } })],
      [null, 0],
    ],
    [
      'begins anew when nobody was there to hear: the daemon or the machine was stopped',
      [look(1, answers), look(2, mute), look(3000, mute), look(60_000, mute)],
      [60_000, 1],
    ],
    ['says nothing about a server that never answered', [look(1, mute), look(2, mute)], [null, 0]],
    [
      'says nothing about another postmaster',
      [look(1, answers), look(2, other(mute)), look(3, other(mute))],
      [null, 0],
    ],
    [
      'is over with the process',
      [look(1, answers), look(2, mute), look(3, given.stopped('in production'))],
      [null, 0],
    ],
  ])('%s', (_what, looks, expected) => {
    expect(since(looks)).toEqual(expected);
  });

  it('is none at first', () => {
    expect(after()).toEqual(HEARD);
  });
});
