/**
 * Health checks: a path, its parameters and a snapshot make 200 or 503 (C-3.2). Pure.
 *
 * On purpose stricter than Patroni: `/`, `/primary` and `/leader` need proven leadership *and* a
 * PostgreSQL that takes writes; Patroni's flag is set by the lock alone, before the promotion ended
 * and after the demotion began (D7). This version leads no standby cluster, so the standby leader's
 * check never passes.
 */
import type { Snapshot } from '../status.ts';
import { cachedView, holdsLeadership, servingPostgres, syncRole, takesWrites } from './facts.ts';
import { leaderPosition, parseBytes } from './lag.ts';

export type HealthStatus = 200 | 503;

type Check = (snapshot: Snapshot, query: URLSearchParams, path: string) => boolean;

interface Rule {
  readonly matches: (path: string) => boolean;
  readonly passes: Check;
  /** Whether `tag_<name>=<value>` parameters restrict it. */
  readonly tagged: boolean;
}

const contains =
  (...words: readonly string[]) =>
  (path: string): boolean =>
    words.some((word) => path.includes(word));

/** Patroni matches by substring, in this order: `/anything-leader-x` is a leader check (C-3.2). */
const RULES: readonly Rule[] = [
  { matches: contains('standby_leader', 'standby-leader'), passes: () => false, tagged: false },
  // In a cluster that is not a standby cluster leader and primary are the same question. A standby
  // cluster's leader stays in recovery; this version does not run one.
  { matches: contains('leader'), passes: isPrimary, tagged: false },
  { matches: contains('master', 'primary', 'read-write'), passes: isPrimary, tagged: false },
  { matches: contains('replica'), passes: isReplica, tagged: true },
  {
    matches: (path) => path.includes('read-only') && !contains('sync', 'quorum')(path),
    passes: (snapshot, query) => isPrimary(snapshot) || isReplica(snapshot, query),
    tagged: true,
  },
  // A PostgreSQL that runs but gives no answers is `unknown`, not running (C-3.3).
  { matches: contains('health'), passes: (s) => servingPostgres(s) !== null, tagged: true },
  { matches: () => true, passes: isSynchronous, tagged: true },
];

/** 200 when the check that `path` asks for passes, else 503. Query parameters: `lag`, `tag_…`. */
export function check(path: string, query: URLSearchParams, snapshot: Snapshot): HealthStatus {
  const asked = path === '/' ? '/primary' : path;
  const rule = RULES.find(({ matches }) => matches(asked));
  if (!rule?.passes(snapshot, query, asked)) return 503;
  return !rule.tagged || hasTags(snapshot, query) ? 200 : 503;
}

/** Leadership proven (or paused, see {@link holdsLeadership}) and PostgreSQL takes writes. */
function isPrimary(snapshot: Snapshot): boolean {
  return holdsLeadership(snapshot) && takesWrites(snapshot);
}

function isReplica(snapshot: Snapshot, query: URLSearchParams): boolean {
  const sql = servingPostgres(snapshot);
  if (sql === null || !sql.inRecovery || snapshot.settings.tags.noloadbalance) return false;
  const allowed = parseBytes(query.get('lag'));
  const leader = leaderPosition(snapshot, sql);
  if (allowed === null || leader === null) return true;
  return leader <= (sql.replayLsn ?? 0) + allowed;
}

/** The checks that need to know `/sync`; here paths are compared whole (C-3.2, step 7). */
function isSynchronous(snapshot: Snapshot, query: URLSearchParams, path: string): boolean {
  const view = cachedView(snapshot);
  if (view === null) return false;
  const role = syncRole(snapshot, view, snapshot.name);
  switch (path) {
    case '/sync':
    case '/synchronous':
      return role === 'sync_standby' && isReplica(snapshot, query);
    case '/quorum':
      return role === 'quorum_standby' && isReplica(snapshot, query);
    case '/async':
    case '/asynchronous':
      return role === null && isReplica(snapshot, query);
    case '/read-only-sync':
    case '/read-only-synchronous':
      return isPrimary(snapshot) || (role === 'sync_standby' && isReplica(snapshot, query));
    case '/read-only-quorum':
      return isPrimary(snapshot) || (role === 'quorum_standby' && isReplica(snapshot, query));
    default:
      return false;
  }
}

/** All `tag_<name>=<value>` parameters must hold; values other than texts compare as `true`, `3`. */
function hasTags(snapshot: Snapshot, query: URLSearchParams): boolean {
  const { raw } = snapshot.settings.tags;
  for (const [parameter, wanted] of query) {
    // An empty value is no condition: Patroni's parser drops such parameters.
    if (!parameter.startsWith('tag_') || wanted === '') continue;
    const value = raw[parameter.slice('tag_'.length)];
    if (value === null || value === undefined) return false;
    if ((typeof value === 'string' ? value : String(value).toLowerCase()) !== wanted) return false;
  }
  return true;
}

/**
 * 200 while the loop turns: paused, or the next tick is not overdue by ttl (running primary) or
 * twice ttl (others). A hung agent is to be restarted by its supervisor (C-3.2).
 */
export function liveness(snapshot: Snapshot): HealthStatus {
  const { settings, nextTickDue, now, paused } = snapshot;
  const grace = takesWrites(snapshot) ? settings.ttlMs : 2 * settings.ttlMs;
  return paused || nextTickDue + grace > now ? 200 : 503;
}

/**
 * 200 on the leader, and on a replica that streams and is not behind by more than `lag` (default
 * `maximum_lag_on_failover`). `mode=write` counts what was received instead of replayed (C-3.2).
 */
export function readiness(query: URLSearchParams, snapshot: Snapshot): HealthStatus {
  if (isPrimary(snapshot)) return 200;
  const sql = servingPostgres(snapshot);
  if (sql?.walReceiver?.status !== 'streaming') return 503;
  const leader = leaderPosition(snapshot, sql);
  // Nobody says where the leader is: ready only while it is known to go on without the store (C-3.2).
  const blind = cachedView(snapshot) === null && sql.walReceiver.latestEndLsn === null;
  if (leader === null || blind) return snapshot.failsafeActive ? 200 : 503;
  const allowed = parseBytes(query.get('lag')) ?? snapshot.settings.maximumLagOnFailover;
  const position = query.get('mode') === 'write' ? sql.receiveLsn : sql.replayLsn;
  return leader - (position ?? 0) <= allowed ? 200 : 503;
}
