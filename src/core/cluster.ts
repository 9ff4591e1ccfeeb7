/** What the store says about the cluster (contract section 2), decoded. Terms and units: model.ts. */
import type { HistoryEntry } from './history.ts';
import type { Tags } from './settings.ts';

/** State words of member keys and REST answers, exactly as contract section 4 has them. */
export type MemberState =
  | 'initializing new cluster'
  | 'initdb failed'
  | 'running custom bootstrap script'
  | 'custom bootstrap failed'
  | 'creating replica'
  | 'running'
  | 'starting'
  | 'starting after custom bootstrap'
  | 'start failed'
  | 'restarting'
  | 'restart failed'
  | 'stopping'
  | 'stopped'
  | 'stop failed'
  | 'crashed';

/** Role words of member keys and REST answers (contract 2.5, appendix E). */
export type MemberRole =
  | 'primary'
  | 'replica'
  | 'standby_leader'
  | 'demoted'
  | 'uninitialized'
  | 'promoted';

/** What other agents and tools read of a member: the content of `members/<name>` (contract 2.5). */
export interface MemberRecord {
  /** `postgres://host:port/database`, null when the record has none that can be read. */
  readonly connUrl: string | null;
  /** `http(s)://host:port/patroni`, null when the record has none. */
  readonly apiUrl: string | null;
  /** A word of {@link MemberState}, or whatever a foreign record says. */
  readonly state: string;
  /** A word of {@link MemberRole}; `master` of old records is read as `primary`. */
  readonly role: string;
  /** Patroni protocol version, such as "4.1.4". */
  readonly version: string | null;
  /** False only while the leader has not finished its checkpoint after promotion. */
  readonly checkpointAfterPromote: boolean;
  readonly tags: Tags;
  readonly pendingRestart: boolean;
  /** `{setting: {old_value, new_value}}` as published; null: none. */
  readonly pendingRestartReason: Readonly<Record<string, unknown>> | null;
  /** As published; null: none. */
  readonly scheduledRestart: Readonly<Record<string, unknown>> | null;
  /** Primary: current position. Standby: max(received, replayed). Null when not published. */
  readonly position: number | null;
  readonly replayLsn: number | null;
  readonly receiveLsn: number | null;
  readonly replicationState: string | null;
  readonly timeline: number | null;
  readonly pause: boolean;
  /** Our own addition; null for members that run Patroni. */
  readonly tenure: TenureRecord | null;
}

/** Our object in the member key. Unknown fields of newer versions are ignored. */
export interface TenureRecord {
  readonly version: string;
  /** Identity of the data directory's life: changes with every initdb and clone (rule S5). */
  readonly incarnation: string | null;
}

export interface Member extends MemberRecord {
  readonly name: string;
  /** Decimal lease id behind the key; null when the key has no lease. */
  readonly leaseId: string | null;
  readonly modRevision: number;
}

export interface LeaderKey {
  readonly name: string;
  /** Decimal lease id behind the key; null when somebody put the key without a lease. */
  readonly leaseId: string | null;
  readonly createRevision: number;
  readonly modRevision: number;
}

export type Initialize =
  | { readonly kind: 'absent' }
  /** A bootstrap is in progress (empty value); `owner` is known when one of our agents runs it. */
  | { readonly kind: 'bootstrapping'; readonly modRevision: number; readonly owner: string | null }
  | {
      readonly kind: 'initialized';
      readonly systemIdentifier: string;
      readonly modRevision: number;
    }
  | { readonly kind: 'garbage'; readonly text: string; readonly modRevision: number };

export interface FailoverRequest {
  /** Set for a switchover. */
  readonly leader: string | null;
  readonly candidate: string | null;
  /** ISO 8601 text, null when it is to happen now. */
  readonly scheduledAt: string | null;
  readonly modRevision: number;
}

/** `status`: the leader's last published position and slot positions (contract 2.3). */
export interface StatusKey {
  readonly optime: number | null;
  readonly slots: Readonly<Record<string, number>>;
  readonly retainSlots: readonly string[];
}

/** `tenure/timeline`: timeline numbers reserved by winners of the leader key (rule S6). */
export interface TimelineClaims {
  /** Newest last: [timeline, member that reserved it]. */
  readonly claims: readonly (readonly [number, string])[];
  readonly modRevision: number;
}

/** `tenure/handover`: written in the transaction that releases the leader key on purpose. */
export interface Handover {
  readonly leader: string;
  /** End of the shutdown checkpoint record, bytes: the floor of the race (rule F4). Null: unknown. */
  readonly floorLsn: number | null;
  readonly timeline: number | null;
  readonly candidate: string | null;
  readonly modRevision: number;
}

/**
 * `tenure/unconfirmed`: commits of a primary that became visible although no standby had confirmed
 * them (field D38).
 */
export interface Unconfirmed {
  readonly leader: string;
  readonly timeline: number;
  /** None of them is above this, bytes. */
  readonly lsn: number;
  /** At least 1. */
  readonly count: number;
}

/** Content of `sync`: who holds what was acknowledged (contract 2.3, 5.15; rule S5). */
export interface SyncContent {
  readonly leader: string | null;
  readonly standbys: readonly string[];
  readonly quorum: number;
}

export interface SyncKey extends SyncContent {
  readonly modRevision: number;
  /** It cannot be understood: what it promises is not known (rule S4). */
  readonly unreadable?: true;
}

/** One linearizable read of everything below the cluster's prefix. */
export interface ClusterView {
  /** Store revision of the read. */
  readonly revision: number;
  readonly initialize: Initialize;
  readonly leader: LeaderKey | null;
  /** Sorted by name. */
  readonly members: readonly Member[];
  /** `/config` as it stands; absent and unreadable are different things (rule S4). */
  readonly config:
    | { readonly kind: 'absent' }
    | {
        readonly kind: 'valid';
        readonly values: Readonly<Record<string, unknown>>;
        readonly modRevision: number;
      }
    | { readonly kind: 'garbage'; readonly text: string; readonly modRevision: number };
  readonly status: StatusKey;
  /** Null when the key is absent or unreadable; [] is a cluster on its first timeline. */
  readonly history: readonly HistoryEntry[] | null;
  readonly failover: FailoverRequest | null;
  readonly sync: SyncKey | null;
  /** `/failsafe`: api_url by name of all who have to agree that a leader goes on without the store; null: no such list. */
  readonly failsafe: Readonly<Record<string, string>> | null;
  readonly timelines: TimelineClaims | null;
  readonly handover: Handover | null;
  readonly unconfirmed: Unconfirmed | null;
  /** One line for each key that could not be understood: key, what was found, what is allowed. */
  readonly problems: readonly string[];
}
