/**
 * What a rule is: an ordinary function from the situation to a decision, or null when it does not
 * apply. Rules are tried in order; the first that applies wins.
 */
import type {
  ClusterView,
  Decision,
  Member,
  Observation,
  SqlFacts,
  Step,
  Upstream,
} from './model.ts';
import { promotionMarginMs } from './timing.ts';

/** The observation, with the questions that most rules ask already answered. */
export interface Situation {
  readonly seen: Observation;
  /** The view of the store; rules that need one run only when it is known. */
  readonly cluster: ClusterView;
  /** Answers of the local server, null when there are none. */
  readonly sql: SqlFacts | null;
  /** The leader key is ours: by name, and bound to our own lease. */
  readonly ours: boolean;
  /** Before the deadline with enough time left to begin something as primary (rule S1). */
  readonly mayWrite: boolean;
  /** A member other than this one holds the leader key. */
  readonly otherLeader: Member | null;
}

export interface Rule {
  readonly id: string;
  readonly when: (situation: Situation) => Decision | null;
}

export function situation(seen: Observation, cluster: ClusterView): Situation {
  const leader = cluster.leader;
  const ours =
    leader !== null &&
    leader.name === seen.name &&
    seen.lease.holdsLeaderKey &&
    leader.leaseId === seen.lease.leaseId;
  const { deadline } = seen.lease;
  const otherLeader =
    leader === null || leader.name === seen.name
      ? null
      : (memberNamed(cluster, leader.name) ?? unknownMember(leader.name));
  return {
    seen,
    cluster,
    sql: seen.postgres.sql.known ? seen.postgres.sql.value : null,
    ours,
    mayWrite: deadline !== null && seen.now < deadline - promotionMarginMs(seen.settings.ttlMs),
    otherLeader,
  };
}

export function memberNamed(cluster: ClusterView, name: string): Member | null {
  return cluster.members.find((member) => member.name === name) ?? null;
}

/** A leader whose member record is missing: it cannot be followed yet (contract 2.8). */
function unknownMember(name: string): Member {
  return {
    name,
    leaseId: null,
    modRevision: 0,
    connUrl: null,
    apiUrl: null,
    state: 'unknown',
    role: 'unknown',
    version: null,
    checkpointAfterPromote: true,
    tags: {
      nofailover: false,
      failoverPriority: 1,
      noloadbalance: false,
      clonefrom: false,
      nostream: false,
      nosync: false,
      syncPriority: 1,
      replicatefrom: null,
      raw: {},
    },
    pendingRestart: false,
    pendingRestartReason: null,
    scheduledRestart: null,
    position: null,
    replayLsn: null,
    receiveLsn: null,
    replicationState: null,
    timeline: null,
    pause: false,
    tenure: null,
  };
}

/** Host and port of a member's `conn_url`; null when it has none that can be used. */
export function upstreamOf(member: Member): Upstream | null {
  const match = /^postgres(?:ql)?:\/\/(?:[^@/]*@)?(\[[^\]]+\]|[^:/?]+)(?::(\d+))?(?:[/?]|$)/.exec(
    member.connUrl ?? '',
  );
  if (match === null) return null;
  const host = (match[1] as string).replace(/^\[|\]$/g, '');
  return { name: member.name, host, port: match[2] === undefined ? 5432 : Number(match[2]) };
}

/** Shorthand: the longest wait is loop_wait unless the rule wants to look again sooner. */
export function decision(
  seen: Observation,
  rule: string,
  why: string,
  steps: readonly Step[] = [],
  wakeInMs: number = seen.settings.loopWaitMs,
): Decision {
  return { rule, why, steps, wakeInMs };
}

/** PostgreSQL's processes are there, or it cannot be told that they are not (rule S4). */
export function processPossible(seen: Observation): boolean {
  return seen.postgres.postmaster.kind !== 'none';
}

/** Positively known to run and to be in recovery. */
export function runsAsStandby(situation: Situation): boolean {
  return situation.seen.postgres.postmaster.kind === 'alive' && situation.sql?.inRecovery === true;
}

/** Positively known to run and to take writes. */
export function runsAsPrimary(situation: Situation): boolean {
  return situation.seen.postgres.postmaster.kind === 'alive' && situation.sql?.inRecovery === false;
}

/** A stop was begun and did not end in time; nothing else will end it. */
export function stopHangs({ job, postgres }: Observation): boolean {
  const stops = job?.kind === 'stop' || job?.kind === 'handover' || job?.kind === 'restart';
  return (
    stops &&
    job.outcome?.ok === false &&
    postgres.postmaster.kind === 'alive' &&
    !postgres.sql.known
  );
}

/** For how long yet pre_promote's word keeps this node out of the race, ms; null: not at all (contract 5.9). */
export function refusalMs({ memory, settings, now }: Observation): number | null {
  if (memory.promotionRefused === null) return null;
  const left = memory.promotionRefused + settings.ttlMs - now;
  return left > 0 ? left : null;
}

/** The job that is in progress, null when none is. */
export function runningJob(seen: Observation): Observation['job'] {
  return seen.job !== null && seen.job.outcome === null ? seen.job : null;
}
