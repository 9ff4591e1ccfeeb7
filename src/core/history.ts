/**
 * Timeline histories: who descends from whom, by switch points, never by comparing numbers
 * (rule S6; field D44, D46).
 */

/** One ancestor: the timeline, the position where its successor left it (bytes), and why. */
export interface HistoryEntry {
  readonly timeline: number;
  readonly switchLsn: number;
  readonly reason: string;
  /** ISO 8601 with zone; only in the store's `/history`, and only where it is known. */
  readonly at?: string;
  /** Member that led the following timeline; only in the store's `/history`. */
  readonly leader?: string;
}

/** Where a member's WAL ends. */
export interface Position {
  readonly timeline: number;
  /** Bytes. */
  readonly lsn: number;
}

/**
 * The last position that `timeline` shares with the server whose history is given: the switch
 * point when it is an ancestor, Infinity when it is the server's own timeline, null when it is no
 * ancestor at all (field D46: a missing line is divergence, never agreement).
 */
export function sharedUntil(
  timeline: number,
  server: { readonly timeline: number; readonly history: readonly HistoryEntry[] },
): number | null {
  if (timeline === server.timeline) return Number.POSITIVE_INFINITY;
  return server.history.find((entry) => entry.timeline === timeline)?.switchLsn ?? null;
}

/** Timeline of the cluster by its recorded history: last entry + 1; null when unknown (C-2.3). */
export function clusterTimeline(history: readonly HistoryEntry[] | null): number | null {
  if (history === null) return null;
  const last = history.at(-1);
  return last === undefined ? 1 : last.timeline + 1;
}

/**
 * What `/history` should say, given the leader's own history file: rows already recorded keep
 * their time and leader, the newest gets `at` and `leader` (C-2.3).
 */
export function recordedHistory(
  recorded: readonly HistoryEntry[],
  own: readonly HistoryEntry[],
  newest: { readonly at: string | null; readonly leader: string | null },
  maximum: number,
): readonly HistoryEntry[] {
  const rows = own.map((entry, index) => {
    const known = recorded.find(
      (row) => row.timeline === entry.timeline && row.switchLsn === entry.switchLsn,
    );
    if (known?.at !== undefined) return known;
    if (index !== own.length - 1 || newest.at === null) return known ?? entry;
    return {
      ...entry,
      at: newest.at,
      ...(newest.leader === null ? {} : { leader: newest.leader }),
    };
  });
  return maximum > 0 ? rows.slice(-maximum) : rows;
}
