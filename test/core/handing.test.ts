/** A leader that is asked to hand over: what it does, what it refuses, and when (contract 5.11). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { ClusterView, FailoverRequest, Observation } from '../../src/core/model.ts';
import * as given from './observations.ts';

const request = (change: Partial<FailoverRequest> = {}): FailoverRequest => ({
  leader: 'n1',
  candidate: 'n3',
  scheduledAt: null,
  modRevision: 8,
  ...change,
});

/** n1 leads and is asked; n2 and n3 answer, and are where it is. */
const asked = (
  failover: FailoverRequest,
  change: Partial<Observation> = {},
  view: Partial<ClusterView> = {},
): Observation =>
  given.leader({
    cluster: given.known(given.cluster({ failover, ...view })),
    peers: [given.peer('n2', 5000), given.peer('n3', 5000)],
    ...change,
  });

const PAUSED = given.settings({ paused: true });
const at = (iso: string): FailoverRequest => request({ scheduledAt: iso });
const synchronous = given.settings({ synchronousMode: 'on' });
const sync = { leader: 'n1', standbys: ['n2'], quorum: 0, modRevision: 6 };

const cases: readonly {
  given: string;
  observation: Observation;
  rule: string;
  steps: readonly string[];
  because: string;
}[] = [
  {
    given: 'a healthy named candidate',
    observation: asked(request()),
    rule: 'hand-over.requested',
    steps: ['startJob'],
    because: 'the key keeps the request until it is settled',
  },
  {
    given: 'a candidate that has not been asked',
    observation: asked(request(), { peers: [] }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'nobody is handed a cluster unseen (S4)',
  },
  {
    given: 'a candidate that does not answer',
    observation: asked(request(), { peers: [given.peer('n2', 5000), given.silent('n3')] }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'it could not take over',
  },
  {
    given: 'a candidate that is too far behind',
    observation: asked(
      request(),
      { peers: [given.peer('n3', 5000)] },
      { status: { optime: 5000, slots: {}, retainSlots: [] } },
    ),
    rule: 'hand-over.requested',
    steps: ['startJob'],
    because: 'a lag within maximum_lag_on_failover is made up for while the old primary stops',
  },
  {
    given: 'D26: a candidate beyond maximum_lag_on_failover',
    observation: asked(request(), {
      postgres: given.running(given.primarySql({ currentLsn: 5_000_000 })),
    }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'the outage would be as long as it takes to catch up',
  },
  {
    given: 'a candidate on another timeline',
    observation: asked(request(), { peers: [given.peer('n3', 5000, { timeline: 2 })] }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'it does not have what this primary has',
  },
  {
    given: 'a candidate with nofailover',
    observation: asked(request(), {
      peers: [given.peer('n3', 5000, { tags: { ...given.plainTags, nofailover: true } })],
    }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'it must never lead',
  },
  {
    given: 'D35: a switchover to a member that is not synchronous',
    observation: asked(request(), { settings: synchronous }, { sync }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'it may lack acknowledged commits',
  },
  {
    given: 'D35: a switchover to anybody in synchronous mode',
    observation: asked(request({ candidate: null }), { settings: synchronous }, { sync }),
    rule: 'hand-over.requested',
    steps: ['startJob'],
    because: 'one member is synchronous, and only that one is a candidate',
  },
  {
    given: "somebody else's request",
    observation: asked(request({ leader: 'n2' })),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'it was made for another leader',
  },
  {
    given: 'a request older than this leadership',
    observation: asked(request({ leader: null, modRevision: 4 })),
    rule: 'hand-over.settled',
    steps: ['clearFailover'],
    because: 'it is how this node came to lead, or has been overtaken',
  },
  {
    given: 'D28: a request whose hand-over has failed',
    observation: asked(request(), {
      memory: given.memory({
        lastRole: 'primary',
        failedHandover: { request: 8, why: 'no candidate held 0/1388' },
      }),
    }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'it would go in circles, with an outage each time',
  },
  {
    given: 'another request after one that has failed',
    observation: asked(request({ modRevision: 9 }), {
      memory: given.memory({
        lastRole: 'primary',
        failedHandover: { request: 8, why: 'no candidate held 0/1388' },
      }),
    }),
    rule: 'hand-over.requested',
    steps: ['startJob'],
    because: 'somebody asks anew',
  },
  {
    given: 'D71: a second request while one is carried out',
    observation: asked(request({ candidate: 'n2', modRevision: 9 }), {
      job: { ...given.ended('handover', true, 'to n3'), outcome: null, request: 8 },
    }),
    rule: 'busy.wait',
    steps: [],
    because: 'it cannot cancel the first',
  },
  {
    given: 'D64: another leader seen while a hand-over is carried out',
    observation: asked(
      request(),
      { job: { ...given.ended('handover', true, 'to n3'), outcome: null } },
      { leader: { name: 'n3', leaseId: 'x', createRevision: 9, modRevision: 9 } },
    ),
    rule: 'busy.wait',
    steps: [],
    because: 'one demotion is in progress already',
  },
  {
    given: 'a dead server under the request',
    observation: asked(request(), { postgres: given.stopped('shut down') }),
    rule: 'lead.restart-in-place',
    steps: ['startJob'],
    because: 'D28: after a hand-over that failed the lease is kept and PostgreSQL comes back',
  },
  {
    given: 'a lease that is not proven',
    observation: asked(request(), { lease: given.leaderLease({ deadline: given.NOW + 10 }) }),
    rule: 'lead.unproven',
    steps: [],
    because: 'the key may not be ours to give (S1)',
  },
  {
    given: 'a switchover for later',
    observation: asked(at('2026-12-01T03:00:05+00:00')),
    rule: 'lead.steady',
    steps: [],
    because: 'its time has not come',
  },
  {
    given: 'a switchover whose time has come',
    observation: asked(at('2026-12-01T04:00:00+01:00')),
    rule: 'hand-over.requested',
    steps: ['startJob'],
    because: 'it is due',
  },
  {
    given: 'a switchover whose time has just gone by',
    observation: asked(at('2026-12-01T02:59:46Z')),
    rule: 'hand-over.requested',
    steps: ['startJob'],
    because: 'that is within 1.5 loop_wait',
  },
  {
    given: 'a switchover whose time has long gone by',
    observation: asked(at('2026-12-01T02:59:44Z')),
    rule: 'hand-over.void',
    steps: ['clearFailover'],
    because: 'nobody expects it any more',
  },
  {
    given: 'a schedule that cannot be read',
    observation: asked(at('tomorrow')),
    rule: 'hand-over.void',
    steps: ['clearFailover'],
    because: 'it would stand there for ever',
  },
  {
    given: 'a schedule in pause',
    observation: asked(at('2026-12-01T03:00:00Z'), { settings: PAUSED }),
    rule: 'paused.keep',
    steps: [],
    because: 'nothing scheduled happens in pause',
  },
  {
    given: 'a named candidate in pause',
    observation: asked(request(), { settings: PAUSED }),
    rule: 'hand-over.requested',
    steps: ['startJob'],
    because: 'an operator decides in pause',
  },
  {
    given: 'no named candidate in pause',
    observation: asked(request({ candidate: null }), { settings: PAUSED }),
    rule: 'hand-over.refused',
    steps: ['clearFailover'],
    because: 'nobody chooses in pause',
  },
];

describe('a leader with a request', () => {
  it.each(cases)('$given: $rule, because $because', ({ observation, rule, steps }) => {
    const decision = decide(observation);
    expect(decision.rule, decision.why).toBe(rule);
    expect(decision.steps.map((step) => step.do)).toEqual(steps);
  });

  const candidates = (observation: Observation): unknown => {
    const [step] = decide(observation).steps;
    return step?.do === 'startJob' && step.job.kind === 'handover' ? step.job.candidates : null;
  };

  it('takes every member that may lead for a candidate, the best first', () => {
    const failover = request({ candidate: null });
    const members = given
      .cluster()
      .members.map((member) =>
        member.name === 'n3'
          ? { ...member, tags: { ...given.plainTags, failoverPriority: 2 } }
          : member,
      );
    expect(candidates(asked(failover, {}, { members }))).toEqual(['n3', 'n2']);
    expect(candidates(asked(failover, { settings: synchronous }, { sync }))).toEqual(['n2']);
  });

  it('looks again when the scheduled time has come', () => {
    expect(decide(asked(at('2026-12-01T03:00:05Z'))).wakeInMs).toBe(5000);
    expect(decide(asked(at('2026-12-01T04:00:05Z'))).wakeInMs).toBe(10_000);
  });
});

describe('the others', () => {
  const failover = request({ leader: null, candidate: 'n2' });
  const optime = { optime: 9_000_000, slots: {}, retainSlots: [] };

  it('leave a failover to the member that was named, however far behind it is', () => {
    const view = given.known(given.leaderless({ failover, status: optime }));
    const memory = given.memory({ lastRole: 'replica', leaderlessSince: 0 });
    const peers = [given.peer('n3', 8000)];
    const named = decide(given.contender({ cluster: view, peers, memory }));
    expect([named.rule, named.steps[0]?.do]).toEqual(['campaign.race', 'campaign']);
    const other = given.contender({ name: 'n3', lease: given.ownLease('n3'), cluster: view });
    const waiting = decide({ ...other, peers: [given.peer('n2', 5000)], memory });
    expect([waiting.rule, waiting.steps]).toEqual(['campaign.race', []]);
  });

  it('take over in pause only where they were named', () => {
    const paused = { settings: PAUSED, cluster: given.known(given.leaderless({ failover })) };
    expect(decide(given.contender(paused)).rule).toBe('paused.candidate');
    const unasked = { ...paused, cluster: given.known(given.leaderless()) };
    expect(decide(given.contender(unasked)).rule).toBe('paused.wait');
  });

  it('D27: the candidate of a switchover has no precedence before its leader has stopped', () => {
    const switchover = request({ candidate: 'n2' });
    const observation = given.contender({
      cluster: given.known(given.leaderless({ failover: switchover })),
      peers: [given.peer('n3', 8000)],
    });
    const { why, steps } = decide(observation);
    expect([why, steps]).toEqual([
      expect.stringContaining('n3 is ahead'),
      [{ do: 'follow', upstream: null }],
    ]);
  });
});
