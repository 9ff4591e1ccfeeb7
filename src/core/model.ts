/**
 * The vocabulary of the decision core.
 *
 * Terminology
 * - leader: the member named by the leader key in the store. There is at most one.
 * - primary: a PostgreSQL that is not in recovery. Only the leader's PostgreSQL may be one.
 * - lease: the store's promise, for a time, that keys bound to it stay. One lease per agent backs
 *   its member key and, while it leads, the leader key.
 * - deadline: the monotonic instant before which this agent's PostgreSQL may take writes (rule S1).
 * - proven: a renewal that a later linearizable read confirmed (rule S1).
 * - claim: the timeline number reserved in the transaction that takes the leader key (rule S6).
 * - floor: the end of the shutdown checkpoint of a planned hand-over; nobody below it may lead
 *   while a living member has it (rule F4).
 * - job: the one piece of long work in progress on the local PostgreSQL (rule S9).
 *
 * Units: every time is monotonic milliseconds and ends in `Ms` or is called `now`, `…At` or
 * `deadline`; every WAL position (`…Lsn`, `position`) is a number of bytes; names of keys and of
 * PostgreSQL settings keep their own spelling.
 */

import type { LocalRequest, RequestAnswer, ScheduledRestart } from './asked.ts';
import type { ClusterView, SyncContent } from './cluster.ts';
import type { Known } from './known.ts';
import type { PostgresFacts, UpstreamFacts } from './server.ts';
import type { Settings, Tags } from './settings.ts';
import type { DiskSilence, Silence } from './silence.ts';
import type { StreamingMemory } from './streaming.ts';

export type * from './asked.ts';
export type * from './cluster.ts';
export type * from './known.ts';
export type * from './server.ts';

/** A peer's own answer on `GET /patroni` (contract 3.3). */
export interface PeerFacts {
  readonly name: string;
  readonly answer: Known<{
    readonly inRecovery: boolean;
    /** Primary: location. Standby: max(received, replayed). */
    readonly position: number;
    readonly timeline: number | null;
    readonly tags: Tags;
    readonly watchdogFailed: boolean;
    /** It has, or may get back, a walreceiver: it could still acknowledge to a former leader. */
    readonly receiving: boolean;
  }>;
}

/** Where to follow, clone or rewind from. */
export interface Upstream {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export type JobKind =
  | 'bootstrap'
  | 'clone'
  | 'rewind'
  | 'start'
  | 'stop'
  | 'promote'
  | 'handover'
  | 'restart'
  | 'reinitialize';

export interface JobState {
  readonly kind: JobKind;
  readonly startedAt: number;
  /** Null while it runs. */
  readonly outcome: {
    readonly ok: boolean;
    readonly why: string;
    readonly endedAt: number;
    /** A promotion that pre_promote did not allow; nothing was done to PostgreSQL. */
    readonly refused?: true;
    /** It ended before anything was done to PostgreSQL: the guard was not what it has to be. */
    readonly notBegun?: true;
  } | null;
  /** For the log and for people: where it stands. */
  readonly phase: string;
  /** For start, restart: as what; for clone, rewind, reinitialize: from whom. */
  readonly detail: string;
  /** For handover: mod_revision of the request in the failover key that asked for it. */
  readonly request?: number;
  /** Since when PostgreSQL is being stopped by it, and refuses clients. */
  readonly stoppingSince?: number;
}

/** No race before `until`: a leader may go on for so long without the store (contract 5.4). */
export interface FailsafePromise {
  readonly leader: string;
  readonly until: number;
  /** Positions of the leader's slots when it asked. */
  readonly slots: Readonly<Record<string, number>>;
}

/** The lease as its keeper sees it. */
export interface LeaseFacts {
  /** Null until a lease is granted. Decimal. */
  readonly leaseId: string | null;
  /** True while this agent believes that the leader key is its own. */
  readonly holdsLeaderKey: boolean;
  /** mod_revision of the leader key as last proven; null when not held. */
  readonly leaderModRevision: number | null;
  /** Rule S1: writes only before this; null when leadership was never proven. */
  readonly deadline: number | null;
}

/** The process that kills PostgreSQL when this agent cannot, as it last said itself. */
export interface GuardFacts {
  /** `missing`: it is being replaced; `fired`: it kills what appears until it is told otherwise. */
  readonly state: 'off' | 'missing' | 'disarmed' | 'armed' | 'fired';
  readonly pid: number | null;
}

/** The hardware watchdog. */
export interface WatchdogFacts {
  /** `idle`: this node does not need it now; `failed`: it is needed and cannot be used. */
  readonly state: 'off' | 'idle' | 'active' | 'failed';
  /** It is required and cannot be used, and why: this member must not lead. Null: nothing is known against it. */
  readonly failure: string | null;
}

export interface Observation {
  readonly now: number;
  /** Epoch ms by the machine's clock: only what people scheduled is held against it (schedule.ts). */
  readonly wallNow: number;
  readonly name: string;
  readonly settings: Settings;
  readonly cluster: Known<ClusterView>;
  readonly postgres: PostgresFacts;
  readonly lease: LeaseFacts;
  /** Asked only when the leader key is free or a hand-over is pending; else []. */
  readonly peers: readonly PeerFacts[];
  /** The leader's server, asked only when this node has to decide how to rejoin. */
  readonly upstream: Known<UpstreamFacts>;
  /** Remaining life of the lease of the leader that vanished without a hand-over; ms, 0 = gone. */
  readonly vanishedLeaseMs: Known<number>;
  /** The job in progress, or the last one that ended. */
  readonly job: JobState | null;
  /** What an operator asks of this node, and nothing has been done about yet. */
  readonly request: LocalRequest | null;
  readonly scheduledRestart: ScheduledRestart | null;
  /** What this node has promised to a leader that cannot reach the store; null: nothing that stands. */
  readonly promise: FailsafePromise | null;
  /** The agent has been told to stop. */
  readonly stopping: boolean;
  /** `watchdog.mode` is required and the watchdog cannot be used, and why; null: nothing bars this member. */
  readonly watchdogFailure: string | null;
  readonly memory: Memory;
}

/** What has to be remembered from one tick to the next. Written only by the agent. */
export interface Memory {
  /** When the agent started. */
  readonly startedAt: number;
  /** Last seen holder of the leader key, with the lease that backed it. */
  readonly lastLeader: {
    readonly name: string;
    readonly leaseId: string | null;
    readonly tenure: boolean;
    /** Its last record said that it lets writes go on without a lease: the cluster was paused. */
    readonly paused?: boolean;
  } | null;
  /** Since when the leader key has been free; null while it is held. */
  readonly leaderlessSince: number | null;
  /** Since when this node's own member key has been there; null while it is not. */
  readonly memberSince: number | null;
  /** Since when this node, as leader, has had no running primary. */
  readonly primaryDownSince: number | null;
  /** PostgreSQL was last known to run as. */
  readonly lastRole: 'primary' | 'replica' | null;
  /** Rewinds, clones and starts that failed since the last success, newest last. */
  readonly failures: readonly {
    readonly kind: JobKind;
    readonly at: number;
    readonly why: string;
    readonly notBegun?: true;
  }[];
  /** When pre_promote last refused a promotion of this node; null: it has not since one succeeded. */
  readonly promotionRefused: number | null;
  /** Timelines that this node promoted itself to, by its own record on disk (rule S6). */
  readonly promotedHere: readonly number[];
  /** Lease that backed the leader key in this node's earlier life, by its own record on disk. */
  readonly formerLeaseId: string | null;
  /** Timeline for which this leader has brought `/history` up to date. */
  readonly historyWrittenFor: number | null;
  /** Since when a running standby that should stream has not been streaming; null while it does. */
  readonly notStreamingSince: number | null;
  /** The postmaster as it was last seen alive; null once its end has been seen. */
  readonly postmaster: { readonly pid: number; readonly startTicks: number } | null;
  /** When a primary of this node ended although nobody had asked it to, newest last (field D69). */
  readonly crashes: readonly number[];
  /** The last requested hand-over that did not come about: mod_revision of the request, and why. */
  readonly failedHandover: { readonly request: number; readonly why: string } | null;
  /** Of this node as a primary: what its standbys have done lately. */
  readonly streaming: StreamingMemory;
  /** Since when PostgreSQL, which runs, gives no sign of life. */
  readonly silence: Silence;
  /** The same of the disk below a running primary. */
  readonly diskSilence: DiskSilence;
  /** Since when this member has been asking to leave `/sync`; null while it is not. */
  readonly withdrawingSince: number | null;
  /** Slots that are or were a member's: when it was last in the store. */
  readonly memberSlots: Readonly<Record<string, number>>;
}

/** One concrete thing to do. Nothing is left to choose when acting. */
export type Step =
  | { readonly do: 'raceInitialize' }
  | { readonly do: 'releaseInitialize'; readonly modRevision: number }
  | { readonly do: 'writeInitialize'; readonly systemIdentifier: string }
  | { readonly do: 'finishBootstrap'; readonly systemIdentifier: string }
  | { readonly do: 'writeConfig' }
  /** Null claim: a primary that takes its key back and promotes nothing. */
  | { readonly do: 'campaign'; readonly claim: number | null }
  /** Reserves a timeline while the leader key is already ours. */
  | { readonly do: 'claim'; readonly claim: number }
  | { readonly do: 'takeOver'; readonly leaseId: string | null; readonly modRevision: number }
  | {
      readonly do: 'resign';
      readonly floorLsn: number | null;
      readonly timeline: number | null;
      readonly candidate: string | null;
    }
  | { readonly do: 'startJob'; readonly job: Job }
  | { readonly do: 'cancelJob' }
  | { readonly do: 'follow'; readonly upstream: Upstream | null }
  | { readonly do: 'clearFailover'; readonly modRevision: number }
  | { readonly do: 'writeHistory'; readonly timeline: number }
  /** Says what became of a former primary's unconfirmed commits, and clears their key. */
  | { readonly do: 'tellUnconfirmed'; readonly fate: string }
  | {
      readonly do: 'slots';
      readonly create: readonly string[];
      readonly drop: readonly string[];
      readonly advance: Readonly<Record<string, number>>;
    }
  /** Null: the key goes. `modRevision` is that of the key as it was seen, 0 when it was not there. */
  | {
      readonly do: 'writeSync';
      readonly content: SyncContent | null;
      readonly modRevision: number;
    }
  /** synchronous_standby_names, until it is in force for every process; null: the user's own value. */
  | { readonly do: 'setSynchronousNames'; readonly names: string | null }
  /** Ends a connection of a standby that stands in the way. */
  | { readonly do: 'endSender'; readonly pid: number; readonly startedAt: string }
  /** Publishes that this member is not to be a synchronous standby. */
  | { readonly do: 'withdraw' }
  | { readonly do: 'killOrphans' }
  /** SIGKILL to every process of the instance, without waiting. */
  | { readonly do: 'killEverything' }
  /** Tells the operator what became of a request. */
  | ({ readonly do: 'answer'; readonly request: number } & RequestAnswer)
  | { readonly do: 'dropSchedule'; readonly why: string }
  | { readonly do: 'exit'; readonly code: number; readonly message: string };

export type Job =
  | { readonly kind: 'bootstrap' }
  | { readonly kind: 'clone'; readonly from: Upstream; readonly why: string }
  | { readonly kind: 'rewind'; readonly from: Upstream; readonly why: string }
  | { readonly kind: 'start'; readonly as: 'primary' }
  | { readonly kind: 'start'; readonly as: 'standby'; readonly upstream: Upstream | null }
  /** `becomeStandby`: write standby.signal before the stop (rule S8). */
  | {
      readonly kind: 'stop';
      readonly mode: 'fast' | 'immediate';
      readonly becomeStandby: boolean;
      readonly why?: 'diverged';
    }
  | { readonly kind: 'promote'; readonly claim: number }
  /** Checkpoint, fast stop, wait for a candidate to hold the end of it, release (rule F4). */
  | {
      readonly kind: 'handover';
      /** Whoever of these holds the end first will do. */
      readonly candidates: readonly string[];
      /** The one that was asked for; nobody else may win while it lives. */
      readonly named: string | null;
      /** False when the agent is stopping: the lease is released even if nobody caught up in time. */
      readonly thenStandby: boolean;
      /** mod_revision of the request in the failover key; null when nobody asked. */
      readonly request: number | null;
    }
  /** Checkpoint while serving, fast stop, start as what it was (contract 5.19). */
  | {
      readonly kind: 'restart';
      readonly as: 'primary' | 'standby';
      readonly upstream: Upstream | null;
      readonly timeoutMs: number | null;
      /** Whom to answer; null for a scheduled one. */
      readonly request: number | null;
    }
  | { readonly kind: 'reinitialize'; readonly from: Upstream; readonly request: number };

export interface Decision {
  /** Stable id of the rule, such as `lead.restart-in-place`. */
  readonly rule: string;
  /** One sentence for people: the same everywhere it is shown. */
  readonly why: string;
  readonly steps: readonly Step[];
  /** Longest wait until the next look, ms. */
  readonly wakeInMs: number;
}
