/**
 * The lease keeper: grants, renews and proves this agent's lease, on its own pace, whatever the
 * loop is doing (rules S1, F2). It owns the deadline; nobody else extends it.
 */
import { type Clock, within } from './clock.ts';
import type { Handover, LeaseFacts } from './core/model.ts';
import {
  leaderRenewalMs,
  leaseDeadline,
  memberRenewalMs,
  renewalTimeoutMs,
} from './core/timing.ts';
import type { Measures } from './measures.ts';
import { LeaseGone } from './store/keyvalue.ts';
import type { CampaignResult, Leadership, StatusContent, Store } from './store/store.ts';

/** A renewal that failed is tried again after this pause, ms. */
const RETRY_MS = 200;

interface Grant {
  readonly leaseId: string;
  readonly ttlSeconds: number;
}

/** A lease for a new ttl, on its way into use. Nobody renews it. */
interface Next extends Grant {
  readonly ttlMs: number;
  /** When it was last known to begin anew. */
  readonly since: number;
}

export interface LeaseKeeperOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly name: string;
  readonly log: (level: 'info' | 'warning' | 'error', text: string) => void;
  /** Something that decisions depend on has changed. */
  readonly onChange: (why: string) => void;
  /** The deadline has moved (monotonic ms): by proof, or to give a primary found running its time. */
  readonly onDeadline: (deadline: number, ttlMs: number, proven: boolean) => void;
  /** False: the node is not healthy enough to keep the lease (rule F2). */
  readonly healthy: () => boolean;
  /** A leader's renewal has failed: from here on other proof has to be looked for (contract 5.4). */
  readonly onMissed: () => void;
  readonly measures?: Pick<Measures, 'renewals'>;
  /** Leadership is proven again, or over. */
  readonly onSettled: () => void;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  #ttlMs = 30_000;
  #retryTimeoutMs = 10_000;
  #leaseId: string | null = null;
  #grantedMs = 0;
  #leadership: Leadership | null = null;
  /** Granted for a new ttl, not in use yet. */
  #next: Next | null = null;
  #deadline: number | null = null;
  #stop = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #failing = false;
  #campaigning = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  facts(): LeaseFacts {
    return {
      leaseId: this.#leaseId,
      holdsLeaderKey: this.#leadership !== null,
      leaderModRevision: this.#leadership?.modRevision ?? null,
      deadline: this.#deadline,
    };
  }

  get leadership(): Leadership | null {
    return this.#leadership;
  }

  /** The leader key has been asked for, and the answer is not here yet. */
  get campaigning(): boolean {
    return this.#campaigning;
  }

  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** Begins renewing. A primary found running at start gets `graceUntil` to be proven in (S8). */
  begin(ttlMs: number, retryTimeoutMs: number, graceUntil: number | null): void {
    this.#ttlMs = ttlMs;
    this.#retryTimeoutMs = retryTimeoutMs;
    if (graceUntil !== null) {
      this.#deadline = graceUntil;
      this.#options.onDeadline(graceUntil, ttlMs, false);
    }
    this.#running = this.#run();
  }

  /** New policy. A changed ttl needs a new lease; a leader's key is moved to it (contract 2.2). */
  async configure(ttlMs: number, retryTimeoutMs: number): Promise<void> {
    this.#retryTimeoutMs = retryTimeoutMs;
    // A move that failed is ended first, whatever the new policy is: its answer may have been lost
    // after the key was moved.
    await this.#move().catch((error: unknown) => {
      if (!(error instanceof LeaseGone)) throw error;
    });
    if (ttlMs === this.#ttlMs) return;
    const since = this.#options.clock.now();
    const granted = await this.#options.store.grantLease(Math.ceil(ttlMs / 1000));
    this.#next = { ...granted, ttlMs, since };
    await this.#move();
  }

  /**
   * Puts the next lease, if there is one, into use, with the leader key if that is ours. The lease
   * stays the next one until the outcome is known.
   * @throws LeaseGone it ran out before the key was moved: another has to be granted
   */
  async #move(): Promise<void> {
    if (this.#next !== null) await this.#freshen(this.#next);
    const next = this.#next;
    const former = this.#leadership;
    if (next === null) return;
    let moved: CampaignResult | null = null;
    try {
      const { store, name } = this.#options;
      if (former !== null) moved = await store.takeOver(name, next.leaseId, former);
    } catch (error) {
      // Said by the transaction itself, unlike the word of a keep-alive: the key is not on it.
      if (error instanceof LeaseGone && this.#next?.leaseId === next.leaseId) this.#next = null;
      throw error;
    }
    // The renewal and the new policy may both have come to move it.
    if (this.#next?.leaseId !== next.leaseId) return;
    this.#next = null;
    this.#ttlMs = next.ttlMs;
    this.#use(next);
    if (moved === null) return;
    if (moved.won) await this.#lead(moved.leadership);
    else this.#lose(`moving the leader key to a new lease failed: ${moved.why}`);
  }

  /** A lease that waited for a second try is kept alive before the key is put on it. */
  async #freshen(next: Next): Promise<void> {
    const now = this.#options.clock.now();
    if (now - next.since <= next.ttlSeconds * 500) return;
    const { ttlSeconds } = await this.#options.store.keepAlive(next.leaseId);
    if (this.#next !== next) return;
    if (ttlSeconds > 0) this.#next = { ...next, since: now };
    // A leader's key may be on it, and a deposed member may be wrong: then the move itself decides.
    else if (this.#leadership === null) this.#next = null;
  }

  /**
   * Takes the free leader key. Does not wait longer than the store's own deadline. `onWon` is called as
   * soon as the key is ours: what it begins goes on beside the first proof.
   */
  async campaign(
    claim: number | null,
    seenTimelinesRevision: number,
    onWon: () => void = () => undefined,
  ): Promise<CampaignResult> {
    const attempt = (leaseId: string): Promise<CampaignResult> =>
      this.#options.store.campaign(this.#options.name, leaseId, claim, seenTimelinesRevision);
    this.#campaigning = true;
    try {
      const result = await this.#withLease(attempt);
      if (!result.won) return result;
      onWon();
      await this.#lead(result.leadership);
      return result;
    } finally {
      this.#campaigning = false;
    }
  }

  /** Moves the leader key from this node's earlier lease to the present one. */
  async takeOver(modRevision: number): Promise<CampaignResult> {
    const result = await this.#withLease((leaseId) =>
      this.#options.store.takeOver(this.#options.name, leaseId, { modRevision }),
    );
    if (result.won) await this.#lead(result.leadership);
    return result;
  }

  async finishBootstrap(
    systemIdentifier: string,
    config: Readonly<Record<string, unknown>>,
  ): Promise<CampaignResult> {
    const result = await this.#withLease((leaseId) =>
      this.#options.store.finishBootstrap(this.#options.name, leaseId, systemIdentifier, config),
    );
    if (result.won) await this.#lead(result.leadership);
    return result;
  }

  /** Gives the leader key back. PostgreSQL must not be taking writes any more. */
  async resign(
    marker: Omit<Handover, 'modRevision'>,
    status: StatusContent | null,
  ): Promise<boolean> {
    const leadership = this.#leadership;
    if (leadership === null) return false;
    const released = await this.#options.store.resign(leadership, marker, status);
    this.#options.onSettled();
    this.#leadership = null;
    this.#deadline = null;
    return released;
  }

  /**
   * All members were asked at `sentAt` and have agreed that this node goes on leading without the store
   * (rule S1, contract 5.4). Revives nothing that is over.
   */
  vouched(sentAt: number, leadership: Leadership): void {
    if (this.#leadership !== leadership || this.#deadline === null) return;
    const deadline = leaseDeadline(sentAt, this.#grantedMs);
    if (this.#options.clock.now() >= this.#deadline || deadline <= this.#deadline) return;
    this.#deadline = deadline;
    this.#options.onDeadline(deadline, this.#ttlMs, true);
  }

  /** PostgreSQL is proven not to take writes and the key is not ours: no deadline is in force. */
  clearDeadline(): void {
    if (this.#leadership === null) this.#deadline = null;
  }

  /** Renews now. */
  hurry(): void {
    this.#wake.abort();
  }

  async end(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    await this.#running;
  }

  async #withLease(attempt: (leaseId: string) => Promise<CampaignResult>): Promise<CampaignResult> {
    if (this.#leaseId === null) await this.#grant();
    if (this.#leaseId === null) return { won: false, why: 'the store grants no lease' };
    try {
      return await attempt(this.#leaseId);
    } catch (error) {
      if (!(error instanceof LeaseGone)) throw error;
      this.#leaseId = null;
      await this.#grant();
      if (this.#leaseId === null) return { won: false, why: 'the store grants no lease' };
      return attempt(this.#leaseId);
    }
  }

  async #lead(leadership: Leadership): Promise<void> {
    // While the key was asked for, a renewal may have found this lease gone and granted another one.
    this.#leaseId = leadership.leaseId;
    this.#leadership = leadership;
    await this.#renew();
    this.hurry();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const pauseMs = await this.#once();
      this.#wake = new AbortController();
      if (this.#stop.signal.aborted) return;
      await this.#options.clock.wait(pauseMs, this.#wake.signal);
    }
  }

  /** One round; returns the pause until the next, ms. */
  async #once(): Promise<number> {
    try {
      if (this.#leaseId === null) await this.#grant();
      else await this.#renew();
      this.#recovered();
    } catch (error) {
      this.#complain(error);
      if (this.#leadership !== null) this.#options.onMissed();
      return RETRY_MS;
    }
    if (this.#leaseId === null) return RETRY_MS;
    const proven =
      this.#leadership === null ||
      (this.#deadline !== null && this.#options.clock.now() < this.#deadline);
    if (!proven) return RETRY_MS;
    return this.#leadership === null ? memberRenewalMs(this.#ttlMs) : leaderRenewalMs(this.#ttlMs);
  }

  async #grant(): Promise<void> {
    this.#use(await this.#options.store.grantLease(Math.ceil(this.#ttlMs / 1000)));
  }

  #use(granted: Grant): void {
    this.#leaseId = granted.leaseId;
    this.#grantedMs = granted.ttlSeconds * 1000;
    this.#options.onChange('a lease was granted');
  }

  async #renew(): Promise<void> {
    const leaseId = this.#leaseId;
    const leadership = this.#leadership;
    if (leaseId === null) return;
    const timeoutMs = renewalTimeoutMs(this.#ttlMs, this.#retryTimeoutMs);
    if (leadership === null) {
      const { ttlSeconds } = await within(
        this.#options.clock,
        timeoutMs * 2,
        'keep-alive',
        this.#options.store.keepAlive(leaseId),
      );
      if (ttlSeconds === 0 && this.#leaseId === leaseId) this.#forgetLease();
      return;
    }
    if (!this.#options.healthy()) return;
    // Validity begins when the request is sent, not when the answer is here (S1).
    const sentAt = this.#options.clock.now();
    const renewal = await this.#options.store.renew(this.#options.name, leadership, { timeoutMs });
    // A campaign or a resignation meanwhile has made this answer meaningless.
    if (this.#leadership !== leadership) return;
    if (renewal.proven) {
      this.#options.measures?.renewals.observe(this.#options.clock.now() - sentAt);
      this.#deadline = leaseDeadline(sentAt, Math.min(this.#grantedMs, renewal.ttlSeconds * 1000));
      this.#options.onDeadline(this.#deadline, this.#ttlMs, true);
      this.#options.onSettled();
      return;
    }
    // Lost to our own next lease: the answer to the move has not come, or never will.
    if (renewal.lost && this.#next !== null) return this.#move();
    if (renewal.lost) this.#lose(renewal.why);
    if (renewal.ttlSeconds === 0) this.#forgetLease();
    if (!renewal.lost) throw new Error(renewal.why);
  }

  #lose(why: string): void {
    this.#leadership = null;
    this.#options.onSettled();
    this.#options.log('error', `lost the leader key: ${why}`);
    this.#options.onChange('the leader key is lost');
  }

  #forgetLease(): void {
    this.#leaseId = null;
    this.#options.onChange('the lease is gone');
  }

  #complain(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (!this.#failing) this.#options.log('warning', `the lease could not be renewed: ${text}`);
    this.#failing = true;
  }

  #recovered(): void {
    if (this.#failing) this.#options.log('info', 'the lease is renewed again');
    this.#failing = false;
  }
}
