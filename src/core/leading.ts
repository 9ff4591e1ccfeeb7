/** This node holds the leader key (contract 5.8, 5.10; rules S1, S2, F4; field D6, D69). */
import { failoverPossible, handoverCandidates, nextTimeline } from './candidates.ts';
import { formatLsn } from './lsn.ts';
import type { Decision, Observation, Step } from './model.ts';
import {
  decision,
  type Rule,
  refusalMs,
  runsAsPrimary,
  runsAsStandby,
  type Situation,
  stopHangs,
} from './rules.ts';
import { beforePromotion, waitsFor, watchMs } from './synchronous.ts';
import { fateOf } from './unconfirmed.ts';
import { upkeep } from './upkeep.ts';
import { activeSync } from './vouching.ts';

const SOON_MS = 200;
const PROMOTION_TRIES = 3;

export const leading: readonly Rule[] = [
  { id: 'lead.take-over', when: takeOver },
  { id: 'lead.foreign-lease', when: foreignLease },
  { id: 'lead.unproven', when: unproven },
  { id: 'lead.unconfirmed', when: unconfirmed },
  { id: 'lead.steady', when: steady },
  { id: 'lead.pre-promote', when: promotionRefused },
  { id: 'lead.promote-failed', when: promoteFailed },
  { id: 'lead.promote', when: promote },
  { id: 'lead.give-up', when: giveUp },
  { id: 'lead.crash-loop', when: crashLoop },
  { id: 'lead.sync-hand-over', when: handOverInstead },
  { id: 'lead.restart-in-place', when: restartInPlace },
  { id: 'lead.start-then-promote', when: startThenPromote },
  { id: 'lead.wait-for-server', when: ({ seen, ours }) => (ours ? waitForServer(seen) : null) },
];

/** The key carries our name under the lease of this node's earlier life: it is ours to move (S8). */
function takeOver({ seen, cluster, ours }: Situation): Decision | null {
  const leader = cluster.leader;
  if (leader === null || leader.name !== seen.name || ours || seen.lease.leaseId === null)
    return null;
  const former = leader.leaseId !== null && leader.leaseId === seen.memory.formerLeaseId;
  if (!former && leader.leaseId !== seen.lease.leaseId) return null;
  return decision(
    seen,
    'lead.take-over',
    "the leader key is from this node's earlier life; moving it to the new lease",
    [{ do: 'takeOver', leaseId: leader.leaseId, modRevision: leader.modRevision }],
    0,
  );
}

/** Our name, but a lease we know nothing of: perhaps a second daemon of this name (field D3). */
function foreignLease({ seen, cluster, ours }: Situation): Decision | null {
  if (cluster.leader === null || cluster.leader.name !== seen.name || ours) return null;
  return decision(
    seen,
    'lead.foreign-lease',
    'the leader key carries our name under a lease that is not ours; waiting for it to run out',
    primaryWithoutLease(seen),
    SOON_MS,
  );
}

function primaryWithoutLease(seen: Observation): readonly Step[] {
  const { deadline } = seen.lease;
  const primary = seen.postgres.sql.known && !seen.postgres.sql.value.inRecovery;
  if (!primary || (deadline !== null && seen.now < deadline)) return [];
  return [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }];
}

/** Holding the key is not enough: everything below needs a renewal that was proven (S1, field D6). */
function unproven({ seen, ours, mayWrite }: Situation): Decision | null {
  if (!ours || mayWrite) return null;
  return decision(
    seen,
    'lead.unproven',
    'the lease is not proven for long enough to begin anything',
    [],
    SOON_MS,
  );
}

/** Part of the story of the failover: what its clients had been warned of (field D38, promise P2). */
function unconfirmed(s: Situation): Decision | null {
  const { seen, ours, cluster, sql } = s;
  const found = cluster.unconfirmed;
  if (found === null || !ours || !runsAsPrimary(s) || sql === null || seen.settings.paused)
    return null;
  if (found.timeline === sql.timeline || seen.memory.historyWrittenFor !== sql.timeline)
    return null;
  const left = cluster.history?.find(({ timeline }) => timeline === found.timeline);
  const fate = fateOf(found, left?.switchLsn ?? null, formatLsn(found.lsn));
  return decision(seen, 'lead.unconfirmed', fate, [{ do: 'tellUnconfirmed', fate }], SOON_MS);
}

function steady(s: Situation): Decision | null {
  const { seen, ours, sql } = s;
  if (!ours || !runsAsPrimary(s) || sql === null) return null;
  const waiting = waitsFor(s);
  return decision(
    seen,
    'lead.steady',
    `no action. I am (${seen.name}), the leader with the lock${waiting === null ? '' : `; ${waiting}`}`,
    upkeep(s),
    watchMs(s, waiting),
  );
}

/** The operator's script said no: somebody else is to lead (contract 5.10). */
function promotionRefused(s: Situation): Decision | null {
  const { seen, ours } = s;
  if (!ours || !runsAsStandby(s) || refusalMs(seen) === null) return null;
  return decision(
    seen,
    'lead.pre-promote',
    `pre_promote did not allow the promotion (${seen.job?.outcome?.why ?? ''}); releasing the lease`,
    [{ do: 'resign', floorLsn: null, timeline: null, candidate: null }],
    1000,
  );
}

function promoteFailed(s: Situation): Decision | null {
  const { seen, ours } = s;
  const failed = seen.memory.failures.filter((failure) => failure.kind === 'promote');
  if (!ours || !runsAsStandby(s) || failed.length < PROMOTION_TRIES) return null;
  return decision(
    seen,
    'lead.promote-failed',
    `promotion failed ${failed.length} times, last: ${failed.at(-1)?.why ?? ''}; releasing the lease`,
    [{ do: 'resign', floorLsn: null, timeline: null, candidate: null }],
    1000,
  );
}

function promote(s: Situation): Decision | null {
  const { seen, ours, cluster, sql } = s;
  if (!ours || !runsAsStandby(s) || sql === null) return null;
  const own = sql.timeline ?? 0;
  const claim = cluster.timelines?.claims.findLast(([, member]) => member === seen.name)?.[0] ?? 0;
  const newest = cluster.timelines?.claims.at(-1)?.[0] ?? 0;
  if (claim <= own || claim !== newest || seen.memory.promotedHere.includes(claim)) {
    const next = nextTimeline(cluster, own);
    return decision(
      seen,
      'lead.promote',
      `reserving timeline ${next}`,
      [
        { do: 'claim', claim: next },
        ...beforePromotion(s),
        { do: 'startJob', job: { kind: 'promote', claim: next } },
      ],
      SOON_MS,
    );
  }
  return decision(
    seen,
    'lead.promote',
    `promoting: holding the lease and reserved timeline ${claim}`,
    [...beforePromotion(s), { do: 'startJob', job: { kind: 'promote', claim } }],
    SOON_MS,
  );
}

/** The server cannot be brought back in the time operators allow: let another lead (contract 5.8). */
function giveUp(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  if (
    !ours ||
    runsAsPrimary(s) ||
    runsAsStandby(s) ||
    !failoverPossible(cluster, seen.name, seen.settings)
  )
    return null;
  const since = seen.memory.primaryDownSince;
  const down = since === null ? 0 : seen.now - since;
  const failed = seen.memory.failures.filter(
    (failure) => failure.kind === 'start' || failure.kind === 'restart',
  ).length;
  if (failed === 0 && down <= seen.settings.primaryStartTimeoutMs) return null;
  if (failed === 0 && seen.settings.primaryStartTimeoutMs > 0 && since === null) return null;
  // A planned stop that ended in nothing: starting again comes first, it loses nothing (F4).
  if (failed === 0 && afterFailedPlan(seen)) return null;
  const why =
    failed > 0
      ? `starting PostgreSQL failed: ${seen.memory.failures.at(-1)?.why ?? ''}`
      : `PostgreSQL has been down for ${Math.round(down)} ms, primary_start_timeout is ${seen.settings.primaryStartTimeoutMs} ms`;
  return decision(
    seen,
    'lead.give-up',
    `${why}; releasing the lease`,
    seen.postgres.postmaster.kind === 'none'
      ? [resignation(seen)]
      : [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }],
    SOON_MS,
  );
}

function afterFailedPlan({ job, postgres }: Observation): boolean {
  const planned = job?.kind === 'handover' || job?.kind === 'restart';
  return planned && job.outcome?.ok === false && postgres.postmaster.kind === 'none';
}

/** Whoever has the beginning of a clean shutdown's checkpoint has every row before it. */
function resignation({ postgres }: Observation): Extract<Step, { do: 'resign' }> {
  const { control } = postgres;
  const clean = control.known && control.value.state === 'shut down' ? control.value : null;
  return {
    do: 'resign',
    floorLsn: clean?.checkpointLsn ?? null,
    timeline: clean?.timeline ?? null,
    candidate: null,
  };
}

/** Ends within this time of each other make a loop, ms. */
const CRASH_WINDOW_MS = 300_000;
const CRASHES = 3;

/** A primary that ends again and again right after it was restarted serves nobody (field D69). */
function crashLoop(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  if (!ours || seen.postgres.postmaster.kind !== 'none') return null;
  const recent = seen.memory.crashes.filter((at) => seen.now - at < CRASH_WINDOW_MS).length;
  if (recent < CRASHES || !failoverPossible(cluster, seen.name, seen.settings)) return null;
  return decision(
    seen,
    'lead.crash-loop',
    `PostgreSQL has ended ${recent} times in ${CRASH_WINDOW_MS / 60_000} minutes; releasing the lease instead of restarting it in place`,
    [resignation(seen)],
    SOON_MS,
  );
}

/**
 * Started again in place, it would show commits that no standby has confirmed (field D39), and take
 * longer: a standby that holds everything takes over instead.
 */
function handOverInstead(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  const sync = activeSync({ settings: seen.settings, cluster });
  if (!ours || sync === null || seen.postgres.postmaster.kind !== 'none') return null;
  if (seen.memory.lastRole === 'replica' || afterFailedPlan(seen)) return null;
  if (!failoverPossible(cluster, seen.name, seen.settings)) return null;
  const [best = null] = handoverCandidates(cluster, seen.name, seen.settings);
  const candidate = sync.quorum === 0 ? best : null;
  return decision(
    seen,
    'lead.sync-hand-over',
    `PostgreSQL is down; ${candidate ?? 'the standbys of /sync together'} held everything: releasing the lease`,
    [{ do: 'killEverything' }, { ...resignation(seen), candidate }],
    SOON_MS,
  );
}

const PRIMARY_STATES = [
  'in production',
  'shutting down',
  'shut down',
  'in crash recovery',
  'starting up',
];

/** The data directory was last a primary's, the key never left us: nobody else can have written. */
function restartInPlace({ seen, ours }: Situation): Decision | null {
  const { postmaster, control, interrupted, standbySignal } = seen.postgres;
  if (!ours || postmaster.kind !== 'none' || interrupted !== null || !control.known) return null;
  if (!PRIMARY_STATES.includes(control.value.state) || seen.memory.lastRole === 'replica')
    return null;
  // A fresh clone says "in production" too; only a stop of our own puts the signal beside that.
  if (standbySignal && seen.memory.lastRole !== 'primary') return null;
  return decision(
    seen,
    'lead.restart-in-place',
    `PostgreSQL is down (pg_control: ${control.value.state}); starting it again in place`,
    [{ do: 'startJob', job: { kind: 'start', as: 'primary' } }],
    SOON_MS,
  );
}

/** A standby's directory: it has to be promoted properly, on a timeline of its own. */
function startThenPromote({ seen, ours }: Situation): Decision | null {
  const { postmaster, control, interrupted } = seen.postgres;
  if (!ours || postmaster.kind !== 'none' || interrupted !== null || !control.known) return null;
  return decision(
    seen,
    'lead.start-then-promote',
    `PostgreSQL is down and was a standby (pg_control: ${control.value.state}); starting it to promote it`,
    [{ do: 'startJob', job: { kind: 'start', as: 'standby', upstream: null } }],
    SOON_MS,
  );
}

function waitForServer(seen: Observation): Decision {
  const { ready, interrupted, sql } = seen.postgres;
  const why =
    interrupted !== null
      ? `the data directory is not whole (${interrupted} unfinished); releasing the lease`
      : ready === 'rejecting'
        ? 'PostgreSQL is still starting up'
        : `PostgreSQL's state is unknown: ${sql.known ? 'in transition' : sql.why}`;
  const steps: readonly Step[] =
    interrupted !== null
      ? [{ do: 'resign', floorLsn: null, timeline: null, candidate: null }]
      : stopHangs(seen)
        ? [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }]
        : [];
  return decision(seen, 'lead.wait-for-server', why, steps, SOON_MS);
}
