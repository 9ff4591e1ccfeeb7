/** The race after a leader gave the lease away: what its marker says binds everybody (rules F4, S6). */
import { describe } from 'vitest';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const race = ['campaign', 'startJob'];
const toOther = { leader: 'n1', floorLsn: 5000, timeline: 1, candidate: 'n3', modRevision: 50 };

const cases: readonly Case[] = [
  {
    given: 'a peer that is ahead, gave the lease away and cannot lead',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          handover: {
            leader: 'n3',
            floorLsn: null,
            timeline: null,
            candidate: null,
            modRevision: 50,
          },
        }),
      ),
      memory: given.memory({
        lastRole: 'replica',
        leaderlessSince: given.NOW - 100,
        lastLeader: { name: 'n3', leaseId: 'lease-n3', tenure: true },
      }),
      peers: [given.peer('n3', 5001)],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'waiting for it would be waiting for ever',
  },
  {
    given: 'a hand-over to this member, which is on an older timeline',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          handover: { leader: 'n1', floorLsn: 4000, timeline: 2, candidate: 'n2', modRevision: 50 },
          timelines: {
            claims: [
              [1, 'n1'],
              [2, 'n1'],
            ],
            modRevision: 9,
          },
        }),
      ),
      peers: [given.peer('n3', 4000, { timeline: 2 })],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'it went another way than the leader (S6)',
  },
  {
    given: 'the floor of a hand-over that only a silent member has',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          members: [given.member('n2'), given.member('n3', { position: 6000 })],
          handover: { leader: 'n1', floorLsn: 6000, timeline: 1, candidate: null, modRevision: 50 },
        }),
      ),
      peers: [given.silent('n3')],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'a planned hand-over loses nothing (F4)',
  },
  {
    given: 'a hand-over to this member',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          handover: { leader: 'n1', floorLsn: 5000, timeline: 1, candidate: 'n2', modRevision: 50 },
        }),
      ),
      peers: [],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'it holds the floor and was named',
  },
  {
    given: 'a hand-over to another member that answers',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          handover: { leader: 'n1', floorLsn: 5000, timeline: 1, candidate: 'n3', modRevision: 50 },
        }),
      ),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'the named one goes first',
  },
  {
    given: 'a hand-over to another member a moment ago, which was not asked',
    observation: given.contender({
      cluster: given.known(given.leaderless({ handover: toOther })),
      peers: [],
      memory: given.memory({ lastRole: 'replica', leaderlessSince: given.NOW - 999 }),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'it has the first second for itself',
  },
  {
    given: 'a hand-over to another member a second ago that does not answer',
    observation: given.contender({
      cluster: given.known(given.leaderless({ handover: toOther })),
      peers: [given.silent('n3')],
      memory: given.memory({ lastRole: 'replica', leaderlessSince: given.NOW - 1000 }),
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'it has had its time',
  },
  {
    given: 'a hand-over to another member whose key is gone',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({ handover: toOther, members: [given.member('n1'), given.member('n2')] }),
      ),
      peers: [],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'it is gone',
  },
  {
    given: 'a leader that gave up without a floor, and a candidate that is far behind',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          status: { optime: 5000 + 1_048_577, slots: {}, retainSlots: [] },
          handover: {
            leader: 'n1',
            floorLsn: null,
            timeline: null,
            candidate: null,
            modRevision: 50,
          },
        }),
      ),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'the lag limit holds for a crash, with or without a marker',
  },
  {
    given: 'a leader that gave up, whose record still shows a position ahead',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          members: [given.member('n1', { position: 5100 }), given.member('n2'), given.member('n3')],
          handover: {
            leader: 'n1',
            floorLsn: null,
            timeline: null,
            candidate: null,
            modRevision: 50,
          },
        }),
      ),
      peers: [given.silent('n1'), given.peer('n3', 5000)],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'it said itself that it cannot lead',
  },
];

describe('the race after a hand-over', () => {
  itDecides(cases);
});
