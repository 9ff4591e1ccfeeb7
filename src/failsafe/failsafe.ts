/** Failsafe mode (contract 5.4): both sides of it, put together for one agent. */
import type { Clock } from '../clock.ts';
import type { FailsafePromise } from '../core/model.ts';
import type { Settings } from '../core/settings.ts';
import { publishedSlots } from '../core/slots.ts';
import type { LeaseKeeper } from '../lease.ts';
import type { NodeJournal } from '../node-journal.ts';
import type { Peers } from '../peers.ts';
import type { Identity, Snapshot } from '../status.ts';
import { FailsafeList } from './list.ts';
import { type FailsafeRequest, Promises } from './promises.ts';
import { Rounds } from './rounds.ts';

export interface FailsafeOptions {
  readonly clock: Clock;
  readonly peers: Peers;
  readonly lease: LeaseKeeper;
  readonly identity: Identity;
  readonly journal: NodeJournal;
  readonly settings: () => Settings;
  readonly snapshot: () => Snapshot;
  /** False: this node is not healthy enough to lead (rule F2). */
  readonly healthy: () => boolean;
  readonly hint: (why: string) => void;
  readonly log: (level: 'info' | 'warning', text: string) => void;
}

/** What is said to a leader whose request is refused (contract 3.6). */
export interface Refusal {
  readonly status: number;
  readonly text: string;
}

export class Failsafe {
  readonly #options: FailsafeOptions;
  readonly #rounds: Rounds;
  /** Told of every list that this node writes. */
  readonly list: FailsafeList;
  #promises: Promises | null = null;

  constructor(options: FailsafeOptions) {
    const { clock, peers, lease, identity, settings, snapshot, healthy, log } = options;
    this.#options = options;
    this.list = new FailsafeList(clock);
    this.#rounds = new Rounds({
      clock,
      peers,
      lease,
      ...identity,
      situation: () => {
        const { failsafeMode, paused, ttlMs, failsafeTimeoutMs } = settings();
        const now = snapshot();
        return {
          allowed: failsafeMode && !paused && healthy(),
          ttlMs,
          timeoutMs: Math.min(failsafeTimeoutMs, ttlMs / 4),
          list: this.list.whom(now.cluster?.failsafe ?? null),
          slots: publishedSlots(now),
        };
      },
      log,
    });
  }

  /** What an earlier life has promised; the journal has been read by then. */
  load(): void {
    const { clock, journal, hint } = this.#options;
    const { boot, node } = journal;
    const save = journal.promised.bind(journal);
    this.#promises ??= new Promises({ clock, boot, save, onChange: hint }, node.promise);
  }

  /** What this node has promised; null: nothing that stands. */
  get standing(): FailsafePromise | null {
    return this.#promises?.standing ?? null;
  }

  /** A leader goes on without the store: this one, or one that this node has agreed to. */
  get active(): boolean {
    return this.#rounds.active || this.standing !== null;
  }

  /** A renewal of the leader's lease has failed. */
  missed(): void {
    if (this.#options.settings().failsafeMode) this.#rounds.missed();
  }

  /** Leadership is proven again, or over. */
  settled(): void {
    this.#rounds.over();
  }

  /**
   * Another leader asks to go on. Null: this member will not race for as long as that leader may rely
   * on it.
   * @throws when the promise cannot be written down
   */
  async agree(request: FailsafeRequest): Promise<Refusal | null> {
    const { lease, settings, snapshot } = this.#options;
    if (!settings().failsafeMode) return { status: 502, text: 'Failsafe mode is disabled.' };
    if (this.#promises === null) return { status: 503, text: 'this member is only starting' };
    const { postgres, cluster, clusterReadAt, now } = snapshot();
    const fresh = clusterReadAt !== null && now - clusterReadAt < settings().ttlMs;
    const leader = fresh ? (cluster?.leader?.name ?? null) : null;
    if (leader !== null && leader !== request.leader)
      return { status: 500, text: `${leader} leads` };
    // One promise at a time: the other leader still relies on it, and nothing newer is known.
    const promised = leader === null ? this.standing : null;
    if (promised !== null && promised.leader !== request.leader)
      return { status: 500, text: `${promised.leader} goes on without the store` };
    const primary = postgres?.sql.known === true && !postgres.sql.value.inRecovery;
    if (primary || lease.facts().holdsLeaderKey || lease.campaigning)
      return { status: 500, text: 'Running as a leader' };
    await this.#promises.give(request, settings().ttlMs);
    return null;
  }

  async end(): Promise<void> {
    await this.#rounds.end();
  }
}
