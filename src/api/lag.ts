/** The `lag` parameter of health checks and what it is compared with (C-3.2). */
import type { SqlFacts } from '../core/model.ts';
import type { Snapshot } from '../status.ts';

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};

/**
 * Bytes of `16MB`, `1048576`, `1 GB`; null when it cannot be understood, which callers treat as
 * "not given" (C-3.2). Units are PostgreSQL's and case counts.
 */
export function parseBytes(text: string | null): number | null {
  const match = /^\s*([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(text ?? '');
  if (match === null) return null;
  const [, amount, unit] = match;
  const factor = BYTES_PER_UNIT[unit || 'B'];
  return factor === undefined ? null : Math.round(Number(amount) * factor);
}

/**
 * Newest position of the leader that this node has heard of, bytes: from the store's `/status` or
 * from its own walreceiver, whichever is ahead. Null when neither says anything.
 */
export function leaderPosition(snapshot: Snapshot, sql: SqlFacts): number | null {
  const heard = [snapshot.cluster?.status.optime, sql.walReceiver?.latestEndLsn];
  const known = heard.filter((position) => typeof position === 'number');
  return known.length === 0 ? null : Math.max(...known);
}
