/**
 * Commits whose wait for standbys was ended before one had confirmed them: a cancel, a terminated
 * backend. They are visible, their clients were warned, and a failover may lose them (field D38,
 * promise P2). PostgreSQL counts them nowhere, so one look at who waits is held against the next.
 */
import type { Unconfirmed } from './cluster.ts';
import { includesName, parseRequirement } from './guarantee.ts';
import type { SqlFacts } from './server.ts';

/** A commit that waits, or has just ceased to. */
interface Wait {
  readonly id: string;
  /** Its record ends above this: it did not wait yet when so much was flushed. */
  readonly low: number;
  /** And not above this: so much was flushed when it was first seen waiting. */
  readonly high: number;
  /** Too few standbys were connected to confirm it when it was last seen waiting. */
  readonly alone: boolean;
}

export interface WaitMemory {
  /** synchronous_standby_names that all of this was seen under. */
  readonly names: string;
  /** Own flushed position at the last look. */
  readonly flushed: number;
  readonly waiting: readonly Wait[];
  /** Ceased to wait between the last look and the one before it. */
  readonly ended: readonly Wait[];
  /** Given up so far and confirmed by nobody since; null: none. */
  readonly total: Pick<Unconfirmed, 'lsn' | 'count'> | null;
}

export const NO_WAITS: WaitMemory = {
  names: '',
  flushed: 0,
  waiting: [],
  ended: [],
  total: null,
};

/** Up to where enough standbys have confirmed; null: not enough of them are there, or nobody is asked. */
export function confirmedLsn(sql: SqlFacts): number | null {
  const required = parseRequirement(sql.synchronousStandbyNames);
  if (required === null || required.count === 0) return null;
  const byName = new Map<string, number>();
  for (const { applicationName, state, flushLsn } of sql.walSenders) {
    if (state !== 'streaming' || flushLsn === null) continue;
    if (!includesName(required.names, applicationName)) continue;
    const name = applicationName.toLowerCase();
    byName.set(name, Math.max(flushLsn, byName.get(name) ?? 0));
  }
  const flushed = [...byName.values()].sort((one, other) => other - one);
  return flushed[required.count - 1] ?? null;
}

/** @param published what the store has of this primary's present life, when nothing is remembered */
export function rememberWaits(
  before: WaitMemory,
  sql: SqlFacts,
  published: Unconfirmed | null,
): WaitMemory {
  const names = sql.synchronousStandbyNames;
  const flushed = sql.currentLsn ?? before.flushed;
  const confirmed = confirmedLsn(sql);
  // Under other names other standbys confirm, and none at all with no names: nothing can be told.
  const same = before.names === names && parseRequirement(names) !== null && names !== '';
  const known = new Map(before.waiting.map((wait) => [wait.id, wait]));
  const waiting = sql.waitingCommits.map(
    (id): Wait => ({
      ...(known.get(id) ?? { id, low: before.flushed, high: flushed }),
      alone: confirmed === null,
    }),
  );
  const present = new Set(sql.waitingCommits);
  const ended = same ? before.waiting.filter(({ id }) => !present.has(id)) : [];
  // A look behind: what released them may have come after the standbys were looked at.
  const givenUp = same
    ? before.ended.filter(({ low, alone }) => (confirmed === null ? alone : confirmed <= low))
    : [];
  return {
    names,
    flushed,
    waiting,
    ended,
    total: total(before, givenUp, confirmed, published),
  };
}

function total(
  before: WaitMemory,
  givenUp: readonly Wait[],
  confirmed: number | null,
  published: Unconfirmed | null,
): WaitMemory['total'] {
  const former = before.total ?? published;
  const count = (former?.count ?? 0) + givenUp.length;
  const lsn = Math.max(former?.lsn ?? 0, ...givenUp.map(({ high }) => high));
  // Standbys that have come back hold them by now.
  if (count === 0 || (confirmed !== null && confirmed >= lsn)) return null;
  return { count, lsn };
}

/** What became of a former primary's commits that nobody had confirmed, for people. */
export function fateOf(
  { leader, timeline, lsn, count }: Unconfirmed,
  switchLsn: number | null,
  at: string,
): string {
  const what = `${count} ${count === 1 ? 'commit' : 'commits'} visible on ${leader} up to ${at} on timeline ${timeline} had not been confirmed by standbys (their wait was cancelled)`;
  if (switchLsn === null) return `${what}; what became of them is not known`;
  return switchLsn >= lsn ? `${what}; they were kept` : `${what}; they are lost, or some of them`;
}
