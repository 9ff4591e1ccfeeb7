/** The agent was told to stop: hand the lease over, stop PostgreSQL, go (contract 5.13; F4, S8). */
import { failoverPossible, handoverCandidates } from './candidates.ts';
import type { Decision, Observation } from './model.ts';
import {
  decision,
  type Rule,
  runningJob,
  runsAsPrimary,
  runsAsStandby,
  type Situation,
} from './rules.ts';
import { withdraw } from './withdrawing.ts';

const SOON_MS = 200;
const CANCELLABLE: readonly string[] = ['clone', 'bootstrap', 'start', 'restart', 'reinitialize'];

export const leaving: readonly Rule[] = [
  { id: 'leave.finish-job', when: (s) => (s.seen.stopping ? finishJob(s.seen) : null) },
  {
    id: 'leave.paused',
    when: ({ seen }) =>
      seen.stopping && seen.settings.paused
        ? decision(seen, 'leave.paused', 'paused: PostgreSQL and the leader key stay as they are', [
            { do: 'exit', code: 0, message: 'stopped while paused' },
          ])
        : null,
  },
  { id: 'leave.stopped', when: stopped },
  { id: 'leave.hand-over', when: handOver },
  {
    id: 'leave.sync',
    when: (s) =>
      s.seen.stopping && runsAsStandby(s)
        ? withdraw(s, 'leave.sync', 'stopping PostgreSQL', 'stops')
        : null,
  },
  { id: 'leave.replaced', when: replaced },
  { id: 'leave.stop', when: ({ seen }) => (seen.stopping ? stopServer(seen) : null) },
];

/** The same without a view of the store: PostgreSQL is stopped, the lease runs out by itself. */
export function leaveBlind(seen: Observation): Decision {
  return (
    finishJob(seen) ??
    (seen.postgres.postmaster.kind === 'none' && seen.postgres.orphans === 0
      ? decision(seen, 'leave.stopped-blind', 'PostgreSQL is stopped; the store cannot be told', [
          { do: 'exit', code: 0, message: 'stopped; the lease runs out by itself' },
        ])
      : stopServer(seen))
  );
}

function finishJob(seen: Observation): Decision | null {
  const job = runningJob(seen);
  if (job === null) return null;
  // A primary that was being restarted has to run again before it can hand over without loss.
  const needed = job.kind === 'restart' && job.detail === 'as primary';
  const cancel = CANCELLABLE.includes(job.kind) && !needed;
  return decision(
    seen,
    'leave.finish-job',
    cancel ? `cancelling ${job.kind} before stopping` : `stopping after ${job.kind} has ended`,
    cancel ? [{ do: 'cancelJob' }] : [],
    SOON_MS,
  );
}

function stopped(s: Situation): Decision | null {
  const { seen, ours } = s;
  if (!seen.stopping || seen.postgres.postmaster.kind !== 'none') return null;
  if (seen.postgres.orphans > 0) {
    return decision(
      seen,
      'leave.stopped',
      'ending processes that outlived their postmaster',
      [{ do: 'killOrphans' }],
      SOON_MS,
    );
  }
  // A primary that was shut down cleanly may hold rows that nobody else has: its lease is left to
  // run out, so that this node can come back first (F4).
  const { control } = seen.postgres;
  const mayHoldMore =
    control.known && control.value.state === 'shut down' && seen.memory.lastRole === 'primary';
  if (ours && mayHoldMore && failoverPossible(s.cluster, seen.name, seen.settings)) {
    return decision(
      seen,
      'leave.stopped',
      'PostgreSQL is stopped, and no other member holds everything; the lease is left to run out',
      [{ do: 'exit', code: 0, message: 'stopped; the lease runs out by itself' }],
    );
  }
  return decision(seen, 'leave.stopped', 'PostgreSQL is stopped', [
    ...(ours ? [{ do: 'resign', floorLsn: null, timeline: null, candidate: null } as const] : []),
    { do: 'exit', code: 0, message: 'stopped' },
  ]);
}

function handOver(s: Situation): Decision | null {
  const { seen, ours, cluster } = s;
  if (!seen.stopping || !ours || !runsAsPrimary(s)) return null;
  if (seen.job?.kind === 'handover' && seen.job.outcome?.ok === false) return null;
  const candidates = handoverCandidates(cluster, seen.name, seen.settings);
  return decision(
    seen,
    'leave.hand-over',
    candidates.length > 0
      ? `handing the lease over to one of ${candidates.join(', ')}`
      : 'no other member can take over; stopping and releasing the lease',
    [
      {
        do: 'startJob',
        job: { kind: 'handover', candidates, named: null, thenStandby: false, request: null },
      },
    ],
    SOON_MS,
  );
}

/** A primary that others have replaced takes no more writes, not even for the time of a fast stop (S1). */
function replaced(s: Situation): Decision | null {
  const { seen, otherLeader } = s;
  if (!seen.stopping || otherLeader === null || !runsAsPrimary(s)) return null;
  return decision(
    seen,
    'leave.replaced',
    `stopping PostgreSQL at once: ${otherLeader.name} leads`,
    [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }],
    SOON_MS,
  );
}

function stopServer(seen: Observation): Decision {
  const failed = seen.job?.kind === 'stop' && seen.job.outcome?.ok === false;
  const mode = failed ? 'immediate' : 'fast';
  return decision(
    seen,
    'leave.stop',
    failed
      ? `fast stop failed: ${seen.job?.outcome?.why ?? ''}; stopping at once`
      : 'stopping PostgreSQL',
    [{ do: 'startJob', job: { kind: 'stop', mode, becomeStandby: true } }],
    SOON_MS,
  );
}
