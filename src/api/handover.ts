/**
 * `POST /switchover`, `POST /failover`, `DELETE /switchover` (C-3.7): validation in Patroni's order
 * and words, then the failover key. The leader does the work; any node may be asked.
 */
import { candidateProblem } from '../core/handing.ts';
import type { ClusterView, Member, PeerFacts } from '../core/model.ts';
import { isSynchronous } from '../core/vouching.ts';
import { type Action, awaitLeader } from './awaiting.ts';
import { type Operator, type Reply, reply } from './operator.ts';
import { parseSchedule } from './scheduling.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Wish {
  readonly action: Action;
  readonly leader: string | null;
  readonly candidate: string | null;
  readonly scheduledAt: string | null;
}

/** Patroni gives a peer this long, ms (C-3.8). */
const PEER_MS = 2000;

export async function handOver(
  operator: Operator,
  requested: Action,
  fields: Fields,
): Promise<Reply> {
  const cluster = await operator.store.read();
  const wish = validated(operator, requested, fields);
  if ('status' in wish) return wish;
  if (wish.scheduledAt === null) {
    const refusal = await refusedNow(operator, cluster, wish);
    if (refusal !== null) return refusal;
  }
  const title = titled(wish.action);
  const pending = cluster.failover;
  if (pending !== null && pending.scheduledAt === null) return inProgress(title);
  const { action: _action, ...request } = wish;
  let written: boolean;
  try {
    written = await operator.store.writeFailover(request);
  } catch (error) {
    return reply(503, 'failed to write failover key into DCS', messageOf(error));
  }
  if (!written) return inProgress(title);
  const { action, candidate, scheduledAt } = wish;
  operator.hint(`${action} was asked for`);
  if (scheduledAt !== null) return reply(202, `${title} scheduled`);
  return awaitLeader(operator, { action, candidate, from: cluster.leader?.name ?? null });
}

/** One hand-over at a time: a second request must not take the first one's place (field D71). */
function inProgress(title: string): Reply {
  return reply(409, `${title} is not possible: another one is already in progress`);
}

export function titled(action: Action): string {
  return action === 'failover' ? 'Failover' : 'Switchover';
}

/** Steps 1 to 6 of C-3.7. */
function validated(operator: Operator, requested: Action, fields: Fields): Wish | Reply {
  const { paused } = operator.snapshot();
  const leader = textOf(fields.leader);
  const candidate = textOf(fields.candidate) ?? textOf(fields.member);
  const at = fields.scheduled_at;
  if (requested === 'failover' && candidate === null)
    return reply(400, 'Failover could be performed only to a specific candidate');
  if (requested === 'switchover' && leader === null)
    return reply(400, 'Switchover could be performed only from a specific leader');
  let scheduledAt: string | null = null;
  if (at !== undefined && at !== null && at !== '') {
    if (requested === 'failover') return reply(400, "Failover can't be scheduled");
    if (paused) return reply(400, "Can't schedule switchover in the paused state");
    const parsed = parseSchedule(at, requested, operator.clock.wall().getTime());
    if (typeof parsed !== 'string') return parsed;
    scheduledAt = parsed;
  }
  if (paused && candidate === null)
    return reply(400, 'Switchover is possible only to a specific candidate in a paused state');
  const action = leader === null ? requested : 'switchover';
  if (leader === candidate) return reply(400, 'Switchover target and source are the same');
  return { action, leader, candidate, scheduledAt };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Step 7: what can be said at once, then what the members themselves say. */
async function refusedNow(
  operator: Operator,
  cluster: ClusterView,
  wish: Wish,
): Promise<Reply | null> {
  const { action, leader, candidate } = wish;
  if (leader !== null && cluster.leader?.name !== leader)
    return reply(412, 'leader name does not match');
  const { synchronousMode } = operator.snapshot().settings;
  const synchronous = synchronousMode !== 'off';
  if (candidate !== null) {
    const must = action === 'switchover' && synchronousMode === 'on';
    if (must && !isSynchronous(candidate, cluster))
      return reply(412, 'candidate name does not match with sync_standby');
    if (!cluster.members.some(({ name }) => name === candidate))
      return reply(412, 'candidate does not exists');
  }
  const members = cluster.members.filter(({ name }) =>
    candidate !== null
      ? name === candidate
      : name !== cluster.leader?.name && (!synchronous || isSynchronous(name, cluster)),
  );
  if (members.length === 0) {
    const why = synchronous
      ? 'can not find sync_standby'
      : 'cluster does not have members except leader';
    return reply(412, `${action} is not possible: ${why}`);
  }
  const problems = await problemsOf(operator, cluster, members, wish);
  if (problems.length < members.length) return null;
  return reply(
    412,
    `${action} is not possible: no good candidates have been found`,
    problems.join('; '),
  );
}

/** The leader is asked as well: what it stands at now is what a candidate is held against (F3). */
async function problemsOf(
  operator: Operator,
  cluster: ClusterView,
  members: readonly Member[],
  { leader }: Wish,
): Promise<readonly string[]> {
  const current = cluster.members.filter(({ name }) => name === cluster.leader?.name);
  const answers = await operator.peers.ask([...members, ...current], PEER_MS);
  const from = positionOf(cluster, answers);
  const { settings } = operator.snapshot();
  return members.flatMap((member) => {
    const manual = leader === null;
    const problem = candidateProblem(member, answers, from, cluster, settings, manual);
    return problem === null ? [] : [`${member.name} ${problem}`];
  });
}

/** Without a leader nobody can be behind it: that is what a manual failover is for (C-3.7). */
function positionOf(
  cluster: ClusterView,
  answers: readonly PeerFacts[],
): { readonly position: number | null; readonly timeline: number | null } {
  const { leader } = cluster;
  if (leader === null) return { position: null, timeline: null };
  const answer = answers.find(({ name }) => name === leader.name)?.answer;
  if (answer?.known !== true) return { position: cluster.status.optime, timeline: null };
  return { position: answer.value.position, timeline: answer.value.timeline };
}

/** `DELETE /switchover`: only what is scheduled can be withdrawn. */
export async function deleteSwitchover(operator: Operator): Promise<Reply> {
  const { failover } = await operator.store.read();
  if (failover === null || failover.scheduledAt === null)
    return reply(404, 'no switchover is scheduled');
  const withdrawn = await operator.store.deleteFailover(failover.modRevision);
  if (!withdrawn) return reply(409, 'the failover key has changed meanwhile');
  operator.hint('the scheduled switchover was withdrawn');
  return reply(200, 'scheduled switchover deleted');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
