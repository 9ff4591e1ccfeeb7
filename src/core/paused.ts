/** Maintenance mode: the daemon watches and keeps the lease, and changes nothing (contract 5.3, 5.9a, 5.10). */

import { leftBehind, racePaused } from './campaigning.ts';
import { followTarget } from './following.ts';
import type { Decision, Step } from './model.ts';
import {
  decision,
  type Rule,
  runsAsPrimary,
  runsAsStandby,
  type Situation,
  upstreamOf,
} from './rules.ts';
import { wantedSlots } from './slots.ts';
import { watchMs } from './synchronous.ts';
import { upkeep } from './upkeep.ts';

export const paused: readonly Rule[] = [
  { id: 'paused.release', when: (s) => (s.seen.settings.paused ? release(s) : null) },
  { id: 'paused.keep', when: (s) => (s.seen.settings.paused ? keep(s) : null) },
  { id: 'paused.candidate', when: (s) => (s.seen.settings.paused ? racePaused(s) : null) },
  { id: 'paused.rejoin', when: (s) => (s.seen.settings.paused ? rejoin(s) : null) },
  { id: 'paused.follow', when: (s) => (s.seen.settings.paused ? follow(s) : null) },
  {
    id: 'paused.wait',
    when: ({ seen }) =>
      seen.settings.paused
        ? decision(seen, 'paused.wait', 'paused: PostgreSQL is left as it is')
        : null,
  },
];

/** A leader without a running primary would hold the key for nothing. */
function release({ seen, ours }: Situation): Decision | null {
  if (!ours) return null;
  const running =
    seen.postgres.postmaster.kind !== 'none' &&
    !(seen.postgres.sql.known && seen.postgres.sql.value.inRecovery);
  if (running) return null;
  return decision(
    seen,
    'paused.release',
    'paused, and PostgreSQL does not run as a primary: releasing the lease',
    [{ do: 'resign', floorLsn: null, timeline: null, candidate: null }],
  );
}

function keep(s: Situation): Decision | null {
  const { seen, cluster, ours } = s;
  if (!runsAsPrimary(s)) return null;
  if (ours)
    return decision(
      seen,
      'paused.keep',
      `paused. I am (${seen.name}), the leader with the lock`,
      upkeep(s),
      watchMs(s),
    );
  if (cluster.leader !== null)
    return decision(seen, 'paused.keep', 'paused: continue to run as primary without the lease');
  const behind = leftBehind(s);
  if (behind !== null)
    return decision(seen, 'paused.keep', `paused: not taking the leader key: ${behind}`);
  return decision(
    seen,
    'paused.keep',
    'paused: running as primary with the leader key free; taking it',
    [{ do: 'campaign', claim: null }],
  );
}

/** What an operator asked for is carried through to the end: a standby that streams (contract 5.13). */
function rejoin(s: Situation): Decision | null {
  const { seen, otherLeader } = s;
  const { postmaster, interrupted, orphans } = seen.postgres;
  const asked = seen.job?.kind === 'handover' || seen.job?.kind === 'reinitialize';
  if (!asked || seen.job?.outcome?.ok !== true || otherLeader === null) return null;
  if (postmaster.kind !== 'none' || orphans > 0 || interrupted !== null) return null;
  const target = followTarget(s, otherLeader);
  const upstream = target === null ? null : upstreamOf(target);
  if (target === null || upstream === null) return null;
  return decision(
    seen,
    'paused.rejoin',
    `paused: starting as a standby of ${target.name} after the ${seen.job?.kind}`,
    [{ do: 'startJob', job: { kind: 'start', as: 'standby', upstream } }],
    250,
  );
}

function follow(s: Situation): Decision | null {
  const { seen, otherLeader, sql } = s;
  if (otherLeader === null || !runsAsStandby(s)) return null;
  const target = followTarget(s, otherLeader);
  const upstream = target === null ? null : upstreamOf(target);
  const receiver = sql?.walReceiver ?? null;
  const connected =
    receiver !== null && receiver.host === upstream?.host && receiver.port === upstream?.port;
  const steps: Step[] = [];
  // Without its slots moving along a standby would keep WAL for as long as the pause lasts.
  const slots = wantedSlots(s);
  if (slots !== null) steps.push(slots);
  if (!connected && upstream !== null) steps.push({ do: 'follow', upstream });
  return decision(seen, 'paused.follow', `paused: following ${target?.name ?? 'nobody'}`, steps);
}
