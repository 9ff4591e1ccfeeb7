/**
 * Every wait of less than a second, or of a length that is not written where it waits. Whoever adds
 * one says which condition it waits for, why no event tells, and what bounds it: a wait that is
 * repeated without that is a poll in disguise.
 */

/** where, how long, what it waits for, what bounds it. `where` is a rule's id or a file. */
export type Listed = readonly [where: string, ms: string, waitsFor: string, boundedBy: string];

const JOB = 'the job or write just begun; its end is a hint, this is for a hint that got lost';
const JOB_BOUND = "the job's own deadline";
const STORE = 'the next look at the store after our own write';
const STORE_BOUND = 'one look: the situation is another one then';

/** Waits on the clock. */
export const WAITS: readonly Listed[] = [
  [
    'src/handover.ts',
    'ASK_EVERY_MS',
    'a candidate to have flushed the shutdown record: a standby announces no flush',
    'patienceMs, and AFTER_STOP_MS after the server has gone',
  ],
  [
    'src/lease.ts',
    'pauseMs',
    'the next renewal: ttl/6 or ttl/3, RETRY_MS after a failure; hints cut it short',
    'it is what the lease is renewed by',
  ],
  [
    'src/loop.ts',
    'this.#givingAway() ? Math.min(waitMs, GIVING_AWAY_MS) : waitMs',
    'what the decision said; hints cut it short, but for the time in which the lease is given away',
    'see WAKE_UPS; the end of the hand-over',
  ],
  [
    'src/failsafe/rounds.ts',
    'Math.max(0, startedAt + leaderRenewalMs(ttlMs) - clock.now())',
    'the next round of questions, ttl/6 after the last: the store is away, and nothing tells',
    'leadership is proven again or lost',
  ],
  [
    'src/fence/guard-keeper.ts',
    'CONFIRM_LOOK_MS',
    'the word of the guard that it is armed: it answers over a pipe that nobody blocks on',
    'the time for its confirmation',
  ],
  ['src/fence/guard-keeper.ts', 'CONFIRM_LOOK_MS', 'as above', 'the time for its confirmation'],
  [
    'src/fence/guard-keeper.ts',
    'LOOK_MS',
    "the guard's sign of life: one that is stopped says nothing, and must be noticed",
    'the life of the daemon',
  ],
  ['src/postgres/knock.ts', 'timeoutMs', 'nothing: a deadline', 'once per knock'],
  ['src/postgres/upstreams.ts', 'keepMs', 'nothing: the end of a kept connection', 'once'],
  [
    'src/runtime.ts',
    'SETTLED_MS',
    'PostgreSQL to have read its new settings after SIGHUP: it does not say when',
    'once per change of settings',
  ],
  [
    'src/api/awaiting.ts',
    'deadline - clock.now()',
    'a change of status, which cuts it short',
    "the request's deadline",
  ],
  ['src/api/awaiting.ts', 'ms', 'as above: the same wait, inside', "the request's deadline"],
  ['src/api/restarting.ts', 'patienceMs', 'nothing: a deadline', 'once per request'],
  [
    'src/postgres/ending.ts',
    'LOOK_MS',
    'processes that are no children of ours to be gone: Node has no pidfd',
    'the timeout given',
  ],
  [
    'src/postgres/promote.ts',
    'LOOK_MS',
    'the end of recovery: PostgreSQL has no event for it',
    'PROMOTE_TIMEOUT_MS',
  ],
  ['src/postgres/run.ts', 'PIPE_GRACE_MS', 'output of a tool that has ended', 'once per tool'],
  ['src/postgres/run.ts', 'timeoutMs', 'nothing: a deadline', 'once per tool'],
  [
    'src/postgres/start.ts',
    'LAST_TRY_MS',
    "the postmaster's exit, which cuts it short, after it said it would not start",
    'once per start',
  ],
  [
    'src/postgres/start.ts',
    'Math.min(pause, deadline - clock.now())',
    'the first connection: a starting PostgreSQL has no event that reaches us; its exit cuts it short',
    'the deadline of the start',
  ],
  [
    'src/postgres/synchronous.ts',
    'LOOK_MS',
    'synchronous_standby_names to be in force after SIGHUP: PostgreSQL does not say when',
    'the time for it that was given',
  ],
  [
    'src/postgres/stop.ts',
    'LOOK_MS',
    '"shut down" in pg_control and the end of the postmaster, which may be no child of ours',
    'the timeout of the stop',
  ],
  [
    'src/store/endpoints.ts',
    'pause',
    'an endpoint of etcd to answer, after all have failed',
    "the call's deadline",
  ],
  [
    'src/store/etcd-watch.ts',
    'backOffMs',
    'etcd to take the watch again: 100 ms to 2 s, doubling',
    'the life of the watch',
  ],
];

/** When a decision looks again without a hint. */
export const WAKE_UPS: readonly Listed[] = [
  ['src/loop.ts', '0', 'nothing: the process ends', 'once'],
  [
    'src/loop.ts',
    'done ? decision.wakeInMs : AFTER_FAILURE_MS',
    'a step that failed to become possible',
    'the reason of the decision',
  ],
  ['src/core/rules.ts', 'number = seen.settings.loopWaitMs', 'the next tick', 'loop_wait'],
  [
    'src/core/decide.ts',
    'Math.min(decided.wakeInMs, heardMs, ...times)',
    'a scheduled time; a sign of life of a server that is silent, which has no event',
    'the schedule; max(ttl, 10 s), then a primary is ended',
  ],
  ['busy.lost-leadership', '100', 'the cancelled start to end', JOB_BOUND],
  ['busy.upstream-gone', '100', 'the cancelled start to end', JOB_BOUND],
  ['busy.source-gone', '100', 'the cancelled clone to end', JOB_BOUND],
  ['campaign.no-lease', 'SOON_MS', 'a lease from etcd', 'retry_timeout, then the view is unknown'],
  ['campaign.stale-primary', 'SOON_MS', JOB, JOB_BOUND],
  ['campaign.keep', 'SOON_MS', JOB, JOB_BOUND],
  ['campaign.keep', 'SOON_MS', STORE, STORE_BOUND],
  ['campaign.still-paused', 'SOON_MS', 'the word of the last leader, which may never come', 'ttl'],
  [
    'campaign.vanished-lease',
    'SOON_MS',
    "the end of the last leader's lease: etcd announces no end of a lease without keys",
    'ttl',
  ],
  [
    'campaign.race',
    'chances.waiting ? SOON_MS : 1000',
    'peers to answer or to overtake: their positions have no event',
    'somebody takes the lease, which is a hint',
  ],
  [
    'campaign.failsafe',
    'Math.min(SOON_MS * 4, left)',
    'the end of a promise, or the leader that it was given to',
    'the promise',
  ],
  ['campaign.pre-promote', 'Math.min(1000, left)', 'another member to lead', 'ttl'],
  ['campaign.race', 'SOON_MS', STORE, STORE_BOUND],
  [
    'campaign.promise',
    'PROMISE_MS',
    'the walreceiver to be gone after the reload: its end has no event',
    'once per vacancy',
  ],
  [
    'lead.steady',
    'upkeep(s)',
    'loop_wait; while synchronous mode is on at most 250 ms: PostgreSQL has no event for the end of a walsender (F1)',
    'synchronous mode',
  ],
  ['paused.keep', 'watchMs(s)', 'as lead.steady', 'synchronous mode'],
  ['lead.sync-hand-over', 'SOON_MS', JOB, JOB_BOUND],
  ['src/core/synchronous.ts', 'SOON_MS', 'the next step of a change of /sync', 'the change'],
  ['sync.end-sender', 'SOON_MS', 'the ended walsender to be gone', 'once per walsender'],
  [
    'src/core/withdrawing.ts',
    'SOON_MS',
    'the leader to name another member in /sync, which is a hint',
    'two loop_wait',
  ],
  ['campaign.end-orphans', '0', 'nothing: the next decision', STORE_BOUND],
  ['campaign.start-standby', 'Math.min(pause, 1000)', 'the pause after a failed start', 'pause'],
  ['campaign.start-standby', 'SOON_MS', JOB, JOB_BOUND],
  [
    'campaign.wait-for-server',
    'SOON_MS',
    'PostgreSQL to answer, or its processes to be gone',
    'the deadline of looking at it',
  ],
  ['blind.request', '0', 'nothing: the next decision', STORE_BOUND],
  ['blind.primary', '500', 'etcd to answer again', "the lease's deadline"],
  ['blind.demote', '250', JOB, JOB_BOUND],
  ['follow.demote', 'SOON_MS', JOB, JOB_BOUND],
  ['follow.end-orphans', '0', 'nothing: the next decision', STORE_BOUND],
  ['follow.restart-standby', 'SOON_MS', JOB, JOB_BOUND],
  ['follow.pause', 'Math.min(pause, 1000)', 'the pause after a failed job', 'pause'],
  ['follow.rejoin', 'SOON_MS', JOB, JOB_BOUND],
  ['follow.diverged', 'SOON_MS', JOB, JOB_BOUND],
  ['follow.lost-way', 'SOON_MS', JOB, JOB_BOUND],
  ['follow.steady', 'SOON_MS', 'the WAL receiver to use its new upstream', STORE_BOUND],
  [
    'follow.steady',
    'connected ? seen.settings.loopWaitMs : 1000',
    'replication to begin, each second; loop_wait once it has',
    'replication',
  ],
  [
    'follow.wait-for-server',
    'SOON_MS',
    'PostgreSQL to answer, or its processes to be gone',
    'the deadline of looking at it',
  ],
  ['src/core/handing.ts', 'SOON_MS', STORE, STORE_BOUND],
  ['hand-over.requested', 'SOON_MS', JOB, JOB_BOUND],
  ['join.finish-bootstrap', '0', 'nothing: the next decision', STORE_BOUND],
  ['join.bootstrap-failed', 'SOON_MS', STORE, STORE_BOUND],
  ['join.bootstrap-failed', 'SOON_MS', JOB, JOB_BOUND],
  ['join.lost-directory', 'SOON_MS', STORE, STORE_BOUND],
  ['join.bootstrap', 'SOON_MS', JOB, JOB_BOUND],
  [
    'join.clone',
    'Math.max(SOON_MS, Math.min(pause, 1000))',
    'the pause after a failed clone',
    'pause',
  ],
  ['join.clone', 'SOON_MS', JOB, JOB_BOUND],
  ['lead.take-over', '0', 'nothing: the next decision', STORE_BOUND],
  ['lead.foreign-lease', 'SOON_MS', "an earlier life's lease to end, or to be ours", 'ttl'],
  ['lead.unproven', 'SOON_MS', 'the renewal to be proven, which is a hint', "the lease's deadline"],
  ['lead.promote', 'SOON_MS', STORE, STORE_BOUND],
  ['lead.promote', 'SOON_MS', JOB, JOB_BOUND],
  ['lead.hung', 'SOON_MS', 'the killed processes to be gone', 'the kernel; it is killed again'],
  ['lead.give-up', 'SOON_MS', STORE, STORE_BOUND],
  ['lead.crash-loop', 'SOON_MS', STORE, STORE_BOUND],
  ['lead.restart-in-place', 'SOON_MS', JOB, JOB_BOUND],
  ['lead.start-then-promote', 'SOON_MS', JOB, JOB_BOUND],
  [
    'lead.wait-for-server',
    'SOON_MS',
    'PostgreSQL to answer, or its processes to be gone',
    'the deadline of looking at it, then primary_start_timeout',
  ],
  ['leave.finish-job', 'SOON_MS', JOB, JOB_BOUND],
  ['leave.stopped', 'SOON_MS', 'processes without a postmaster to be gone', 'ORPHANS_TIMEOUT_MS'],
  ['leave.hand-over', 'SOON_MS', JOB, JOB_BOUND],
  ['leave.replaced', 'SOON_MS', JOB, JOB_BOUND],
  ['leave.stop', 'SOON_MS', JOB, JOB_BOUND],
  ['paused.rejoin', '250', JOB, JOB_BOUND],
  ['src/core/requesting.ts', 'SOON_MS', 'nothing: the request is answered', STORE_BOUND],
  ['src/core/requesting.ts', 'SOON_MS', JOB, JOB_BOUND],
  ['request.scheduled-restart', 'SOON_MS', 'nothing: the schedule is gone', STORE_BOUND],
  ['request.reinitialize', 'SOON_MS', 'nothing: the request is answered', STORE_BOUND],
  ['request.reinitialize', 'SOON_MS', JOB, JOB_BOUND],
];

/** Constants of less than a second, file by file: what they are for. */
export const SHORT_CONSTANTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'src/handover.ts': { ASK_EVERY_MS: 'see WAITS' },
  'src/lease.ts': {
    RETRY_MS: 'pause after a failed renewal, bounded by the deadline of the lease',
  },
  'src/log.ts': { FLUSH_MS: 'deadline for the last lines' },
  'src/loop.ts': { AFTER_FAILURE_MS: 'see WAKE_UPS', GIVING_AWAY_MS: 'see WAITS' },
  'src/fence/guard-keeper.ts': {
    CONFIRM_LOOK_MS: 'see WAITS',
    DIRECTORY_MS: 'deadline for one look at the data directory',
    LOOK_MS: 'see WAITS',
  },
  'src/runtime.ts': {
    FRESH_MS: 'age up to which a look counts as fresh',
    SETTLED_MS: 'see WAITS',
  },
  'src/api/server.ts': {
    FRESH_MS: 'deadline for a fresh look',
    CLOSE_GRACE_MS: 'deadline for connections at the end',
  },
  'src/core/campaigning.ts': { SOON_MS: 'see WAKE_UPS', PROMISE_MS: 'see WAKE_UPS' },
  'src/core/synchronous.ts': {
    SOON_MS: 'see WAKE_UPS',
    WAITING_MS: 'see WAKE_UPS, lead.steady: while commits wait',
    WATCH_MS: 'see WAKE_UPS, lead.steady',
  },
  'src/core/silence.ts': { SILENT_LOOK_MS: 'see WAKE_UPS' },
  'src/core/unfit.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/core/withdrawing.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/postgres/synchronous.ts': { LOOK_MS: 'see WAITS' },
  'src/core/following.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/core/handing.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/core/joining.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/core/leading.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/core/leaving.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/core/requesting.ts': { SOON_MS: 'see WAKE_UPS' },
  'src/log/writer.ts': { RETRY_MS: 'a full pipe to be read: descriptors of a log give no event' },
  'src/postgres/ending.ts': { LOOK_MS: 'see WAITS' },
  'src/postgres/look.ts': { IDENTIFY_MS: 'deadline for one question' },
  'src/postgres/promote.ts': { LOOK_MS: 'see WAITS' },
  'src/postgres/run.ts': { PIPE_GRACE_MS: 'see WAITS' },
  'src/postgres/shutdown.ts': { GLANCE_MS: 'deadline for one look' },
  'src/postgres/start.ts': { FIRST_TRY_MS: 'see WAITS', LAST_TRY_MS: 'see WAITS' },
  'src/postgres/stop.ts': {
    LOOK_MS: 'see WAITS',
    SENDER_GRACE_MS: 'time for walsenders to deliver the end before they are ended',
    SENDER_TERM_MS: 'time between SIGTERM and SIGQUIT',
  },
  'src/store/endpoint.ts': { PROBE_MS: 'deadline for one probe' },
  'src/store/endpoints.ts': {
    GRACE_MS: 'added to a deadline',
    LEAST_ATTEMPT_MS: 'less time than this is none',
    PAUSE_MS: 'see WAITS',
    ATTEMPT_MS: 'deadline for one attempt',
  },
  'src/store/etcd-watch.ts': { BACK_OFF_MS: 'see WAITS' },
};

/** Timers of Node's own outside src/clock.ts, file by file: how many, and why not the clock's. */
export const BARE_TIMERS: Readonly<Record<string, readonly [count: number, why: string]>> = {
  'src/peers.ts': [1, 'deadline of one HTTP request, which has no clock'],
  'src/api/server.ts': [1, 'deadline for closing connections at the end'],
  'src/log/sink.ts': [1, 'deadline for the last lines: the log knows nothing of the agent'],
  'src/log/writer.ts': [2, 'the same deadline, and the pause while a pipe is full'],
};
