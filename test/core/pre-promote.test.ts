/** pre_promote says no: the key goes back, and this member keeps out of the race for ttl (C-5.9, C-5.10). */
import { describe, expect, it } from 'vitest';
import type { JobState, Memory, Observation } from '../../src/core/model.ts';
import { newMemory, remember } from '../../src/memory.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const refused = (agoMs: number): Partial<Observation> => ({
  memory: given.memory({ lastRole: 'replica', promotionRefused: given.NOW - agoMs }),
});
const winner = (change: Partial<Observation>): Observation =>
  given.leader({ postgres: given.running(given.standbySql()), ...change });
const free = (change: Partial<Observation>): Observation =>
  given.replica({
    cluster: given.known(given.leaderless()),
    peers: [given.peer('n3', 5000)],
    ...change,
  });

const cases: readonly Case[] = [
  {
    given: 'a standby that has won, and that the script has refused',
    observation: winner(refused(100)),
    rule: 'lead.pre-promote',
    steps: ['resign'],
    because: 'somebody else is to lead, at once',
  },
  {
    given: 'one that has won again after ttl',
    observation: winner(refused(30_001)),
    rule: 'lead.promote',
    steps: ['claim', 'startJob'],
    because: 'the script is asked anew',
  },
  {
    given: 'a free key, little after the refusal',
    observation: free(refused(100)),
    rule: 'campaign.pre-promote',
    steps: [],
    because: 'others have ttl to take it',
  },
  {
    given: 'a free key, ttl after the refusal',
    observation: free(refused(30_001)),
    rule: 'campaign.race',
    steps: ['campaign', 'startJob'],
    because: 'it may be the last one left',
  },
];

const promoted = (outcome: Partial<NonNullable<JobState['outcome']>>): JobState => {
  const job = given.ended('promote', true);
  return { ...job, outcome: { ok: true, why: '', endedAt: 7, ...outcome } };
};
const after = (...jobs: readonly JobState[]): Memory['promotionRefused'] =>
  jobs.reduce(
    (memory, ended) =>
      remember(memory, {
        now: 10,
        name: 'n2',
        cluster: given.known(given.leaderless()),
        postgres: given.running(given.standbySql()),
        lease: given.ownLease('n2'),
        job: ended,
        ended,
      }),
    newMemory(0, { promotedHere: [], leaseId: null }),
  ).promotionRefused;

describe('a promotion that is refused', () => {
  itDecides(cases);

  it('is remembered until one succeeds', () => {
    const no = promoted({ ok: false, refused: true });
    expect(after(no)).toBe(7);
    expect(after(no, given.ended('start', true))).toBe(7);
    expect(after(no, promoted({ ok: false }))).toBe(7);
    expect(after(no, promoted({}))).toBeNull();
    expect(after(promoted({ ok: false }))).toBeNull();
  });
});
