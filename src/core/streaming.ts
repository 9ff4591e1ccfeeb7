/**
 * What a primary remembers of its standbys: PostgreSQL gives no event when one goes or stalls, so
 * what was seen at one look is held against the next (rule F1; contract 5.15).
 */
import type { ClusterView, Unconfirmed } from './cluster.ts';
import type { Known } from './known.ts';
import type { PostgresFacts, SqlFacts } from './server.ts';
import { NO_WAITS, rememberWaits, type WaitMemory } from './unconfirmed.ts';

export interface StandbyProgress {
  readonly flushLsn: number;
  /** When `flushLsn` last moved, or had nowhere to move to. */
  readonly movedAt: number;
  /** When it was last seen streaming. */
  readonly streamingAt: number;
}

export interface NamesInForce {
  readonly names: string;
  /** Own flushed position right after, bytes: nothing above it was acknowledged under other names. */
  readonly lsn: number;
  /** The user's own value was asked for. */
  readonly ofUser: boolean;
}

export interface StreamingMemory {
  /** Since when this node has run as a primary; null while it does not. */
  readonly primarySince: number | null;
  /** synchronous_standby_names that this agent brought into force for every process. */
  readonly inForce: NamesInForce | null;
  /** A write of `/sync` may still take effect: until another one has, nothing is built on what is seen. */
  readonly syncUnsettled: boolean;
  /** Since when commits have been waiting for standbys without a break; null while none waits. */
  readonly waitingSince: number | null;
  /** By application name in lower case. */
  readonly standbys: Readonly<Record<string, StandbyProgress>>;
  /** Commits that wait, and those that were given up. */
  readonly waits: WaitMemory;
}

export const NO_STREAMING: StreamingMemory = {
  primarySince: null,
  inForce: null,
  syncUnsettled: false,
  waitingSince: null,
  standbys: {},
  waits: NO_WAITS,
};

/** Commits that have waited this long for a standby that does not move find it stalled, ms. */
const STALL_MS = 1000;

/** Connected, and yet it confirms nothing of what commits are waiting for. */
export function isStalled(memory: StreamingMemory, name: string, now: number): boolean {
  const { waitingSince, standbys } = memory;
  const progress = standbys[name.toLowerCase()];
  if (waitingSince === null || progress === undefined) return false;
  return now - waitingSince >= STALL_MS && now - progress.movedAt >= STALL_MS;
}

export function rememberStreaming(
  before: StreamingMemory,
  now: number,
  postgres: Pick<PostgresFacts, 'sql' | 'postmaster'>,
  cluster: Known<ClusterView>,
  name: string,
): StreamingMemory {
  if (postgres.postmaster.kind === 'none') return NO_STREAMING;
  // No answer says nothing about the standbys (S4).
  if (!postgres.sql.known) return before;
  const sql = postgres.sql.value;
  if (sql.inRecovery) return NO_STREAMING;
  const members = cluster.known
    ? cluster.value.members.map(({ name }) => name.toLowerCase())
    : null;
  const kept = Object.entries(before.standbys).filter(
    ([name]) => members?.includes(name) !== false,
  );
  const { inForce } = before;
  return {
    primarySince: before.primarySince ?? now,
    inForce: inForce?.names === sql.synchronousStandbyNames ? inForce : null,
    syncUnsettled: before.syncUnsettled,
    waitingSince: sql.commitsWait ? (before.waitingSince ?? now) : null,
    standbys: { ...Object.fromEntries(kept), ...progressOf(before, now, sql, members) },
    waits: rememberWaits(before.waits, sql, ownUnconfirmed(name, sql, cluster)),
  };
}

/** What this primary has published of its present life. */
function ownUnconfirmed(
  name: string,
  { timeline }: SqlFacts,
  cluster: Known<ClusterView>,
): Unconfirmed | null {
  const published = cluster.known ? cluster.value.unconfirmed : null;
  return published?.leader === name && published.timeline === timeline ? published : null;
}

function progressOf(
  before: StreamingMemory,
  now: number,
  sql: SqlFacts,
  members: readonly string[] | null,
): Record<string, StandbyProgress> {
  const found: Record<string, StandbyProgress> = {};
  for (const sender of sql.walSenders) {
    const name = sender.applicationName.toLowerCase();
    const { flushLsn } = sender;
    if (sender.state !== 'streaming' || flushLsn === null) continue;
    if (members !== null && !members.includes(name)) continue;
    const last = before.standbys[name];
    const moved = flushLsn !== last?.flushLsn || flushLsn >= (sql.currentLsn ?? 0);
    const movedAt = moved ? now : last.movedAt;
    const stalled = isStalled(
      { ...before, standbys: { [name]: { flushLsn, movedAt, streamingAt: now } } },
      name,
      now,
    );
    found[name] = { flushLsn, movedAt, streamingAt: stalled ? (last?.streamingAt ?? now) : now };
  }
  return found;
}
