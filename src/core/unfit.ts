/**
 * This node holds the leader key and cannot serve, and no ordinary way back ends in time: a disk
 * that hangs or cannot be read, a stop that does not come to its end, a server that is there and says
 * nothing. Everything of PostgreSQL is sent SIGKILL first, which is what allows the release (rules
 * S1, F2; field D10, D67). Or it must not serve, as the watchdog that is required does not work.
 */
import { failoverPossible } from './candidates.ts';
import type { Decision } from './model.ts';
import {
  decision,
  type Rule,
  runningJob,
  runsAsPrimary,
  runsAsStandby,
  type Situation,
} from './rules.ts';
import { hungMs } from './silence.ts';

/** A directory that cannot be read for this long will not be started from, ms. */
const UNREADABLE_MS = 5000;
/** Beyond primary_start_timeout, for work that is under way to come to its own end, ms. */
const STUCK_MS = 30_000;
/** For what was sent SIGKILL to be gone, ms. */
const SOON_MS = 250;

export const unfit: readonly Rule[] = [
  { id: 'lead.hung', when: hung },
  { id: 'lead.disk-hangs', when: diskHangs },
  { id: 'lead.unreadable', when: unreadable },
  { id: 'lead.stuck', when: stuck },
  { id: 'lead.watchdog', when: unwatched },
];

function downMs({ seen }: Situation): number {
  const { primaryDownSince } = seen.memory;
  return primaryDownSince === null ? 0 : seen.now - primaryDownSince;
}

function letOthersLead(s: Situation, rule: string, why: string): Decision {
  return decision(
    s.seen,
    rule,
    `${why}; ending PostgreSQL and releasing the lease`,
    [{ do: 'killEverything' }, { do: 'resign', floorLsn: null, timeline: null, candidate: null }],
    1000,
  );
}

/**
 * It runs, holds the key and serves nobody: ended before the key goes, as it may come back to life.
 * Where nobody else can lead it is ended as well, and started again in place.
 */
function hung(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  const { postmaster, silent } = seen.postgres;
  if (!ours || seen.settings.paused || postmaster.kind !== 'alive' || silent === undefined)
    return null;
  const silentMs = hungMs(seen.memory.silence, seen.now, seen.settings.ttlMs);
  if (silentMs === null) return null;
  const why = `PostgreSQL hangs: no sign of life for ${Math.round(silentMs / 1000)} s (${silent})`;
  if (failoverPossible(cluster, seen.name, seen.settings))
    return letOthersLead(s, 'lead.hung', why);
  return decision(
    seen,
    'lead.hung',
    `${why}; ending it, to start it again: no other member can lead`,
    [{ do: 'killEverything' }],
    SOON_MS,
  );
}

/** Queries are answered from memory, and nothing that is written is ever acknowledged (field D67). */
function diskHangs(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  if (!ours || seen.settings.paused || !runsAsPrimary(s)) return null;
  const silentMs = hungMs(seen.memory.diskSilence, seen.now, seen.settings.ttlMs);
  if (silentMs === null || !failoverPossible(cluster, seen.name, seen.settings)) return null;
  const seconds = Math.round(silentMs / 1000);
  return letOthersLead(
    s,
    'lead.disk-hangs',
    `the data disk hangs: neither the daemon nor PostgreSQL could write to it for ${seconds} s`,
  );
}

function unreadable(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  const { dataDirectory, interrupted } = seen.postgres;
  if (!ours || seen.settings.paused || runsAsPrimary(s) || interrupted !== null) return null;
  if (dataDirectory.kind !== 'unreadable' && dataDirectory.kind !== 'foreign') return null;
  if (downMs(s) < UNREADABLE_MS || !failoverPossible(cluster, seen.name, seen.settings))
    return null;
  return letOthersLead(s, 'lead.unreadable', `data directory: ${dataDirectory.why}`);
}

/**
 * Nothing would reset this machine when all else fails, and the operator wants no primary without
 * that: a primary is stopped, a standby gives the key back (contract 5.10).
 */
function unwatched(s: Situation): Decision | null {
  const { seen, ours } = s;
  const { watchdogFailure: failure, postgres } = seen;
  if (!ours || seen.settings.paused || failure === null || runningJob(seen) !== null) return null;
  const safe = runsAsStandby(s) || (postgres.postmaster.kind === 'none' && postgres.orphans === 0);
  return decision(
    seen,
    'lead.watchdog',
    `watchdog.mode is required, and ${failure}; ${safe ? 'releasing the lease' : 'stopping PostgreSQL'}`,
    safe
      ? [{ do: 'resign', floorLsn: null, timeline: null, candidate: null }]
      : [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }],
    SOON_MS,
  );
}

function stuck(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  if (!ours || seen.settings.paused || runsAsPrimary(s)) return null;
  if (downMs(s) < seen.settings.primaryStartTimeoutMs + STUCK_MS) return null;
  const job = runningJob(seen);
  // A promotion may take as long as replay does; a hand-over has a time of its own.
  if (job?.kind === 'promote' || (job !== null && seen.now - job.startedAt < STUCK_MS)) return null;
  if (!failoverPossible(cluster, seen.name, seen.settings)) return null;
  const what =
    job === null ? 'PostgreSQL does not come back' : `${job.kind} does not come to its end`;
  return letOthersLead(s, 'lead.stuck', `${what} (down for ${Math.round(downMs(s) / 1000)} s)`);
}
