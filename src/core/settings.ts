/**
 * Policy: what operators configured, in the units that rules calculate with.
 */

export interface Tags {
  readonly nofailover: boolean;
  /** Default 1; 0 or less means that the member never leads. */
  readonly failoverPriority: number;
  readonly noloadbalance: boolean;
  readonly clonefrom: boolean;
  readonly nostream: boolean;
  /** Never a synchronous standby. */
  readonly nosync: boolean;
  /** Preference as a synchronous standby, default 1; 0 or less means never. */
  readonly syncPriority: number;
  /** Member to follow instead of the leader. */
  readonly replicatefrom: string | null;
  /** As published: everything, ours and custom. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** What is null matches everything. */
export interface SlotMatcher {
  readonly name: string | null;
  readonly type: string | null;
  /** A database or a plugin is named. */
  readonly logicalOnly: boolean;
}

/** Effective policy of one tick: dynamic configuration where it is known, defaults elsewhere. */
export interface Settings {
  readonly ttlMs: number;
  readonly loopWaitMs: number;
  readonly retryTimeoutMs: number;
  /** Bytes. */
  readonly maximumLagOnFailover: number;
  readonly checkTimeline: boolean;
  readonly primaryStartTimeoutMs: number;
  readonly maximumTimelinesHistory: number;
  /** How long the slot of a member that is gone is kept. */
  readonly memberSlotsTtlMs: number;
  /** Physical slots that every member which may lead keeps (contract 5.16). */
  readonly permanentSlots: readonly string[];
  /** Slots that are left alone, whosoever they were. */
  readonly ignoreSlots: readonly SlotMatcher[];
  readonly useSlots: boolean;
  readonly usePgRewind: boolean;
  readonly removeDataDirectoryOnRewindFailure: boolean;
  readonly removeDataDirectoryOnDivergedTimelines: boolean;
  readonly paused: boolean;
  /** A leader that cannot reach the store goes on while all members agree (contract 5.4). */
  readonly failsafeMode: boolean;
  /** For one round of questions in failsafe mode. */
  readonly failsafeTimeoutMs: number;
  /** Every named standby confirms (`on`), or enough of them (`quorum`); contract 5.15. */
  readonly synchronousMode: 'off' | 'on' | 'quorum';
  /** Without a standby nothing is acknowledged. */
  readonly synchronousModeStrict: boolean;
  /** Standbys that have to confirm, at most; at least 1. */
  readonly synchronousNodeCount: number;
  /** Bytes that a synchronous standby may be behind; 0 or less: no bound. */
  readonly maximumLagOnSyncnode: number;
  /** synchronous_standby_names as the user has it: in force while synchronous mode is off. */
  readonly userSynchronousStandbyNames: string;
  /** Time for a fast stop of a primary in synchronous modes; 0: as long as any other (contract 5.13). */
  readonly primaryStopTimeoutMs: number;
  /** A standby cluster is asked for, which this version does not run. */
  readonly standbyCluster: boolean;
  readonly tags: Tags;
  /** A `bootstrap` section is configured. */
  readonly mayBootstrap: boolean;
}
