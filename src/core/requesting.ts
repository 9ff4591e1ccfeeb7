/** What an operator asked of this node itself: restart, reinitialize (contract 3.6, 5.19; rules S7, S9). */
import type { RequestAnswer, RestartFilter, RestartRequest } from './asked.ts';
import { followTarget } from './following.ts';
import { cloneSource } from './joining.ts';
import type { Decision, JobKind, Member, Upstream } from './model.ts';
import {
  decision,
  type Rule,
  runningJob,
  runsAsPrimary,
  runsAsStandby,
  type Situation,
  upstreamOf,
} from './rules.ts';
import { due } from './schedule.ts';
import { withdraw } from './withdrawing.ts';

const SOON_MS = 200;

export const requesting: readonly Rule[] = [
  { id: 'request.restart', when: restart },
  { id: 'request.reinitialize', when: reinitialize },
  { id: 'request.scheduled-restart', when: scheduledRestart },
];

/** Words of contract 3.6, each with the reason in ours. */
const NOT_SATISFIED = 'restart conditions are not satisfied';
const STILL_STARTING = 'postgres is still starting';
const NO_LEADER = 'Cluster has no leader, can not reinitialize';

function answer(s: Situation, rule: string, text: string, why: string): Decision | null {
  const { seen } = s;
  if (seen.request === null) return null;
  const told: RequestAnswer = { status: 503, text, why };
  return decision(
    seen,
    rule,
    `${seen.request.do} refused: ${why}`,
    [{ do: 'answer', request: seen.request.id, ...told }],
    SOON_MS,
  );
}

function restart(s: Situation): Decision | null {
  const { request } = s.seen;
  if (request?.do !== 'restart') return null;
  const refuse = (text: string, why: string): Decision | null =>
    answer(s, 'request.restart', text, why);
  const job = runningJob(s.seen);
  if (job?.kind === 'start') return refuse(STILL_STARTING, `start ${job.detail}: ${job.phase}`);
  if (job !== null) return refuse(`${job.kind} already in progress`, job.phase);
  const unmet = unmetCondition(s, request.filter);
  if (unmet !== null) return refuse(NOT_SATISFIED, unmet);
  const plan = restartAs(s);
  if (typeof plan === 'string') {
    const starting = s.seen.postgres.ready === 'rejecting';
    return refuse(starting ? STILL_STARTING : 'restart failed', plan);
  }
  return begin(s, 'request.restart', plan, request);
}

function begin(
  s: Situation,
  rule: string,
  plan: Exclude<ReturnType<typeof restartAs>, string>,
  { timeoutMs, id }: Pick<RestartRequest, 'timeoutMs'> & { readonly id?: number },
): Decision {
  // Commits would wait for it (contract 5.19).
  const leaving = plan.as === 'standby' ? withdraw(s, rule, 'restarting', 'stops') : null;
  if (leaving !== null) return leaving;
  return decision(
    s.seen,
    rule,
    `asked to restart PostgreSQL as ${plan.as}`,
    [
      ...(id === undefined ? [{ do: 'dropSchedule', why: 'it is carried out' } as const] : []),
      { do: 'startJob', job: { kind: 'restart', ...plan, timeoutMs, request: id ?? null } },
    ],
    SOON_MS,
  );
}

/** As what it is to come up again, or why it cannot be restarted now. */
function restartAs(
  s: Situation,
): { readonly as: 'primary' | 'standby'; readonly upstream: Upstream | null } | string {
  const { seen, otherLeader } = s;
  if (runsAsPrimary(s)) {
    // It comes back as a primary, so the authority for that must last (rule S1).
    if (!s.ours) return 'this primary does not hold the leader key';
    const early = raisedTooEarly(s);
    if (early !== null) return early;
    return s.mayWrite
      ? { as: 'primary', upstream: null }
      : 'the lease is not proven for long enough';
  }
  if (!runsAsStandby(s))
    return seen.postgres.sql.known ? 'PostgreSQL does not run' : seen.postgres.sql.why;
  const target = otherLeader === null ? null : followTarget(s, otherLeader);
  return { as: 'standby', upstream: target === null ? null : upstreamOf(target) };
}

/** A standby may not have less of these than its primary had: its replay stops, and it cannot be promoted. */
const STANDBY_NEEDS: readonly string[] = [
  'max_connections',
  'max_prepared_transactions',
  'max_locks_per_transaction',
  'max_wal_senders',
  'max_worker_processes',
];

/** What is raised is raised on the standbys first (contract 6.4); null: nothing stands in the way. */
function raisedTooEarly({ seen, cluster, sql }: Situation): string | null {
  const raised = (sql?.pendingRestart ?? []).filter(
    ({ name, oldValue, newValue }) =>
      STANDBY_NEEDS.includes(name) && Number(newValue) > Number(oldValue),
  );
  for (const { name, newValue } of raised) {
    const behind = cluster.members.filter(
      (member) =>
        member.name !== seen.name &&
        member.leaseId !== null &&
        waitsFor(member.pendingRestartReason, name),
    );
    if (behind.length > 0)
      return `${name} is raised to ${newValue}: restart ${behind.map((member) => member.name).join(', ')} first, or replay stops there`;
  }
  return null;
}

/** A member that has published that it still runs with less. */
function waitsFor(reason: Member['pendingRestartReason'], name: string): boolean {
  const values = reason?.[name];
  if (typeof values !== 'object' || values === null) return false;
  const { old_value: now, new_value: next } = values as Readonly<Record<string, unknown>>;
  return Number(next) > Number(now);
}

/** Conditions hold for the server that runs now (contract 5.19: checked when it is done). */
function unmetCondition({ sql }: Situation, filter: RestartFilter): string | null {
  if (sql === null) return null;
  const role = sql.inRecovery ? 'replica' : 'primary';
  if (filter.role !== null && filter.role !== role) return `PostgreSQL is a ${role}`;
  if (filter.olderThan !== null && sql.serverVersion >= filter.olderThan)
    return `PostgreSQL has version ${sql.serverVersion}, not below ${filter.olderThan}`;
  if (filter.pendingOnly && sql.pendingRestart.length === 0)
    return 'no setting waits for a restart';
  return null;
}

function scheduledRestart(s: Situation): Decision | null {
  const { seen, sql } = s;
  const plan = seen.scheduledRestart;
  if (plan === null || seen.settings.paused || runningJob(seen) !== null) return null;
  const drop = (why: string): Decision =>
    decision(
      seen,
      'request.scheduled-restart',
      `scheduled restart dropped: ${why}`,
      [{ do: 'dropSchedule', why }],
      SOON_MS,
    );
  const other = plan.postmasterStartTime;
  if (sql !== null && other !== null && sql.postmasterStartTime !== other)
    return drop('PostgreSQL has been restarted since it was asked for');
  const state = due(plan.at, seen);
  if (state.when === 'later') return null;
  if (state.when === 'never') return drop(state.why);
  const unmet = unmetCondition(s, plan.filter);
  if (unmet !== null) return drop(unmet);
  const how = restartAs(s);
  return typeof how === 'string'
    ? null
    : begin(s, 'request.scheduled-restart', how, { timeoutMs: plan.timeoutMs });
}

/** Work that leaves the data directory as it was, or is about to be replaced anyway (rule S9). */
const CANCELLABLE: readonly JobKind[] = ['clone', 'reinitialize', 'start'];

function reinitialize(s: Situation): Decision | null {
  const { seen, cluster, otherLeader } = s;
  const { request } = seen;
  if (request?.do !== 'reinitialize') return null;
  const refuse = (text: string, why: string): Decision | null =>
    answer(s, 'request.reinitialize', text, why);
  if (cluster.leader === null) return refuse(NO_LEADER, 'nobody holds the leader key');
  if (otherLeader === null)
    return refuse('I am the leader, can not reinitialize', 'its data is what the others copy');
  const job = runningJob(seen);
  if (job !== null && !request.force) return refuse(`${job.kind} already in progress`, job.phase);
  if (job !== null) {
    const cancel = CANCELLABLE.includes(job.kind);
    return decision(
      seen,
      'request.reinitialize',
      cancel ? `cancelling ${job.kind} to reinitialize` : `waiting for ${job.kind} to end`,
      cancel ? [{ do: 'cancelJob' }] : [],
      SOON_MS,
    );
  }
  const from = request.fromLeader ? upstreamOf(otherLeader) : cloneSource(s, otherLeader);
  const unreachable = sourceProblem(s);
  if (from === null || unreachable !== null)
    return refuse(NO_LEADER, unreachable ?? `${otherLeader.name} has no address that can be used`);
  const leaving = withdraw(s, 'request.reinitialize', 'reinitializing');
  if (leaving !== null) return leaving;
  return decision(
    seen,
    'request.reinitialize',
    `asked to reinitialize from ${from.name}`,
    [{ do: 'startJob', job: { kind: 'reinitialize', from, request: request.id } }],
    SOON_MS,
  );
}

/** A copy is given up only for one that is there to be had (rule S7). */
function sourceProblem({ seen, cluster }: Situation): string | null {
  if (!seen.upstream.known) return `the leader cannot be reached: ${seen.upstream.why}`;
  const { systemIdentifier, inRecovery, name } = seen.upstream.value;
  if (inRecovery) return `${name} is not a primary yet`;
  const { initialize } = cluster;
  if (initialize.kind === 'initialized' && initialize.systemIdentifier !== systemIdentifier)
    return `${name} has system identifier ${systemIdentifier}, not the cluster's`;
  return null;
}
