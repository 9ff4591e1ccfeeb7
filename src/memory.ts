/**
 * What one tick has to tell the next. Everything that decisions remember is here, so that an
 * observation is complete and any decision replays as a test.
 */
import type {
  ClusterView,
  JobState,
  Known,
  LeaseFacts,
  Member,
  Memory,
  PostgresFacts,
} from './core/model.ts';
import { DISK_HEARD, HEARD, rememberDisk, rememberSilence } from './core/silence.ts';
import { rememberSlots } from './core/slots.ts';
import { NO_STREAMING, rememberStreaming } from './core/streaming.ts';

/** Failures kept: enough for the longest pause between tries. */
const FAILURES_KEPT = 10;
const COUNTED: readonly string[] = [
  'bootstrap',
  'clone',
  'reinitialize',
  'rewind',
  'start',
  'restart',
  'promote',
];
/** Work that ends PostgreSQL on purpose. */
const STOPPING: readonly string[] = ['stop', 'handover', 'restart', 'reinitialize'];
/** Unplanned ends kept: more than make a loop. */
const CRASHES_KEPT = 5;

export function newMemory(
  startedAt: number,
  disk: { readonly promotedHere: readonly number[]; readonly leaseId: string | null },
): Memory {
  return {
    startedAt,
    lastLeader: null,
    leaderlessSince: null,
    memberSince: null,
    primaryDownSince: null,
    lastRole: null,
    failures: [],
    promotedHere: disk.promotedHere,
    formerLeaseId: disk.leaseId,
    historyWrittenFor: null,
    notStreamingSince: null,
    postmaster: null,
    crashes: [],
    failedHandover: null,
    streaming: NO_STREAMING,
    silence: HEARD,
    diskSilence: DISK_HEARD,
    promotionRefused: null,
    withdrawingSince: null,
    memberSlots: {},
  };
}

export interface Look {
  readonly now: number;
  readonly name: string;
  readonly cluster: Known<ClusterView>;
  readonly postgres: PostgresFacts;
  readonly lease: LeaseFacts;
  /** The job in progress, or the last one. */
  readonly job: JobState | null;
  /** A job that has ended since the last look, null when none has. */
  readonly ended: JobState | null;
}

export function remember(before: Memory, look: Look): Memory {
  const { now, postgres } = look;
  const sql = postgres.sql.known ? postgres.sql.value : null;
  const streaming = sql?.walReceiver?.status === 'streaming';
  return {
    ...before,
    ...leaders(before, look),
    memberSince: memberSince(before, look),
    primaryDownSince: primaryDownSince(before, look),
    lastRole: sql === null ? before.lastRole : sql.inRecovery ? 'replica' : 'primary',
    failures: failures(before, look, streaming || sql?.inRecovery === false),
    notStreamingSince:
      sql?.inRecovery === true && !streaming ? (before.notStreamingSince ?? now) : null,
    ...crashes(before, look),
    failedHandover: failedHandover(before, look),
    promotionRefused: promotionRefused(before, look),
    streaming: rememberStreaming(before.streaming, now, postgres, look.cluster, look.name),
    memberSlots: rememberSlots(before.memberSlots, now, look.cluster),
    silence: rememberSilence(before.silence, now, postgres, look.job?.outcome === null),
    diskSilence: rememberDisk(before.diskSilence, now, postgres),
  };
}

/**
 * An end of a primary that nothing of ours had begun, while the lease was good: then the fence was
 * not it either (field D69).
 */
function crashes(
  before: Memory,
  { now, postgres, lease, job, ended }: Look,
): Pick<Memory, 'postmaster' | 'crashes'> {
  const { postmaster } = postgres;
  if (postmaster.kind === 'alive') {
    const { pid, startTicks } = postmaster;
    return { postmaster: { pid, startTicks }, crashes: before.crashes };
  }
  // It may have ended again before anybody saw it run.
  const sawItRun = before.postmaster !== null || (ended?.kind === 'start' && ended.outcome?.ok);
  if (postmaster.kind === 'unknown' || !sawItRun)
    return { postmaster: before.postmaster, crashes: before.crashes };
  const meant =
    (job !== null && job.outcome === null) || (ended !== null && STOPPING.includes(ended.kind));
  const proven = lease.holdsLeaderKey && lease.deadline !== null && now < lease.deadline;
  if (meant || !proven || before.lastRole !== 'primary')
    return { postmaster: null, crashes: before.crashes };
  return { postmaster: null, crashes: [...before.crashes, now].slice(-CRASHES_KEPT) };
}

function failedHandover(before: Memory, { ended }: Look): Memory['failedHandover'] {
  if (ended?.kind !== 'handover' || ended.request === undefined) return before.failedHandover;
  if (ended.outcome?.ok !== false) return null;
  return { request: ended.request, why: ended.outcome.why };
}

function promotionRefused(before: Memory, { ended }: Look): Memory['promotionRefused'] {
  if (ended?.kind !== 'promote' || ended.outcome === null) return before.promotionRefused;
  if (ended.outcome.refused) return ended.outcome.endedAt;
  return ended.outcome.ok ? null : before.promotionRefused;
}

function leaders(
  before: Memory,
  { now, name, cluster }: Look,
): Pick<Memory, 'lastLeader' | 'leaderlessSince'> {
  if (!cluster.known)
    return { lastLeader: before.lastLeader, leaderlessSince: before.leaderlessSince };
  const { leader, members } = cluster.value;
  if (leader === null) {
    const lastLeader = before.lastLeader ?? presumedLeader(name, members);
    return { lastLeader, leaderlessSince: before.leaderlessSince ?? now };
  }
  const record = members.find((member) => member.name === leader.name);
  // A record that is gone for a moment says nothing about which daemon its member runs.
  const same = before.lastLeader?.name === leader.name ? before.lastLeader.tenure : false;
  const tenure = record === undefined ? same : record.tenure !== null;
  const wasPaused = before.lastLeader?.name === leader.name && before.lastLeader.paused === true;
  const paused = (record === undefined ? wasPaused : record.pause) && { paused: true };
  return {
    lastLeader: { name: leader.name, leaseId: leader.leaseId, tenure, ...paused },
    leaderlessSince: null,
  };
}

/**
 * An agent that has just begun has seen nobody lead. Whose record says that it is a primary, under a
 * lease that lives, may have led until its key was deleted by hand, and write on (rule S1).
 */
function presumedLeader(name: string, members: readonly Member[]): Memory['lastLeader'] {
  const [found] = members
    .filter((one) => one.name !== name && one.role === 'primary' && one.leaseId !== null)
    .sort((one, other) => (other.timeline ?? 0) - (one.timeline ?? 0));
  if (found === undefined) return null;
  return { name: found.name, leaseId: found.leaseId, tenure: found.tenure !== null };
}

function memberSince(before: Memory, { now, name, cluster }: Look): number | null {
  if (!cluster.known) return before.memberSince;
  const here = cluster.value.members.some((member) => member.name === name);
  return here ? (before.memberSince ?? now) : null;
}

function primaryDownSince(before: Memory, { now, postgres, lease }: Look): number | null {
  if (!lease.holdsLeaderKey) return null;
  if (postgres.sql.known && !postgres.sql.value.inRecovery) return null;
  return before.primaryDownSince ?? now;
}

function failures(before: Memory, { now, ended }: Look, healthy: boolean): Memory['failures'] {
  if (ended?.outcome?.ok === false && COUNTED.includes(ended.kind)) {
    const { endedAt: at, why, notBegun } = ended.outcome;
    const failure = { kind: ended.kind, at, why, ...(notBegun ? { notBegun } : {}) };
    return [...before.failures, failure].slice(-FAILURES_KEPT);
  }
  if (ended?.outcome?.ok === true && ended.kind === 'clone') return [];
  if (!healthy || before.failures.length === 0) return before.failures;
  // A rejoin is over when the standby streams; a promotion that failed leaves a healthy standby behind.
  return before.failures.filter(
    (failure) => failure.kind === 'promote' && now - failure.at < 30_000,
  );
}
