/** What a member does that has agreed to a leader going on without the store (contract 5.3, 5.4, 5.9a). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { SqlFacts } from '../../src/core/model.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const promise = { leader: 'n1', until: given.NOW + 5000, slots: { n3: 4500 } };
const marker = { leader: 'n1', floorLsn: 5000, timeline: 1, candidate: null, modRevision: 50 };
const failsafe = { n1: 'http://n1/patroni', n3: 'http://n3/patroni' };
const failsafeMode = given.settings({ failsafeMode: true });

const cases: readonly Case[] = [
  {
    given: 'a free leader key and a promise that stands',
    observation: given.contender({ promise }),
    rule: 'campaign.failsafe',
    steps: [],
    because: 'that leader may still take writes (S1)',
  },
  {
    given: 'a promise whose time is over',
    observation: given.contender({ promise: { ...promise, until: given.NOW } }),
    rule: 'campaign.race',
    steps: ['campaign', 'startJob'],
    because: 'nobody relies on it any more',
  },
  {
    given: 'a leader that was promised something and has released the lease since',
    observation: given.contender({
      promise,
      cluster: given.known(given.leaderless({ handover: marker })),
    }),
    rule: 'campaign.race',
    steps: ['campaign', 'startJob'],
    because: 'it has stopped by itself',
  },
  {
    given: 'a marker that another leader has left',
    observation: given.contender({
      promise,
      cluster: given.known(given.leaderless({ handover: { ...marker, leader: 'n9' } })),
    }),
    rule: 'campaign.failsafe',
    steps: [],
    because: 'it says nothing about the one that goes on',
  },
  {
    given: 'failsafe mode and a list that does not name this member',
    observation: given.contender({
      settings: failsafeMode,
      cluster: given.known(given.leaderless({ failsafe })),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'the leader would not have asked it',
  },
  {
    given: 'a member that is ahead and that the list does not name',
    observation: given.contender({
      settings: failsafeMode,
      cluster: given.known(
        given.leaderless({ failsafe: { n1: 'http://n1/patroni', n2: 'http://n2/patroni' } }),
      ),
      peers: [given.peer('n3', 6000)],
    }),
    rule: 'campaign.race',
    steps: ['campaign', 'startJob'],
    because: 'it cannot win: to wait for it would be for ever (simulator, test-1117)',
  },
  {
    given: 'such a list of a time when failsafe mode was on',
    observation: given.contender({ cluster: given.known(given.leaderless({ failsafe })) }),
    rule: 'campaign.race',
    steps: ['campaign', 'startJob'],
    because: 'nobody goes by it',
  },
  {
    given: 'failsafe mode and a list that names this member',
    observation: given.contender({
      settings: failsafeMode,
      cluster: given.known(
        given.leaderless({ failsafe: { ...failsafe, n2: 'http://n2/patroni' } }),
      ),
    }),
    rule: 'campaign.race',
    steps: ['campaign', 'startJob'],
    because: 'it would have been asked',
  },
];

describe('failsafe mode', () => {
  itDecides(cases);

  it('moves the slots of a standby along while the store is away', () => {
    const slot = (name: string): SqlFacts['slots'][number] => ({
      name,
      type: 'physical',
      active: false,
      restartLsn: 4000,
    });
    const slots = [slot('n3'), slot('users_own')];
    const cluster = given.unknown('timeout');
    const postgres = given.running({ ...given.standbySql(), slots });
    expect(decide(given.replica({ cluster, postgres, promise })).steps).toEqual([
      { do: 'slots', create: [], drop: [], advance: { n3: 4500 } },
    ]);
    expect(decide(given.replica({ cluster, postgres })).steps).toEqual([]);
    const primary = given.running({ ...given.primarySql(), slots });
    expect(decide(given.replica({ cluster, postgres: primary, promise })).steps).not.toContainEqual(
      expect.objectContaining({ do: 'slots' }),
    );
  });
});
