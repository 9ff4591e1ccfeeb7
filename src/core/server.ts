/** What can be seen of a PostgreSQL server, the local one or the leader's. Terms and units: model.ts. */
import type { HistoryEntry } from './history.ts';
import type { Known } from './known.ts';

export type ControlState =
  | 'starting up'
  | 'shut down'
  | 'shut down in recovery'
  | 'shutting down'
  | 'in crash recovery'
  | 'in archive recovery'
  | 'in production'
  | 'unrecognized';

/** What `global/pg_control` says. */
export interface ControlFile {
  readonly systemIdentifier: string;
  readonly state: ControlState;
  /** Timeline of the latest checkpoint. */
  readonly timeline: number;
  /** Start of the latest checkpoint record, bytes. */
  readonly checkpointLsn: number;
  readonly redoLsn: number;
  /** 0 when not in recovery. */
  readonly minRecoveryEndLsn: number;
  readonly minRecoveryEndTimeline: number;
  readonly dataChecksums: boolean;
  readonly walLogHints: boolean;
}

export type DataDirectory =
  | { readonly kind: 'absent' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'cluster'; readonly majorVersion: number }
  /** Exists, is not empty, and is not a PostgreSQL cluster. Never touched. */
  | { readonly kind: 'foreign'; readonly why: string }
  | { readonly kind: 'unreadable'; readonly why: string };

export type PostmasterProcess =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'alive';
      readonly pid: number;
      /** Start time of the process in clock ticks since boot: with the pid, its identity. */
      readonly startTicks: number;
      /** True when this agent did not start it. */
      readonly adopted: boolean;
    }
  | { readonly kind: 'unknown'; readonly why: string };

export interface WalReceiverFacts {
  readonly status: string;
  readonly timeline: number | null;
  /** Upstream as the walreceiver has it. */
  readonly host: string | null;
  readonly port: number | null;
  readonly slotName: string | null;
  readonly latestEndLsn: number | null;
}

export interface WalSenderFacts {
  readonly pid: number;
  readonly applicationName: string;
  readonly userName: string;
  readonly clientAddress: string | null;
  readonly state: string;
  readonly syncState: string;
  readonly syncPriority: number;
  readonly flushLsn: number | null;
  /** Physical slot that it streams from; null: none. */
  readonly slotName: string | null;
  /** When the connection was made, as PostgreSQL says it: with the pid, its identity. */
  readonly startedAt: string;
}

export interface SlotFacts {
  readonly name: string;
  readonly type: 'physical' | 'logical';
  readonly active: boolean;
  readonly restartLsn: number | null;
}

/** Answers of one round of questions to a running PostgreSQL. */
export interface SqlFacts {
  readonly inRecovery: boolean;
  readonly serverVersion: number;
  readonly systemIdentifier: string;
  /** `2026-07-01 12:00:00.123456+00:00` (contract 3.3). */
  readonly postmasterStartTime: string;
  /** Primary: its timeline. Standby: that of the walreceiver, else of the latest replayed WAL; null if neither is known. */
  readonly timeline: number | null;
  /** Primary only: flushed position. */
  readonly currentLsn: number | null;
  readonly receiveLsn: number | null;
  readonly replayLsn: number | null;
  readonly replayTimestamp: string | null;
  readonly replayPaused: boolean;
  readonly walReceiver: WalReceiverFacts | null;
  readonly walSenders: readonly WalSenderFacts[];
  readonly slots: readonly SlotFacts[];
  /** Standby: an upstream is configured, so that a walreceiver that ends comes back. */
  readonly follows: boolean;
  /** synchronous_standby_names as the server has it now. */
  readonly synchronousStandbyNames: string;
  /** Some commit waits for standbys. */
  readonly commitsWait: boolean;
  /** Those that do, 500 of them at most: no two commits ever have the same name. */
  readonly waitingCommits: readonly string[];
  /** Settings that wait for a restart. */
  readonly pendingRestart: readonly PendingSetting[];
}

/** A setting whose value in the file is not the one the server runs with (contract 6.6). */
export interface PendingSetting {
  readonly name: string;
  readonly oldValue: string;
  /** `?` when it is not known. */
  readonly newValue: string;
}

export type InterruptedWork = 'bootstrap' | 'clone' | 'rewind';

/** Everything that can be seen of the local PostgreSQL without asking the store. */
export interface PostgresFacts {
  readonly dataDirectory: DataDirectory;
  readonly control: Known<ControlFile>;
  /** `standby.signal` or `recovery.signal` is there. */
  readonly standbySignal: boolean;
  readonly postmaster: PostmasterProcess;
  /** Processes of this data directory that have no living postmaster. They can still acknowledge. */
  readonly orphans: number;
  /** Accepting connections, refusing them while it starts or stops (57P03), or not answering. */
  readonly ready: 'accepting' | 'rejecting' | 'no answer';
  /** It was asked, or knocked at, and gave no sign of life in time: how. Absent: it did, or that is not known. */
  readonly silent?: string;
  /** Since when a look at the data disk, or a write to it, has been without an end, monotonic ms. Absent: none is. */
  readonly diskPendingSince?: number;
  readonly sql: Known<SqlFacts>;
  /** Work that a former agent began and did not finish; from our state directory (rule S7). */
  readonly interrupted: InterruptedWork | null;
  /** Identity of the data directory's life, from our state directory (rule S5). */
  readonly incarnation: string | null;
  /** End of the local WAL, looked for only while PostgreSQL is stopped. */
  readonly walEnd: Known<WalPoint>;
}

export interface WalPoint {
  readonly timeline: number;
  readonly lsn: number;
}

/** What the upstream server itself says, asked over the replication protocol. */
export interface UpstreamFacts {
  readonly name: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly lsn: number;
  /** History of its timeline: [] on the first one. */
  readonly history: readonly HistoryEntry[];
  readonly inRecovery: boolean;
}
