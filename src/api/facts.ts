/**
 * The few questions that every view asks of a snapshot. Pure; nothing is cached, so that a
 * deadline that has just passed or a demotion that has just begun counts in the next answer (D7).
 */
import type { ClusterView, SqlFacts } from '../core/model.ts';
import type { Snapshot } from '../status.ts';

/**
 * Facts of a PostgreSQL that serves clients, else null.
 *
 * The facts are as old as the last tick, but `state` and `role` change the moment a stop begins.
 * So both must agree: whatever was last seen, a PostgreSQL that is being stopped does not serve
 * (D7). While a hand-over still checkpoints, its state is `running`, and it serves (rule F4).
 */
export function servingPostgres(snapshot: Snapshot): SqlFacts | null {
  const { postgres, state } = snapshot;
  if (state !== 'running' || postgres === null || !postgres.sql.known) return null;
  if (postgres.postmaster.kind !== 'alive' || postgres.ready === 'rejecting') return null;
  return postgres.sql.value;
}

/** True when PostgreSQL is a primary that accepts writes. Says nothing about being allowed to. */
export function takesWrites(snapshot: Snapshot): boolean {
  const sql = servingPostgres(snapshot);
  return sql !== null && !sql.inRecovery && snapshot.role !== 'demoted';
}

/**
 * True while this node may be the leader.
 *
 * Not in pause: only before the deadline of the last proven renewal (rule S1). `snapshot.now` is
 * the time of asking, so the answer turns without a tick. The view of the store is not asked: it
 * is older than the proof.
 *
 * In pause the deadline is not in force (rule S1). Then the holder of the leader key by name in the
 * last view leads, however old that view is: nobody else can have been elected in pause. Without
 * any view the role of PostgreSQL has to do (C-3.2 a), which the callers check in any case.
 */
export function holdsLeadership(snapshot: Snapshot): boolean {
  const { leaderDeadline, now, paused, cluster, name } = snapshot;
  if (leaderDeadline !== null && now < leaderDeadline) return true;
  if (!paused) return false;
  return cluster === null || cluster.leader?.name === name;
}

/** The last view of the store while it is younger than ttl: Patroni's "cached cluster" (C-2.6). */
export function cachedView(snapshot: Snapshot): ClusterView | null {
  const { cluster, clusterReadAt, now, settings } = snapshot;
  if (cluster === null || clusterReadAt === null) return null;
  return now - clusterReadAt < settings.ttlMs ? cluster : null;
}

export type SyncRole = 'sync_standby' | 'quorum_standby';

/**
 * Whether `name` is a synchronous standby by `/sync`. Only while synchronous mode is on and /sync
 * names a leader; names there are compared without case (C-2.3).
 */
export function syncRole(snapshot: Snapshot, view: ClusterView, name: string): SyncRole | null {
  if (snapshot.settings.synchronousMode === 'off' || !view.sync?.leader) return null;
  const wanted = name.toLowerCase();
  if (!view.sync.standbys.some((standby) => standby.toLowerCase() === wanted)) return null;
  return snapshot.settings.synchronousMode === 'quorum' ? 'quorum_standby' : 'sync_standby';
}

/** What can be said while PostgreSQL gives no answer: nothing of what it said before (rule S4). */
export function withoutAnswers(snapshot: Snapshot): Snapshot {
  const { postgres } = snapshot;
  if (postgres === null) return snapshot;
  const sql = { known: false, why: 'no answer in time' } as const;
  return { ...snapshot, postgres: { ...postgres, ready: 'no answer', sql } };
}
