/**
 * A leader that is asked to hand over, by the failover key (contract 5.11; field D27, D28, D35, D71).
 *
 * The request stays in the key until somebody else leads, or until it has failed: while it is there
 * a second one is refused, and it can be seen from everywhere that something is going on.
 */
import { requestedFailover } from './campaigning.ts';
import { handoverCandidates } from './candidates.ts';
import type { ClusterView, Decision, FailoverRequest, Member, PeerFacts, Step } from './model.ts';
import { decision, memberNamed, type Rule, runsAsPrimary, type Situation } from './rules.ts';
import { due } from './schedule.ts';
import type { Settings } from './settings.ts';
import { activeSync, isSynchronous } from './vouching.ts';

const SOON_MS = 200;

export const handing: readonly Rule[] = [
  { id: 'hand-over.settled', when: (s) => (asked(s) === null ? null : settled(s)) },
  { id: 'hand-over.void', when: (s) => withRequest(s, voided) },
  { id: 'hand-over.refused', when: (s) => withRequest(s, refused) },
  { id: 'hand-over.requested', when: (s) => withRequest(s, requested) },
];

/** The request that this node, as a primary with a proven lease, has to do something about. */
function asked(s: Situation): FailoverRequest | null {
  return s.ours && s.mayWrite && runsAsPrimary(s) ? s.cluster.failover : null;
}

type Answer = (s: Situation, request: FailoverRequest) => Decision | null;

/** Not before its time, and nothing scheduled in pause (contract 5.11). */
function withRequest(s: Situation, answer: Answer): Decision | null {
  const request = asked(s);
  if (request === null) return null;
  if (request.scheduledAt === null) return answer(s, request);
  if (s.seen.settings.paused || due(request.scheduledAt, s.seen).when === 'later') return null;
  return answer(s, request);
}

function clear(s: Situation, rule: string, why: string): Decision {
  const step: Step = { do: 'clearFailover', modRevision: s.cluster.failover?.modRevision ?? 0 };
  return decision(s.seen, rule, why, [step], SOON_MS);
}

/** Written before this node took the lease: whoever was meant, that is how it ended. */
function settled(s: Situation): Decision | null {
  const { failover, leader } = s.cluster;
  if (failover === null || leader === null || failover.modRevision > leader.createRevision)
    return null;
  return clear(
    s,
    'hand-over.settled',
    'cleaning up the failover key after acquiring the leader lock',
  );
}

function voided(s: Situation, { scheduledAt }: FailoverRequest): Decision | null {
  if (scheduledAt === null) return null;
  const state = due(scheduledAt, s.seen);
  return state.when === 'never'
    ? clear(s, 'hand-over.void', `the scheduled switchover is void: ${state.why}`)
    : null;
}

function refused(s: Situation, request: FailoverRequest): Decision | null {
  const why = objection(s, request);
  return why === null ? null : clear(s, 'hand-over.refused', `request refused: ${why}`);
}

function objection(s: Situation, request: FailoverRequest): string | null {
  const { seen } = s;
  const failed = seen.memory.failedHandover;
  if (failed?.request === request.modRevision) return failed.why;
  if (request.leader !== null && request.leader !== seen.name)
    return `${request.leader} is not the leader`;
  if (request.candidate === seen.name) return 'the candidate is the leader already';
  if (seen.settings.paused && request.candidate === null)
    return 'in pause only a named candidate can take over';
  const { able, barred } = candidatesFor(s, request);
  if (able.length > 0) return null;
  if (barred.length > 0) return `no member can take over: ${barred.join('; ')}`;
  return request.candidate === null
    ? 'there is no member but the leader'
    : `there is no member ${request.candidate}`;
}

function requested(s: Situation, request: FailoverRequest): Decision | null {
  const { able: candidates } = candidatesFor(s, request);
  return decision(
    s.seen,
    'hand-over.requested',
    `asked to hand over to ${request.candidate ?? `the best of ${candidates.join(', ')}`}`,
    [
      {
        do: 'startJob',
        job: {
          kind: 'handover',
          candidates,
          named: request.candidate,
          thenStandby: true,
          request: request.modRevision,
        },
      },
    ],
    SOON_MS,
  );
}

function candidatesFor(
  { seen, cluster, sql }: Situation,
  request: FailoverRequest,
): { readonly able: readonly string[]; readonly barred: readonly string[] } {
  const from = { position: sql?.currentLsn ?? null, timeline: sql?.timeline ?? null };
  const manual = requestedFailover(cluster) !== null;
  const named = request.candidate === null ? null : memberNamed(cluster, request.candidate);
  // Best first: among those that hold the end at the same time the first one asked wins.
  const ordered = handoverCandidates(cluster, seen.name, seen.settings);
  const members = cluster.members.filter((member) =>
    request.candidate === null ? member.name !== seen.name : member === named,
  );
  const found = members.map((member) => ({
    name: member.name,
    problem: candidateProblem(member, seen.peers, from, cluster, seen.settings, manual),
  }));
  return {
    able: found
      .filter(({ problem }) => problem === null)
      .map(({ name }) => name)
      .sort((a, b) => rank(ordered, a) - rank(ordered, b)),
    barred: found.flatMap(({ name, problem }) => (problem === null ? [] : [`${name} ${problem}`])),
  };
}

function rank(ordered: readonly string[], name: string): number {
  const index = ordered.indexOf(name);
  return index < 0 ? ordered.length : index;
}

/**
 * Why this member may not take over from a leader at `from`, null when it may: the one answer for
 * the leader and for whoever receives the request (contract 3.7 step 7, 5.11; field D26, D35).
 * @param manual a failover, which may go to a member that is not synchronous
 */
export function candidateProblem(
  member: Member,
  peers: readonly PeerFacts[],
  from: { readonly position: number | null; readonly timeline: number | null },
  cluster: ClusterView,
  settings: Settings,
  manual: boolean,
): string | null {
  const { tags } = member;
  if (tags.nofailover || tags.failoverPriority <= 0) return 'has the nofailover tag';
  const answer = peers.find((peer) => peer.name === member.name)?.answer;
  if (answer === undefined) return 'has not been asked';
  if (!answer.known) return `does not answer: ${answer.why}`;
  const { inRecovery, position, timeline, watchdogFailed } = answer.value;
  if (answer.value.tags.nofailover) return 'has the nofailover tag';
  if (!inRecovery) return 'runs as a primary already';
  if (watchdogFailed) return 'cannot use the watchdog that it needs';
  if (timeline !== null && from.timeline !== null && timeline !== from.timeline)
    return `is on timeline ${timeline}, the leader on ${from.timeline}`;
  const lag = from.position === null ? 0 : from.position - position;
  if (lag > settings.maximumLagOnFailover)
    return `is ${lag} bytes behind, more than maximum_lag_on_failover ${settings.maximumLagOnFailover}`;
  const bySync = activeSync({ settings, cluster }) !== null;
  if (bySync && !manual && !isSynchronous(member.name, cluster))
    return 'is not a synchronous standby';
  return null;
}
