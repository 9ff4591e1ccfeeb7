/** Nobody holds the leader key (contract 5.9; rules S1, S6, F3, F4; field D13, D20, D26). */
import { type Candidacy, candidacy, nextTimeline } from './candidates.ts';
import { clusterTimeline } from './history.ts';
import { pauseAfterFailure } from './joining.ts';
import type { ClusterView, Decision, Handover } from './model.ts';
import {
  decision,
  type Rule,
  refusalMs,
  runsAsPrimary,
  runsAsStandby,
  type Situation,
} from './rules.ts';
import { beforePromotion } from './synchronous.ts';
import { activeSync } from './vouching.ts';

/** After so many failures in a row others are given the chance, for as long as they are remembered. */
const PROMOTION_TRIES = 3;
const SOON_MS = 250;
/** Until the walreceiver has ended, ms. */
const PROMISE_MS = 20;

export const campaigning: readonly Rule[] = [
  { id: 'campaign.no-lease', when: noLease },
  { id: 'campaign.stale-primary', when: stalePrimary },
  { id: 'campaign.keep', when: keep },
  { id: 'campaign.failsafe', when: failsafe },
  { id: 'campaign.vanished-lease', when: vanishedLease },
  { id: 'campaign.still-paused', when: stillPaused },
  { id: 'campaign.wiped-store', when: wipedStore },
  { id: 'campaign.promise', when: promise },
  { id: 'campaign.pre-promote', when: keptBack },
  { id: 'campaign.stand-still', when: standStill },
  { id: 'campaign.race', when: race },
  { id: 'campaign.end-orphans', when: endOrphans },
  { id: 'campaign.start-standby', when: startStandby },
  { id: 'campaign.wait-for-server', when: waitForServer },
];

function noLease({ seen }: Situation): Decision | null {
  return seen.lease.leaseId === null
    ? decision(seen, 'campaign.no-lease', 'waiting for a lease from the store', [], SOON_MS)
    : null;
}

/** A primary that others have left behind must not come back as one (field D13). */
function stalePrimary(s: Situation): Decision | null {
  const { seen, sql } = s;
  if (!runsAsPrimary(s) || sql === null || sql.timeline === null) return null;
  const alive = seen.peers.find((peer) => peer.answer.known && !peer.answer.value.inRecovery);
  const why = leftBehind(s) ?? (alive && `${alive.name} runs as a primary too`);
  if (why === undefined) return null;
  return decision(
    seen,
    'campaign.stale-primary',
    `this primary is on timeline ${sql.timeline}, but ${why}; stopping it`,
    [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }],
    SOON_MS,
  );
}

/** Why this primary is not the cluster's newest; null when nobody is known to have gone on without it. */
export function leftBehind({ seen, cluster, sql }: Situation): string | null {
  const own = sql?.timeline ?? null;
  if (own === null) return null;
  const recorded = clusterTimeline(cluster.history) ?? 0;
  if (own < recorded) return `the cluster is on timeline ${recorded}`;
  const ahead = cluster.members.find(
    (member) => member.name !== seen.name && (member.timeline ?? 0) > own,
  );
  return ahead === undefined ? null : `${ahead.name} is on timeline ${ahead.timeline}`;
}

/** A primary whose key is gone though its lease lives, or whose agent was away, takes it back. */
function keep(s: Situation): Decision | null {
  const { seen } = s;
  if (!runsAsPrimary(s)) return null;
  const blocked = barredPrimary(s);
  if (blocked !== null) {
    return decision(
      seen,
      'campaign.keep',
      `not taking the lease: ${blocked}`,
      [{ do: 'startJob', job: { kind: 'stop', mode: 'fast', becomeStandby: true } }],
      SOON_MS,
    );
  }
  return decision(
    seen,
    'campaign.keep',
    'running as primary with the leader key free; taking it',
    [{ do: 'campaign', claim: null }],
    SOON_MS,
  );
}

function barredPrimary({ seen }: Situation): string | null {
  const { deadline } = seen.lease;
  if (seen.settings.tags.nofailover) return 'the nofailover tag is set';
  if (seen.watchdogFailure !== null)
    return `watchdog.mode is required, and ${seen.watchdogFailure}`;
  if (deadline !== null && seen.now >= deadline) return 'the time to prove leadership is over';
  return null;
}

/** A leader that cannot reach the store relies on it that nobody takes its place (contract 5.3, 5.4). */
function failsafe(s: Situation): Decision | null {
  const { promise, now, name } = s.seen;
  if (promise === null || promise.leader === name) return null;
  // It has released the lease itself: it does not rely on anybody any more.
  if (validHandover(s)?.leader === promise.leader) return null;
  const left = promise.until - now;
  if (left <= 0) return null;
  return decision(
    s.seen,
    'campaign.failsafe',
    `${promise.leader} goes on without the store, and this member has agreed to it for ${Math.round(left)} ms more`,
    [],
    Math.min(SOON_MS * 4, left),
  );
}

/** A key deleted by hand leaves its lease alive, and its holder writing until the deadline (S1). */
function vanishedLease(s: Situation): Decision | null {
  const { seen } = s;
  const last = seen.memory.lastLeader;
  if (last === null || last.name === seen.name || !last.tenure || last.leaseId === null)
    return null;
  if (validHandover(s) !== null) return null;
  // Without the key nothing is proven any more: after one ttl no deadline is left, though the lease
  // may go on behind the member key for as long as its agent lives.
  if (leaderlessMs(s) > seen.settings.ttlMs) return null;
  if (seen.vanishedLeaseMs.known && seen.vanishedLeaseMs.value === 0) return null;
  const why = seen.vanishedLeaseMs.known
    ? `lives for ${Math.round(seen.vanishedLeaseMs.value)} ms more`
    : `cannot be read: ${seen.vanishedLeaseMs.why}`;
  return decision(
    seen,
    'campaign.vanished-lease',
    `the leader key is gone without a hand-over, but the lease of ${last.name} ${why}`,
    [],
    SOON_MS,
  );
}

/**
 * After a pause: the last leader may not have heard of its end, and in pause nothing stops its writes
 * (protocol, "Pause"). Nobody takes its place before its record shows that it has heard, or a ttl has
 * passed since its key went; whoever stays cut off for longer has to be stopped by hand.
 */
function stillPaused(s: Situation): Decision | null {
  const { seen, cluster } = s;
  const last = seen.memory.lastLeader;
  if (last === null || last.name === seen.name || last.paused !== true) return null;
  if (validHandover(s) !== null || leaderlessMs(s) > seen.settings.ttlMs) return null;
  const record = cluster.members.find(({ name }) => name === last.name);
  if (record !== undefined && !record.pause) return null;
  return decision(
    seen,
    'campaign.still-paused',
    `${last.name} may not know yet that the pause is over, and would write on; waiting for its word or one ttl`,
    [],
    SOON_MS,
  );
}

/** The marker belongs to this vacancy only when nobody has led since. */
export function validHandover({
  seen,
  cluster,
}: Pick<Situation, 'seen' | 'cluster'>): Handover | null {
  const marker = cluster.handover;
  if (marker === null) return null;
  const last = seen.memory.lastLeader;
  return last !== null && last.name !== marker.leader ? null : marker;
}

/** Only a primary restores an emptied store; a replica gives it one lease's time to do so (field D20). */
function wipedStore(s: Situation): Decision | null {
  const { seen, cluster } = s;
  if (
    cluster.initialize.kind === 'initialized' ||
    runsAsPrimary(s) ||
    seen.postgres.dataDirectory.kind !== 'cluster'
  )
    return null;
  const patience = seen.settings.ttlMs + 2 * seen.settings.loopWaitMs;
  if (leaderlessMs(s) >= patience) return null;
  return decision(
    seen,
    'campaign.wiped-store',
    'the store does not know this cluster; waiting for its primary to restore /initialize',
    [],
    1000,
  );
}

function leaderlessMs({ seen }: Situation): number {
  return seen.memory.leaderlessSince === null ? 0 : seen.now - seen.memory.leaderlessSince;
}

/** What this node's chances are, for the race and for whoever asks why. */
export function ownCandidacy(s: Situation): Candidacy | null {
  const { seen, cluster, sql } = s;
  if (!runsAsStandby(s) || sql === null) return null;
  return candidacy({
    name: seen.name,
    position: {
      timeline: sql.timeline ?? 0,
      lsn: Math.max(sql.receiveLsn ?? 0, sql.replayLsn ?? 0),
    },
    peers: seen.peers,
    cluster,
    settings: seen.settings,
    handover: validHandover(s),
    requested: requestedFailover(cluster),
    leaderlessMs: leaderlessMs(s),
    memberMs: seen.memory.memberSince === null ? 0 : seen.now - seen.memory.memberSince,
    watchdogFailure: seen.watchdogFailure,
  });
}

/**
 * The member that an operator named for a failover. The candidate of a switchover does not count:
 * its leader went before it could hand over, so who is best is for the race to find (field D27).
 */
export function requestedFailover({ failover }: ClusterView): string | null {
  if (failover === null || failover.leader !== null || failover.scheduledAt !== null) return null;
  return failover.candidate;
}

/** In pause nobody leads but the member that an operator named (contract 5.9, step 2). */
export function racePaused(s: Situation): Decision | null {
  const named = requestedFailover(s.cluster) ?? validHandover(s)?.candidate ?? null;
  if (named !== s.seen.name || s.cluster.leader !== null || !runsAsStandby(s)) return null;
  const decided = noLease(s) ?? vanishedLease(s) ?? race(s);
  return decided === null ? null : { ...decided, rule: 'paused.candidate' };
}

function race(s: Situation): Decision | null {
  const { seen, cluster, sql } = s;
  const chances = ownCandidacy(s);
  if (chances === null || sql === null) return null;
  const failed = seen.memory.failures.filter((failure) => failure.kind === 'promote');
  if (failed.length >= PROMOTION_TRIES) {
    const why = `not taking the lease: promotion failed ${failed.length} times, last: ${failed.at(-1)?.why ?? ''}`;
    return decision(seen, 'campaign.race', why, [], 1000);
  }
  if (!chances.eligible) {
    return decision(
      seen,
      'campaign.race',
      `not taking the lease: ${chances.why}`,
      [],
      chances.waiting ? SOON_MS : 1000,
    );
  }
  const claim = nextTimeline(cluster, sql.timeline ?? 0);
  return decision(
    seen,
    'campaign.race',
    `taking the lease with timeline ${claim}: ${chances.why}`,
    [
      { do: 'campaign', claim },
      ...beforePromotion(s),
      { do: 'startJob', job: { kind: 'promote', claim } },
    ],
    SOON_MS,
  );
}

/** A vote counts only of a member that can acknowledge nothing more to the former leader (protocol 0.3). */
function promise(s: Situation): Decision | null {
  const { seen, cluster, sql } = s;
  const sync = activeSync({ settings: seen.settings, cluster });
  if (sync === null || sync.quorum === 0 || sql === null || !runsAsStandby(s)) return null;
  if (!sql.follows && sql.walReceiver === null) return null;
  return decision(
    seen,
    'campaign.promise',
    'nobody leads, and /sync counts votes: receiving nothing more from the former leader',
    [{ do: 'follow', upstream: null }],
    PROMISE_MS,
  );
}

/**
 * A former primary whose agent cannot stop it goes on sending: then each standby finds the other one
 * ahead at every look, for as long as it writes. Nobody promises anything to it any more, so whoever
 * is behind stops receiving, and the positions that are compared stand still (rule F4).
 */
function standStill(s: Situation): Decision | null {
  const { seen, sql } = s;
  if (sql === null || sql.walReceiver === null || validHandover(s) !== null) return null;
  const { behind } = ownCandidacy(s) ?? {};
  if (behind === undefined) return null;
  return decision(
    seen,
    'campaign.stand-still',
    `nobody leads, and ${behind} is ahead: receiving nothing more from the former leader, so that positions stand still`,
    [{ do: 'follow', upstream: null }],
    PROMISE_MS,
  );
}

/** Others have ttl to take the key in place of this node, whose script said no (contract 5.9). */
function keptBack(s: Situation): Decision | null {
  const left = refusalMs(s.seen);
  if (left === null || !runsAsStandby(s)) return null;
  return decision(
    s.seen,
    'campaign.pre-promote',
    `pre_promote did not allow the last promotion; not racing for ${Math.round(left)} ms more`,
    [],
    Math.min(1000, left),
  );
}

function endOrphans({ seen }: Situation): Decision | null {
  if (seen.postgres.postmaster.kind !== 'none' || seen.postgres.orphans === 0) return null;
  return decision(
    seen,
    'campaign.end-orphans',
    `${seen.postgres.orphans} processes outlived their postmaster and may still acknowledge; ending them`,
    [{ do: 'killOrphans' }],
    0,
  );
}

/** Whatever it was before: without the lease it is started as a standby, and only as that (field D13). */
function startStandby({ seen }: Situation): Decision | null {
  const { postmaster, interrupted, dataDirectory } = seen.postgres;
  if (postmaster.kind !== 'none' || dataDirectory.kind !== 'cluster') return null;
  if (interrupted !== null) {
    return decision(
      seen,
      'campaign.start-standby',
      `the data directory is not whole (${interrupted} unfinished); waiting for a leader to clone from`,
      [],
      1000,
    );
  }
  const pause = pauseAfterFailure(seen);
  if (pause > 0)
    return decision(
      seen,
      'campaign.start-standby',
      `start failed: ${seen.memory.failures.at(-1)?.why ?? ''}; pausing`,
      [],
      Math.min(pause, 1000),
    );
  return decision(
    seen,
    'campaign.start-standby',
    'nobody leads; starting as a standby to take part in the race',
    [{ do: 'startJob', job: { kind: 'start', as: 'standby', upstream: null } }],
    SOON_MS,
  );
}

function waitForServer({ seen }: Situation): Decision {
  const { ready, sql, standbySignal, postmaster } = seen.postgres;
  const why = `nobody leads, and PostgreSQL ${ready === 'rejecting' ? 'is still starting up' : `cannot be asked: ${sql.known ? 'in transition' : sql.why}`}`;
  const perhapsPrimary = postmaster.kind !== 'none' && !sql.known && !standbySignal;
  const overdue =
    perhapsPrimary && (seen.lease.deadline === null || seen.now >= seen.lease.deadline);
  return decision(
    seen,
    'campaign.wait-for-server',
    overdue ? `${why}; it may be a primary without a lease, stopping it` : why,
    overdue
      ? [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }]
      : [],
    SOON_MS,
  );
}
