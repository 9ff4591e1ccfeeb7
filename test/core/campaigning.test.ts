import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const cases: readonly Case[] = [
  {
    given: 'a primary that was left behind, with the key free in pause',
    observation: given.leader({
      settings: given.settings({ paused: true }),
      cluster: given.known(
        given.leaderless({ members: [given.member('n1'), given.member('n2', { timeline: 2 })] }),
      ),
      lease: given.ownLease('n1'),
    }),
    rule: 'paused.keep',
    steps: [],
    because: 'after the pause the newer primary would be cloned from it (simulator, B-260)',
  },
  {
    given: 'a leader key deleted by hand',
    observation: given.contender({ vanishedLeaseMs: given.known(4000) }),
    rule: 'campaign.vanished-lease',
    steps: [],
    because: 'its holder may write until its lease is over (S1)',
  },
  {
    given: 'a vanished lease that cannot be read',
    observation: given.contender({ vanishedLeaseMs: given.unknown('timeout') }),
    rule: 'campaign.vanished-lease',
    steps: [],
    because: 'unknown is not gone (S4)',
  },
  {
    given: 'D20: a store that was wiped, seen by a replica',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({ initialize: { kind: 'absent' }, history: null, timelines: null }),
      ),
    }),
    rule: 'campaign.wiped-store',
    steps: [],
    because: 'the primary restores it, a replica must not become the cluster',
  },
  {
    given: 'D20: a store that was wiped, seen by the primary',
    observation: given.leader({
      cluster: given.known(
        given.leaderless({
          initialize: { kind: 'absent' },
          history: null,
          timelines: null,
          members: [],
        }),
      ),
      lease: given.ownLease('n1', { deadline: given.NOW + 5000 }),
    }),
    rule: 'campaign.keep',
    steps: ['campaign'],
    because: 'it is the cluster',
  },
  {
    given: 'D13: an old primary that comes back stopped, while nobody leads',
    observation: given.replica({
      name: 'n1',
      cluster: given.known(given.leaderless()),
      postgres: given.stopped('in production'),
      lease: given.ownLease('n1'),
    }),
    rule: 'campaign.start-standby',
    steps: ['startJob'],
    because: 'without the lease it is started as a standby only',
  },
  {
    given: 'D13: an old primary that was started by the boot, behind the cluster',
    observation: given.leader({
      cluster: given.known(
        given.leaderless({
          history: [{ timeline: 1, switchLsn: 4000, reason: 'x' }],
          timelines: {
            claims: [
              [1, 'n1'],
              [2, 'n2'],
            ],
            modRevision: 7,
          },
        }),
      ),
      lease: given.ownLease('n1', { deadline: given.NOW + 5000 }),
    }),
    rule: 'campaign.stale-primary',
    steps: ['startJob'],
    because: 'others have gone on without it',
  },
  {
    given: 'an interrupted clone',
    observation: given.contender({
      postgres: given.stopped('in archive recovery', { interrupted: 'clone' }),
    }),
    rule: 'campaign.start-standby',
    steps: [],
    because: 'half a copy must not be started (S7)',
  },
  {
    given: 'pause',
    observation: given.contender({ settings: given.settings({ paused: true }) }),
    rule: 'paused.wait',
    steps: [],
    because: 'the operator is at work',
  },
];

describe('nobody leads', () => {
  itDecides(cases);

  it('D13: starts an old primary as a standby of nobody', () => {
    const observation = given.replica({
      name: 'n1',
      cluster: given.known(given.leaderless()),
      postgres: given.stopped('in production'),
      lease: given.ownLease('n1'),
    });
    expect(decide(observation).steps).toEqual([
      { do: 'startJob', job: { kind: 'start', as: 'standby', upstream: null } },
    ]);
  });

  it('S6: reserves a timeline above every claim, record and published timeline', () => {
    const observation = given.contender({
      cluster: given.known(
        given.leaderless({
          timelines: { claims: [[4, 'n3']], modRevision: 9 },
          members: [
            given.member('n2'),
            given.member('n3', { timeline: 6, state: 'stopped', position: 10 }),
          ],
        }),
      ),
    });
    expect(decide(observation).steps[0]).toEqual({ do: 'campaign', claim: 7 });
  });

  it('S6: one absurd published timeline does not use up all numbers', () => {
    const observation = given.contender({
      cluster: given.known(
        given.leaderless({
          members: [given.member('n2'), given.member('n3', { timeline: 4294967295 })],
        }),
      ),
    });
    expect(decide(observation).steps[0]).toEqual({ do: 'campaign', claim: 2 });
  });
});
