/** A job is in progress on the local PostgreSQL (rule S9). */

import type { Decision } from './model.ts';
import { decision, memberNamed, type Rule, runningJob, type Situation } from './rules.ts';

export const busy: readonly Rule[] = [
  { id: 'busy.lost-leadership', when: lostLeadership },
  { id: 'busy.source-gone', when: sourceGone },
  { id: 'busy.upstream-gone', when: upstreamGone },
  {
    id: 'busy.wait',
    when: ({ seen }) => {
      const job = runningJob(seen);
      return job === null
        ? null
        : decision(seen, 'busy.wait', `${job.kind} ${job.detail} in progress: ${job.phase}`);
    },
  },
];

/** A start as primary must not outlive the authority for it. The fence covers the rest. */
function lostLeadership({ seen, otherLeader }: Situation): Decision | null {
  const job = runningJob(seen);
  const asPrimary =
    (job?.kind === 'start' || job?.kind === 'restart') && job.detail === 'as primary';
  if (!asPrimary || otherLeader === null) return null;
  return decision(
    seen,
    'busy.lost-leadership',
    `${otherLeader.name} took the lease while PostgreSQL was starting`,
    [{ do: 'cancelJob' }],
    100,
  );
}

const STANDBY_OF = 'as standby of ';
/** A start that is nearly there is not cut for a new leader, ms. */
const STARTING_MS = 10_000;

/** A standby that is not consistent yet waits for WAL that only its upstream could send. */
function upstreamGone({ seen, otherLeader }: Situation): Decision | null {
  const job = runningJob(seen);
  if (job?.kind !== 'start' || !job.detail.startsWith(STANDBY_OF) || otherLeader === null)
    return null;
  const upstream = job.detail.slice(STANDBY_OF.length);
  if (upstream === otherLeader.name || upstream === seen.settings.tags.replicatefrom) return null;
  if (seen.now - job.startedAt < STARTING_MS) return null;
  return decision(
    seen,
    'busy.upstream-gone',
    `starting as a standby of ${upstream}, but ${otherLeader.name} leads; beginning anew`,
    [{ do: 'cancelJob' }],
    100,
  );
}

/** A clone from a member that is gone cannot end well; a rewind must not be cut (rule S9). */
function sourceGone({ seen, cluster }: Situation): Decision | null {
  const job = runningJob(seen);
  const copies = job?.kind === 'clone' || job?.kind === 'reinitialize';
  if (!copies || memberNamed(cluster, job.detail) !== null) return null;
  return decision(
    seen,
    'busy.source-gone',
    `${job.detail} is gone, cancelling the clone from it`,
    [{ do: 'cancelJob' }],
    100,
  );
}
