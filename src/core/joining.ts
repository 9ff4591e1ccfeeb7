/**
 * The data directory: is it ours, is it there, where does it come from (contract 5.3.10–11, 5.7;
 * rules S4, S7; field D20).
 */
import type { Decision, Member, Observation, Upstream } from './model.ts';
import {
  decision,
  memberNamed,
  type Rule,
  runsAsPrimary,
  type Situation,
  upstreamOf,
} from './rules.ts';
import { rejoinBackoffMs } from './timing.ts';
import { isNamed, withdraw } from './withdrawing.ts';

const SOON_MS = 250;

export const joining: readonly Rule[] = [
  { id: 'join.foreign-directory', when: ({ seen }) => foreignDirectory(seen) },
  { id: 'join.other-cluster', when: otherCluster },
  { id: 'join.finish-bootstrap', when: finishBootstrap },
  { id: 'join.bootstrap-failed', when: bootstrapFailed },
  { id: 'join.lost-directory', when: lostDirectory },
  { id: 'join.bootstrap', when: bootstrap },
  { id: 'join.clone', when: clone },
  { id: 'join.wait-for-leader', when: waitForLeader },
];

/** Not a PostgreSQL cluster, or not readable: never touched, never guessed at (S4, S7). */
export function foreignDirectory(seen: Observation): Decision | null {
  const { dataDirectory, postmaster, interrupted } = seen.postgres;
  if (dataDirectory.kind !== 'foreign' && dataDirectory.kind !== 'unreadable') return null;
  if (interrupted !== null && dataDirectory.kind === 'foreign') return null;
  const why = `data directory: ${dataDirectory.why}`;
  const neverRan = seen.memory.lastRole === null && postmaster.kind !== 'alive';
  return decision(
    seen,
    'join.foreign-directory',
    why,
    neverRan ? [{ do: 'exit', code: 1, message: why }] : [],
    1000,
  );
}

function otherCluster({ seen, cluster, ours }: Situation): Decision | null {
  if (cluster.initialize.kind !== 'initialized') return null;
  if (seen.postgres.interrupted !== null || !seen.postgres.control.known) return null;
  const own = seen.postgres.control.value.systemIdentifier;
  const expected = cluster.initialize.systemIdentifier;
  if (own === expected) return null;
  const why = `the data directory has system identifier ${own}, but the cluster's is ${expected}: it belongs to another cluster`;
  if (seen.settings.paused) {
    // Whoever is the cluster's own may have it (contract 5.3.11).
    const resign = { do: 'resign', floorLsn: null, timeline: null, candidate: null } as const;
    return decision(seen, 'join.other-cluster', why, ours ? [resign] : []);
  }
  return decision(seen, 'join.other-cluster', why, [{ do: 'exit', code: 1, message: why }]);
}

function finishBootstrap(s: Situation): Decision | null {
  const { seen, cluster } = s;
  if (cluster.leader !== null || !bootstrapIsOurs(s) || seen.postgres.interrupted !== null)
    return null;
  if (!runsAsPrimary(s) || s.sql === null) return null;
  return decision(
    seen,
    'join.finish-bootstrap',
    'initialized a new cluster',
    [{ do: 'finishBootstrap', systemIdentifier: s.sql.systemIdentifier }],
    0,
  );
}

function bootstrapIsOurs({ seen, cluster }: Situation): boolean {
  return cluster.initialize.kind === 'bootstrapping' && cluster.initialize.owner === seen.name;
}

/** Our own bootstrap failed, now or in an earlier life: give the key back, then pause, then try again. */
function bootstrapFailed(s: Situation): Decision | null {
  const { seen, cluster } = s;
  if (!bootstrapIsOurs(s) || cluster.initialize.kind !== 'bootstrapping' || runsAsPrimary(s))
    return null;
  if (seen.postgres.postmaster.kind !== 'none') {
    return decision(
      seen,
      'join.bootstrap-failed',
      'the bootstrap did not finish; stopping what it left running',
      [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: false } }],
      SOON_MS,
    );
  }
  const why =
    seen.job?.kind === 'bootstrap'
      ? (seen.job.outcome?.why ?? '')
      : 'interrupted in an earlier life';
  return decision(
    seen,
    'join.bootstrap-failed',
    `the bootstrap did not finish (${why}); releasing /initialize`,
    [{ do: 'releaseInitialize', modRevision: cluster.initialize.modRevision }],
    SOON_MS,
  );
}

function empty(seen: Observation): boolean {
  const { dataDirectory, interrupted } = seen.postgres;
  return (
    dataDirectory.kind === 'absent' || dataDirectory.kind === 'empty' || interrupted === 'bootstrap'
  );
}

/** The leader's data directory is gone: nobody can be served by this key. */
function lostDirectory({ seen, ours }: Situation): Decision | null {
  if (!ours || !empty(seen)) return null;
  return decision(
    seen,
    'join.lost-directory',
    'the data directory is empty, so the lease is released',
    [{ do: 'resign', floorLsn: null, timeline: null, candidate: null }],
    SOON_MS,
  );
}

function bootstrap({ seen, cluster }: Situation): Decision | null {
  if (!empty(seen) || cluster.leader !== null || cluster.initialize.kind !== 'absent') return null;
  const pause = pauseAfterFailure(seen);
  if (
    !seen.settings.mayBootstrap ||
    seen.settings.tags.nofailover ||
    seen.settings.paused ||
    seen.watchdogFailure !== null ||
    pause > 0
  )
    return null;
  return decision(
    seen,
    'join.bootstrap',
    'trying to bootstrap a new cluster',
    [{ do: 'raceInitialize' }, { do: 'startJob', job: { kind: 'bootstrap' } }],
    SOON_MS,
  );
}

function clone(s: Situation): Decision | null {
  const { seen, otherLeader } = s;
  if (!empty(seen) || otherLeader === null || seen.settings.paused) return null;
  const pause = pauseAfterFailure(seen);
  const from = cloneSource(s, otherLeader);
  if (from === null || pause > 0) {
    const why =
      from === null
        ? `${otherLeader.name} has not published how to reach it`
        : 'pausing after a failed clone';
    return decision(
      seen,
      'join.clone',
      `waiting to clone: ${why}`,
      [],
      Math.max(SOON_MS, Math.min(pause, 1000)),
    );
  }
  const leaving = withdraw(s, 'join.clone', 'cloning');
  if (leaving !== null) return leaving;
  return decision(
    seen,
    'join.clone',
    `the data directory is empty; cloning from ${from.name}`,
    [{ do: 'startJob', job: { kind: 'clone', from, why: 'the data directory is empty' } }],
    SOON_MS,
  );
}

/** A running member with the clonefrom tag, else the leader; the leader after a failure (contract 2.8). */
export function cloneSource(s: Situation, leader: Member): Upstream | null {
  const { seen, cluster } = s;
  // Whom /sync names may lead as soon as it is consistent: only the leader's copy has everything (S5).
  if (isNamed(s)) return upstreamOf(leader);
  const tagged = cluster.members.filter(
    (member) =>
      member.tags.clonefrom &&
      member.state === 'running' &&
      member.name !== seen.name &&
      member.name !== leader.name,
  );
  const source = seen.memory.failures.length > 0 ? undefined : tagged[0];
  const member = source ?? memberNamed(cluster, leader.name);
  return member === null ? null : upstreamOf(member);
}

/** Remaining pause after failed work, ms; 0 when the next try is due. */
export function pauseAfterFailure(seen: Observation): number {
  const { failures } = seen.memory;
  const last = failures.at(-1);
  // The first failure is repeated at once: two clones on a fresh primary can step on each other.
  if (last === undefined || failures.length < 2) return 0;
  return Math.max(0, last.at + rejoinBackoffMs(failures.length - 1) - seen.now);
}

function waitForLeader({ seen, cluster }: Situation): Decision | null {
  if (!empty(seen)) return null;
  const why =
    cluster.initialize.kind === 'bootstrapping'
      ? `${cluster.initialize.owner ?? 'another member'} is bootstrapping`
      : seen.settings.paused
        ? 'paused with an empty data directory'
        : 'waiting for leader to bootstrap';
  return decision(seen, 'join.wait-for-leader', why, [], 1000);
}
