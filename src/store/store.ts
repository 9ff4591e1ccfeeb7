/**
 * What the cluster knows, by meaning. One implementation over {@link KeyValueStore}; owned by the
 * loop and the lease keeper.
 */

import type { HistoryEntry } from '../core/history.ts';
import type { ClusterView, Handover, SyncContent, Unconfirmed } from '../core/model.ts';
import type { StatusContent } from './codecs.ts';
import type { PublishedMember } from './members.ts';
import type { NewFailover } from './operators.ts';

export type { StatusContent } from './codecs.ts';
export type { PublishedMember } from './members.ts';
export type { NewFailover } from './operators.ts';

/** What a leader shows with every write (rule S2): its lease and the mod_revision of its key. */
export interface Leadership {
  readonly leaseId: string;
  readonly modRevision: number;
}

export interface Renewal {
  /** The lease answered with this many seconds; 0: it is gone. */
  readonly ttlSeconds: number;
  /** True when a linearizable read sent after the keep-alive showed our key, in the same raft term. */
  readonly proven: boolean;
  /** Why it is not proven. `lost` means positively known: the key is another's or not there. */
  readonly lost: boolean;
  readonly why: string;
}

export type CampaignResult =
  | {
      readonly won: true;
      readonly leadership: Leadership;
      readonly raftTerm: number;
      readonly revision: number;
    }
  | { readonly won: false; readonly why: string };

export interface Store {
  /** Longest time for one operation, ms; `retry_timeout` of the dynamic configuration. */
  retryTimeoutMs: number;
  /**
   * A store that shows nothing but the past for longer than this, ms, was wiped or restored: it is
   * accepted as it is, and `problems` says so. At least ttl + retry_timeout, so that every deadline
   * proven before is over. Default: 60 s.
   */
  forgetAfterMs: number;
  /**
   * Linearizable. Never older than this agent's own last write, never from a member whose raft
   * term went backwards (rule S3).
   * @throws StoreUnavailable
   */
  read(): Promise<ClusterView>;
  /** Grants a new lease with a random id. Returns what was granted. */
  grantLease(
    ttlSeconds: number,
  ): Promise<{ readonly leaseId: string; readonly ttlSeconds: number }>;
  /** Keep-alive only: enough for a member key. */
  keepAlive(leaseId: string): Promise<{ readonly ttlSeconds: number }>;
  /** Keep-alive, then proof (rule S1). The caller notes the time before calling: validity starts there. */
  renew(
    name: string,
    leadership: Leadership,
    options?: { readonly timeoutMs: number },
  ): Promise<Renewal>;
  /**
   * Remaining life of somebody's lease, ms, rounded up to seconds; 0 = gone, and confirmed by a
   * linearizable read in the same raft term (a member that lost leadership may be wrong about it).
   */
  leaseRemaining(leaseId: string): Promise<number>;
  /**
   * Takes the free leader key, reserves `claim` and removes the hand-over marker of the vacancy in
   * one transaction (rule S6). Null claim: a primary takes its key back and promotes nothing.
   */
  campaign(
    name: string,
    leaseId: string,
    claim: number | null,
    seenTimelinesRevision: number,
  ): Promise<CampaignResult>;
  /** Reserves a timeline while the key is already ours; guarded by leadership and by the revision seen. */
  claimTimeline(
    name: string,
    leadership: Leadership,
    claim: number,
    seenTimelinesRevision: number,
  ): Promise<boolean>;
  /** Moves the leader key that carries our name from an earlier life's lease to `leaseId`. */
  takeOver(
    name: string,
    leaseId: string,
    seen: { readonly modRevision: number },
  ): Promise<CampaignResult>;
  /**
   * Guarded delete of the leader key; leaves the hand-over marker; publishes `status` if given.
   * Returns false when the key was not ours any more.
   */
  resign(
    leadership: Leadership,
    marker: Omit<Handover, 'modRevision'>,
    status: StatusContent | null,
  ): Promise<boolean>;
  /** Puts `/initialize` = "" if absent, and notes who bootstraps. */
  raceInitialize(name: string): Promise<boolean>;
  /** Deletes an unfinished `/initialize` that `name` put. */
  releaseInitialize(name: string, modRevision: number): Promise<boolean>;
  /** One transaction: `/initialize`, `/config`, leader key, first claim. */
  finishBootstrap(
    name: string,
    leaseId: string,
    systemIdentifier: string,
    config: Readonly<Record<string, unknown>>,
  ): Promise<CampaignResult>;
  /** Plain put under the lease; skipped when equal to what was last written under the same lease. */
  writeMember(name: string, leaseId: string, record: PublishedMember): Promise<void>;
  /** The following are guarded by {@link Leadership}; false = no longer leader. Skipped when unchanged. */
  writeStatus(leadership: Leadership, status: StatusContent): Promise<boolean>;
  writeHistory(leadership: Leadership, history: readonly HistoryEntry[]): Promise<boolean>;
  writeInitialize(leadership: Leadership, systemIdentifier: string): Promise<boolean>;
  writeConfig(leadership: Leadership, config: Readonly<Record<string, unknown>>): Promise<boolean>;
  writeFailsafe(
    leadership: Leadership,
    members: Readonly<Record<string, string>>,
  ): Promise<boolean>;
  /** Null: there are none, or what became of them has been told. */
  writeUnconfirmed(leadership: Leadership, unconfirmed: Unconfirmed | null): Promise<boolean>;
  clearFailover(leadership: Leadership, modRevision: number): Promise<boolean>;
  /**
   * Replaces `/sync` as it was seen (0: it was not there), or deletes it (null). Not skipped. False:
   * no longer leader, or somebody else has changed it.
   */
  writeSync(
    leadership: Leadership,
    content: SyncContent | null,
    modRevision: number,
  ): Promise<boolean>;
  /**
   * Puts an operator's request into the failover key. False: another one is in progress there;
   * one that is only scheduled is replaced (field D71).
   */
  writeFailover(request: NewFailover): Promise<boolean>;
  /** Withdraws the request with this mod_revision. False: the key has changed. */
  deleteFailover(modRevision: number): Promise<boolean>;
  /** Replaces `/config` as seen; 0: it was not there. False: somebody else has changed it. */
  replaceConfig(config: Readonly<Record<string, unknown>>, modRevision: number): Promise<boolean>;
  /** Hints from the watch; see {@link KeyValueStore.watch}. */
  watch(onHint: (why: string) => void): { stop(): void };
  close(): void;
}
