/** Who may take the free leader key, and who waits (contract 5.9, rules F4, S6). */
import { describe } from 'vitest';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const race = ['campaign', 'startJob'];
/** Receives nothing more. */
const cut = given.running(given.standbySql('n1', { walReceiver: null }));

const cases: readonly Case[] = [
  {
    given: 'the leader is gone and nobody is ahead',
    observation: given.contender(),
    rule: 'campaign.race',
    steps: race,
    because: 'equal members race, the store decides',
  },
  {
    given: 'D26: a peer has more WAL',
    observation: given.contender({ postgres: cut, peers: [given.peer('n3', 5001)] }),
    rule: 'campaign.race',
    steps: [],
    because: 'a lagging copy is not promoted while a better one lives',
  },
  {
    given: 'D26, moving: a peer has more WAL, and the former leader still sends',
    observation: given.contender({ peers: [given.peer('n3', 5001)] }),
    rule: 'campaign.stand-still',
    steps: ['follow'],
    because: 'while positions move each finds the other one ahead, and nobody ever leads',
  },
  {
    given: 'D10: nobody has more, and the former leader still sends',
    observation: given.contender(),
    rule: 'campaign.race',
    steps: race,
    because: 'a promotion ends the receiver anyway',
  },
  {
    given: 'more WAL than this node may lack, and the former leader still sends',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({ status: { optime: 9_000_000, slots: {}, retainSlots: [] } }),
      ),
      peers: [given.peer('n3', 5001)],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'what it still receives may bring it within maximum_lag_on_failover',
  },
  {
    given: 'a peer with more WAL, while the former leader is seen alive',
    observation: given.contender({
      peers: [given.peer('n3', 5001), given.peer('n1', 5002, { inRecovery: false })],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'it takes its key back, or stops by itself',
  },
  {
    given: 'D26: this copy is far behind what the leader had',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({ status: { optime: 5000 + 1_048_577, slots: {}, retainSlots: [] } }),
      ),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'operators bounded the loss by maximum_lag_on_failover',
  },
  {
    given: 'D52: every machine was rebooted at once, and only a copy that was behind is back',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          members: [given.member('n2')],
          status: { optime: 5000 + 50_000_000, slots: {}, retainSlots: [] },
        }),
      ),
      peers: [],
      memory: given.memory({ lastLeader: null, leaderlessSince: given.NOW - 600_000 }),
    }),
    rule: 'campaign.race',
    steps: [],
    because:
      'however long nobody else comes, what was acknowledged is on a machine that may come back',
  },
  {
    given: 'three promotions of this node that failed',
    observation: given.contender({
      memory: given.memory({
        lastRole: 'replica',
        leaderlessSince: given.NOW - 100,
        failures: [1, 2, 3].map(() => ({
          kind: 'promote' as const,
          at: given.NOW - 10,
          why: 'ENOSPC',
        })),
      }),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'others are given the chance',
  },
  {
    given: 'synchronous mode left by Patroni, and a peer ahead that /sync does not name',
    observation: given.contender({
      settings: given.settings({ synchronousMode: 'on' }),
      cluster: given.known(
        given.leaderless({ sync: { leader: 'n1', standbys: ['n2'], quorum: 0, modRevision: 4 } }),
      ),
      peers: [given.peer('n3', 5001)],
    }),
    rule: 'campaign.race',
    steps: ['campaign', 'writeSync', 'setSynchronousNames', 'startJob'],
    because: 'the one that is ahead may not lead, so nobody waits for it',
  },
  {
    given: 'D34: a leader that died writing, with every published position behind it',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          status: { optime: 9_000_000, slots: {}, retainSlots: [] },
          members: [given.member('n2', { position: 5000 }), given.member('n3', { position: 5000 })],
        }),
      ),
      postgres: given.running(given.standbySql('n1', { receiveLsn: 9_000_500, replayLsn: 5000 })),
      peers: [given.peer('n3', 9_000_400)],
    }),
    rule: 'campaign.race',
    steps: race,
    because:
      'what counts is what this node holds now, received counts as held, and no published position does',
  },
  {
    given: 'D44: a peer with a higher timeline number that nobody recorded',
    observation: given.contender({ peers: [given.peer('n3', 100, { timeline: 7 })] }),
    rule: 'campaign.race',
    steps: race,
    because: 'numbers are no ancestry: its promotion never went through the store',
  },
  {
    given: 'D44: an own timeline that nobody recorded',
    observation: given.contender({
      postgres: given.running(given.standbySql('n1', { timeline: 7, receiveLsn: 9000 })),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'a member on the recorded timeline lives',
  },
  {
    given: 'a peer on a newer timeline that the store recorded',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          timelines: {
            claims: [
              [1, 'n1'],
              [2, 'n3'],
            ],
            modRevision: 9,
          },
        }),
      ),
      peers: [given.peer('n3', 100, { timeline: 2 })],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'it descends from the last leader',
  },
  {
    given: 'a claim whose winner died before it promoted, with check_timeline',
    observation: given.contender({
      settings: given.settings({ checkTimeline: true }),
      cluster: given.known(
        given.leaderless({
          timelines: {
            claims: [
              [1, 'n1'],
              [2, 'n1'],
            ],
            modRevision: 9,
          },
        }),
      ),
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'nobody is on timeline 2',
  },
  {
    given: 'D2: a peer that still runs as a primary',
    observation: given.contender({ peers: [given.peer('n3', 5000, { inRecovery: false })] }),
    rule: 'campaign.race',
    steps: [],
    because: 'two primaries are worse than none',
  },
  {
    given: 'a leader key deleted by hand one ttl ago, while its member lives on',
    observation: given.contender({
      vanishedLeaseMs: given.known(4000),
      memory: given.memory({ lastRole: 'replica', leaderlessSince: given.NOW - 30_001 }),
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'its deadline is over, only its member key keeps the lease',
  },
  {
    given: 'a store that came back empty of members, seen by one on an older timeline',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          members: [],
          history: [{ timeline: 1, switchLsn: 4000, reason: 'x' }],
        }),
      ),
      peers: [],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'those on the newer timeline may come back a moment later (simulator, seed 153)',
  },
  {
    given: 'a store that came back empty of members, seen by one behind the published position',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          members: [],
          status: { optime: 6000, slots: { n1: 6000, n2: 5000, n3: 6000 }, retainSlots: [] },
        }),
      ),
      peers: [],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'n3 may come back with what is missing here (simulator, seed 153)',
  },
  {
    given:
      'D23: a store that came back empty of members, seen by one that lacks nothing it knows of',
    observation: given.contender({
      cluster: given.known(given.leaderless({ members: [] })),
      peers: [],
      memory: given.memory({
        lastRole: 'replica',
        leaderlessSince: given.NOW - 100,
        memberSince: null,
      }),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'n3 may hold what was written after the last published position (simulator, 1223)',
  },
  {
    given: 'the same, when nobody has come back in time',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          members: [],
          history: [{ timeline: 1, switchLsn: 4000, reason: 'x' }],
        }),
      ),
      peers: [],
      memory: given.memory({ lastRole: 'replica', leaderlessSince: given.NOW - 6000 }),
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'absent members get a moment, not the cluster',
  },
  {
    given: 'a crash right after the leader published a position that nobody has',
    observation: given.contender({
      cluster: given.known(
        given.leaderless({
          status: { optime: 5100, slots: { n1: 5100, n2: 5000, n3: 5000 }, retainSlots: [] },
        }),
      ),
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'every member that is left has answered: there is nobody to wait for',
  },
  {
    given: 'a standby_cluster section',
    observation: given.contender({ settings: given.settings({ standbyCluster: true }) }),
    rule: 'campaign.race',
    steps: [],
    because: 'this version runs none, and must not promote one',
  },
  {
    given: 'a leader that ran Patroni and vanished',
    observation: given.contender({
      vanishedLeaseMs: given.known(4000),
      memory: given.memory({
        lastRole: 'replica',
        lastLeader: { name: 'n1', leaseId: 'lease-n1', tenure: false },
      }),
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'its releases carry no marker, so a living lease says nothing',
  },
  {
    given: 'a nofailover member',
    observation: given.contender({
      settings: given.settings({ tags: { ...given.plainTags, nofailover: true } }),
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'its tag says so',
  },
];

describe('the race for the leader key', () => {
  itDecides(cases);
});
