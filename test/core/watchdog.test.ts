/** A watchdog that is required and does not work: no primary without it (contract 5.10, 5.18). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import { watchdogSeconds, watchdogUnfit } from '../../src/core/watchdog.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const watchdogFailure = 'the watchdog /dev/watchdog cannot be used: EIO';
const noSigns = given.running(given.primarySql(), { sql: given.unknown('no answer') });

const cases: readonly Case[] = [
  {
    given: 'a leader whose watchdog fails',
    observation: given.leader({ watchdogFailure }),
    rule: 'lead.watchdog',
    steps: ['startJob'],
    because: 'the operator wants no primary without it',
  },
  {
    given: 'one that may be a primary',
    observation: given.leader({ watchdogFailure, postgres: noSigns }),
    rule: 'lead.watchdog',
    steps: ['startJob'],
    because: 'the key is kept until nothing takes writes (S1)',
  },
  {
    given: 'one that is stopped by now',
    observation: given.leader({ watchdogFailure, postgres: given.stopped('in production') }),
    rule: 'lead.watchdog',
    steps: ['resign'],
    because: 'others can lead',
  },
  {
    given: 'one that has just won, and is not promoted yet',
    observation: given.leader({ watchdogFailure, postgres: given.running(given.standbySql()) }),
    rule: 'lead.watchdog',
    steps: ['resign'],
    because: 'the watchdog is active before a promotion, or there is none',
  },
  {
    given: 'pause',
    observation: given.leader({
      watchdogFailure,
      settings: given.settings({ paused: true }),
    }),
    rule: 'paused.keep',
    steps: [],
    because: 'the watchdog is off in pause',
  },
  {
    given: 'a replica in the race',
    observation: given.contender({ watchdogFailure }),
    rule: 'campaign.race',
    steps: [],
    because: 'it could not lead if it won',
  },
  {
    given: 'a primary with the leader key free',
    observation: given.leader({
      watchdogFailure,
      cluster: given.known(given.leaderless()),
      lease: given.ownLease('n1'),
    }),
    rule: 'campaign.keep',
    steps: ['startJob'],
    because: 'it may not take it back',
  },
];

describe('without the watchdog that is required', () => {
  itDecides(cases);

  it('no new cluster is made', () => {
    const empty = given.cluster({ initialize: { kind: 'absent' }, leader: null, members: [] });
    const fresh = given.replica({
      cluster: given.known(empty),
      postgres: given.stopped('in production', {
        dataDirectory: { kind: 'empty' },
        control: given.unknown('no data directory'),
      }),
    });
    expect(decide(fresh).rule).toBe('join.bootstrap');
    expect(decide({ ...fresh, watchdogFailure }).rule).toBe('join.wait-for-leader');
  });
});

describe('the timeout of a watchdog', () => {
  it.each([
    [30_000, 5000, 25],
    [30_000, null, 15],
    [30_000, 0, 28],
    [5000, 1000, 3],
    [3000, 5000, 0],
  ])('with ttl %i and safety margin %j', (ttlMs, safetyMarginMs, seconds) => {
    expect(watchdogSeconds(ttlMs, { mode: 'automatic', safetyMarginMs })).toBe(seconds);
  });

  it.each([
    [25_000, 30_000, true],
    [15_000, 30_000, true],
    [10_000, 20_000, true],
    [3000, 5000, true],
    [2000, 5000, false],
    [0, 3000, false],
  ])('%i ms with ttl %i leaves time to stop PostgreSQL in: %s', (timeoutMs, ttlMs, fits) => {
    expect(watchdogUnfit(timeoutMs, ttlMs) === null).toBe(fits);
  });
});
