/** Who may lead by `/sync` (contract 5.9, 5.15; rule S5; field D37, D40; protocol 0.3). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { ClusterView, Observation, PeerFacts, SyncContent } from '../../src/core/model.ts';
import type { Settings } from '../../src/core/settings.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const race = ['campaign', 'writeSync', 'setSynchronousNames', 'startJob'];

const key = (change: Partial<SyncContent> = {}): ClusterView['sync'] => ({
  leader: 'n1',
  standbys: ['n2'],
  quorum: 0,
  modRevision: 4,
  ...change,
});

interface Bent {
  readonly mode?: Settings['synchronousMode'];
  readonly settings?: Partial<Settings>;
  readonly sync?: ClusterView['sync'];
  readonly cluster?: Partial<ClusterView>;
  readonly peers?: readonly PeerFacts[];
  readonly receiving?: boolean;
  readonly timeline?: number;
}

/** n2 after n1 is gone; in quorum mode it has cut its walreceiver. */
function contender(bent: Bent): Observation {
  const { mode = 'on', receiving = mode === 'on' } = bent;
  const sql = given.standbySql('n1', {
    timeline: bent.timeline ?? 1,
    ...(receiving ? {} : { follows: false, walReceiver: null }),
  });
  return given.contender({
    settings: given.settings({ synchronousMode: mode, ...bent.settings }),
    cluster: given.known(given.leaderless({ sync: bent.sync ?? key(), ...bent.cluster })),
    postgres: given.running(sql),
    peers: bent.peers ?? [given.peer('n3', 5000)],
  });
}

const both = { standbys: ['n2', 'n3'], quorum: 1 };
const quorum = (bent: Bent): Observation => contender({ mode: 'quorum', sync: key(both), ...bent });

const priority: readonly Case[] = [
  {
    given: 'this member is named',
    observation: contender({}),
    rule: 'campaign.race',
    steps: race,
    because: 'it holds everything that was acknowledged',
  },
  {
    given: 'another member is named',
    observation: contender({ sync: key({ standbys: ['n3'] }), peers: [] }),
    rule: 'campaign.race',
    steps: [],
    because: 'this one may lack a commit, however long nobody leads',
  },
  {
    given: 'nobody but the leader is named',
    observation: contender({ sync: key({ standbys: [] }) }),
    rule: 'campaign.race',
    steps: [],
    because: 'the leader acknowledged alone',
  },
  {
    given: '/sync cannot be read',
    observation: contender({
      sync: { ...key(), leader: null, standbys: [], unreadable: true } as never,
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'S4: what it promised is not known',
  },
  {
    given: 'D37: nobody named is left, and an operator names this member',
    observation: contender({
      sync: key({ standbys: ['n3'] }),
      cluster: { failover: { leader: null, candidate: 'n2', scheduledAt: null, modRevision: 9 } },
      peers: [],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'the operator takes the loss upon himself, this once',
  },
  {
    given: 'D40: a named member on an older timeline, with check_timeline',
    observation: contender({
      settings: { checkTimeline: true },
      cluster: { history: [{ timeline: 1, switchLsn: 4000, reason: '' }] },
      peers: [],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'had a commit been acknowledged on the later one, /sync would not name it',
  },
  {
    given: 'D40: a named member far behind what the leader had written',
    observation: contender({
      cluster: { status: { optime: 9_000_000, slots: { ghost: 1 }, retainSlots: [] } },
      peers: [],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'what was written and not acknowledged counts for nothing',
  },
  {
    given: 'the former leader is a standby now, and ahead',
    observation: contender({ peers: [given.peer('n1', 6000)] }),
    rule: 'campaign.race',
    steps: race,
    because: 'it may have written more than was ever acknowledged',
  },
  {
    given: 'another named member is ahead',
    observation: contender({
      sync: key({ standbys: ['n2', 'n3'] }),
      peers: [given.peer('n3', 5001)],
    }),
    rule: 'campaign.stand-still',
    steps: ['follow'],
    because: 'both hold everything, and what was read there stays readable',
  },
];

const byVotes: readonly Case[] = [
  {
    given: 'nobody leads, and this standby still receives',
    observation: quorum({ receiving: true }),
    rule: 'campaign.promise',
    steps: ['follow'],
    because:
      'a vote is a promise: what it has is all it will ever acknowledge to the former leader',
  },
  {
    given: 'a voter that is not ahead, and receives nothing any more',
    observation: quorum({}),
    rule: 'campaign.race',
    steps: race,
    because: 'two of three hold, together, everything',
  },
  {
    given: 'a voter that still receives',
    observation: quorum({ peers: [given.peer('n3', 5000, { receiving: true })] }),
    rule: 'campaign.race',
    steps: [],
    because: 'it could acknowledge more to the former leader after it was asked',
  },
  {
    given: 'a voter that gives no answer',
    observation: quorum({ peers: [given.silent('n3')] }),
    rule: 'campaign.race',
    steps: [],
    because: 'it may be the only one that holds the last commit',
  },
  {
    given: 'a voter that is ahead, and may not lead itself',
    observation: quorum({
      peers: [given.peer('n3', 5001, { tags: { ...given.plainTags, nofailover: true } })],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'what it holds more may have been acknowledged',
  },
  {
    given: 'the former leader as the only other voter, behind',
    observation: quorum({ peers: [given.peer('n1', 5000)] }),
    rule: 'campaign.race',
    steps: race,
    because: 'it is one of those who vote',
  },
  {
    given: 'no voter itself, with one vote',
    observation: quorum({ sync: key({ standbys: ['n3', 'n4'], quorum: 1 }) }),
    rule: 'campaign.race',
    steps: [],
    because: 'its own WAL counts for nothing, so it needs one more',
  },
  {
    given: 'the leader of /sync itself, which comes back as a standby',
    observation: quorum({ sync: key({ ...both, leader: 'n2' }), peers: [] }),
    rule: 'campaign.race',
    steps: ['campaign', 'setSynchronousNames', 'startJob'],
    because: 'nothing was acknowledged without it',
  },
  {
    given: 'a planned hand-over whose end this member holds',
    observation: quorum({
      cluster: {
        handover: { leader: 'n1', floorLsn: 5000, timeline: 1, candidate: 'n2', modRevision: 9 },
      },
      peers: [given.silent('n3')],
    }),
    rule: 'campaign.race',
    steps: race,
    because: 'it has all that the leader ever wrote',
  },
  {
    given: 'a leader that crashed and named this member',
    observation: quorum({
      cluster: {
        handover: { leader: 'n1', floorLsn: null, timeline: 1, candidate: 'n2', modRevision: 9 },
      },
      peers: [given.silent('n3')],
    }),
    rule: 'campaign.race',
    steps: [],
    because: 'a name is no vote',
  },
];

describe('the race in priority mode', () => itDecides(priority));
describe('the race in quorum mode', () => itDecides(byVotes));

const crashed = (mode: Settings['synchronousMode'], sync: ClusterView['sync']): Observation =>
  given.leader({
    settings: given.settings({ synchronousMode: mode }),
    cluster: given.known(given.cluster({ sync })),
    postgres: given.stopped('in production'),
    memory: given.memory({ lastRole: 'primary', primaryDownSince: given.NOW - 10 }),
  });

describe('a leader whose PostgreSQL has crashed', () => {
  it('D39: hands over to the standby that holds everything, instead of starting in place', () => {
    const decision = decide(crashed('on', key({ standbys: ['n3'] })));
    expect(decision.rule).toBe('lead.sync-hand-over');
    expect(decision.steps).toEqual([
      { do: 'killEverything' },
      { do: 'resign', floorLsn: null, timeline: null, candidate: 'n3' },
    ]);
  });

  it('names nobody where votes decide', () => {
    expect(decide(crashed('quorum', key(both))).steps).toContainEqual(
      expect.objectContaining({ do: 'resign', candidate: null }),
    );
  });

  it.each([
    ['nobody else holds everything', 'on', key({ standbys: [] })],
    ['whoever does is not there', 'on', key({ standbys: ['n9'] })],
    ['there are not enough voters', 'quorum', key({ standbys: ['n2', 'n9'], quorum: 1 })],
    ['the mode is off', 'off', key({ standbys: ['n2'] })],
  ] as const)('starts in place when %s', (_why, mode, sync) => {
    expect(decide(crashed(mode, sync)).rule).toBe('lead.restart-in-place');
  });
});

describe('a member that /sync names leaves it first', () => {
  /** The store has its record, which asks to be left out. */
  const shown = (observation: Observation): Observation => {
    if (!observation.cluster.known) return observation;
    const { value } = observation.cluster;
    const others = value.members.filter(({ name }) => name !== 'n2');
    const own = given.member('n2', { tags: { ...given.plainTags, nosync: true } });
    return { ...observation, cluster: given.known({ ...value, members: [...others, own] }) };
  };
  const two = given.known(
    given.upstream({ timeline: 2, history: [{ timeline: 1, switchLsn: 4000, reason: '' }] }),
  );
  const diverged = (standbys: readonly string[], withdrawingSince: number | null): Observation =>
    given.replica({
      settings: given.settings({
        synchronousMode: 'on',
        removeDataDirectoryOnDivergedTimelines: true,
      }),
      cluster: given.known(
        given.cluster({
          sync: key({ standbys }),
          members: [
            given.member('n1', { role: 'primary', timeline: 2 }),
            given.member('n2'),
            given.member('n3'),
          ],
        }),
      ),
      postgres: given.stopped('shut down', { standbySignal: true }),
      upstream: two,
      memory: given.memory({ lastRole: 'primary', withdrawingSince }),
    });
  const empty = (standbys: readonly string[], withdrawingSince: number | null): Observation =>
    given.replica({
      settings: given.settings({ synchronousMode: 'on' }),
      cluster: given.known(
        given.cluster({
          sync: key({ standbys }),
          members: [
            given.member('n1', { role: 'primary' }),
            given.member('n3', { tags: { ...given.plainTags, clonefrom: true } }),
          ],
        }),
      ),
      postgres: given.emptyDirectory(),
      memory: given.memory({ withdrawingSince }),
    });
  const reinitialize = (
    standbys: readonly string[],
    withdrawingSince: number | null,
  ): Observation =>
    given.replica({
      settings: given.settings({ synchronousMode: 'on' }),
      cluster: given.known(given.cluster({ sync: key({ standbys }) })),
      upstream: given.known(given.upstream()),
      request: { do: 'reinitialize', id: 1, force: false, fromLeader: false },
      memory: given.memory({ lastRole: 'replica', withdrawingSince }),
    });
  const restarting = (
    standbys: readonly string[],
    withdrawingSince: number | null,
  ): Observation => {
    const filter = { role: null, olderThan: null, pendingOnly: false };
    return {
      ...reinitialize(standbys, withdrawingSince),
      request: { do: 'restart', id: 1, filter, timeoutMs: null },
    };
  };
  const stopping = (standbys: readonly string[], withdrawingSince: number | null): Observation =>
    given.replica({
      settings: given.settings({ synchronousMode: 'on' }),
      cluster: given.known(given.cluster({ sync: key({ standbys }) })),
      stopping: true,
      memory: given.memory({ lastRole: 'replica', withdrawingSince }),
    });

  it.each([
    ['rewind', diverged],
    ['clone', empty],
    ['reinitialize', reinitialize],
    ['stop', stopping],
    ['restart', restarting],
  ] as const)('before %s', (_what, bent) => {
    expect(decide(bent(['n2'], null)).steps).toEqual([{ do: 'withdraw' }]);
    expect(decide(bent(['n2'], given.NOW - 19_999)).steps).toEqual([{ do: 'withdraw' }]);
    expect(decide(shown(bent(['n2'], given.NOW - 20_000))).steps).toMatchObject([
      { do: 'startJob' },
    ]);
    expect(decide(shown(bent(['n2'], given.NOW - 19_999))).steps).toEqual([{ do: 'withdraw' }]);
    expect(decide(bent(['n3'], null)).steps).toMatchObject([{ do: 'startJob' }]);
  });

  it.each([
    ['rewind', diverged, ['withdraw']],
    ['clone', empty, ['withdraw']],
    ['reinitialize', reinitialize, ['withdraw']],
    ['stop', stopping, ['startJob']],
    ['restart', restarting, ['startJob']],
  ] as const)(
    '%s while the store cannot be told: data stays (simulator, test-957)',
    (_what, bent, steps) => {
      const { steps: done } = decide(bent(['n2'], given.NOW - 20_000));
      expect(done.map((step) => step.do)).toEqual(steps);
    },
  );

  it('and copies from the leader itself as long as it is named', () => {
    const from = (observation: Observation): unknown => decide(observation).steps[0];
    expect(from(shown(empty(['n2'], 1)))).toMatchObject({ job: { from: { name: 'n1' } } });
    expect(from(empty(['n3'], null))).toMatchObject({ job: { from: { name: 'n3' } } });
  });
});
