/** A leader goes on without the store only while every other member agrees (contract 5.4, rule S1). */
import { beforeEach, describe, expect, it } from 'vitest';
import { type FailsafeSituation, Rounds } from '../../src/failsafe/rounds.ts';
import type { FailsafeAnswer } from '../../src/peers.ts';
import { ManualClock } from '../store/manual-clock.ts';

const url = (name: string): string => `http://${name}:8008/patroni`;
const leadership = { leaseId: '7', modRevision: 9 };
const agrees = (name: string, position: number | null = null): FailsafeAnswer => ({
  name,
  accepted: true,
  why: '',
  position,
});
const refuses = (name: string): FailsafeAnswer => ({
  name,
  accepted: false,
  why: 'Running as a leader',
  position: null,
});

let clock: ManualClock;
let situation: FailsafeSituation;
let answers: FailsafeAnswer[];
let asked: { names: string[]; body: Readonly<Record<string, unknown>>; timeoutMs: number }[];
let vouched: number[];
let said: string[];
let takesMs: number;
let leads: typeof leadership | null;
let rounds: Rounds;

beforeEach(() => {
  clock = new ManualClock();
  const list = { n1: url('n1'), n2: url('n2'), n3: url('n3') };
  situation = { allowed: true, ttlMs: 6000, timeoutMs: 1000, list, slots: { n1: 500, n2: 100 } };
  answers = [agrees('n2', 400), agrees('n3')];
  [asked, vouched, said, takesMs, leads] = [[], [], [], 0, leadership];
  rounds = new Rounds({
    clock,
    name: 'n1',
    connUrl: 'postgres://n1:5432/postgres',
    apiUrl: url('n1'),
    peers: {
      failsafe: async (members, body, timeoutMs) => {
        asked.push({ names: members.map(({ name }) => name), body, timeoutMs });
        if (takesMs > 0) await clock.wait(takesMs);
        return answers;
      },
    },
    lease: {
      get leadership() {
        return leads;
      },
      vouched: (sentAt, by) => {
        expect(by).toBe(leadership);
        vouched.push(sentAt);
      },
    },
    situation: () => situation,
    log: (_level, text) => said.push(text),
  });
});

async function pass(ms: number): Promise<void> {
  for (let gone = 0; gone <= ms; gone += 50) {
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(50);
  }
}

describe('a round', () => {
  it('asks all others at once, and counts from the time of asking', async () => {
    takesMs = 300;
    const startedAt = clock.now();
    rounds.missed();
    await pass(400);
    expect(asked).toEqual([
      {
        names: ['n2', 'n3'],
        timeoutMs: 1000,
        body: {
          name: 'n1',
          conn_url: 'postgres://n1:5432/postgres',
          api_url: url('n1'),
          slots: { n1: 500, n2: 100 },
          tenure: { ttl_ms: 6000 },
        },
      },
    ]);
    expect(vouched).toEqual([startedAt]);
    expect(rounds.active).toBe(true);
    await rounds.end();
  });

  it('is repeated until leadership is proven again or over, whatever else fails meanwhile', async () => {
    rounds.missed();
    rounds.missed();
    await pass(2500);
    expect(asked).toHaveLength(3);
    rounds.over();
    expect(rounds.active).toBe(false);
    await pass(3000);
    expect(asked).toHaveLength(3);
  });

  it('carries along where the members are, so that slots move on (contract 5.4)', async () => {
    rounds.missed();
    await pass(1200);
    expect(asked[1]?.body).toMatchObject({ slots: { n1: 500, n2: 400 } });
    await rounds.end();
  });

  it.each<[string, () => void, string]>([
    ['one refuses', () => (answers = [agrees('n2'), refuses('n3')]), 'n3 has not agreed'],
    ['nobody wrote a list', () => (situation = { ...situation, list: null }), 'not in /failsafe'],
    [
      'the list leaves this node out',
      () => (situation = { ...situation, list: { n2: url('n2') } }),
      'n1 is not in /failsafe',
    ],
  ])('vouches for nothing when %s', async (_what, change, why) => {
    change();
    rounds.missed();
    await pass(100);
    expect(vouched).toEqual([]);
    expect(rounds.active).toBe(false);
    expect(said.join()).toContain(why);
    await rounds.end();
  });

  it('vouches for nothing when it is not allowed, or when leadership is gone', async () => {
    situation = { ...situation, allowed: false };
    rounds.missed();
    await pass(100);
    situation = { ...situation, allowed: true };
    leads = null;
    await pass(1200);
    expect(asked).toEqual([]);
    expect(vouched).toEqual([]);
    await rounds.end();
  });

  it('needs nobody when it is alone in the list (contract 5.4)', async () => {
    situation = { ...situation, list: { n1: url('n1') } };
    answers = [];
    rounds.missed();
    await pass(100);
    expect(vouched).toHaveLength(1);
    await rounds.end();
  });

  it('stops being active when somebody refuses later', async () => {
    rounds.missed();
    await pass(100);
    expect(rounds.active).toBe(true);
    answers = [refuses('n2'), agrees('n3')];
    await pass(1200);
    expect(rounds.active).toBe(false);
    await rounds.end();
  });
});
