/** {@link Store} over a {@link KeyValueStore}: named operations, each with its guard (rule S2). */
import type { Clock } from '../clock.ts';
import type { HistoryEntry } from '../core/history.ts';
import type {
  ClusterView,
  Handover,
  SyncContent,
  TimelineClaims,
  Unconfirmed,
} from '../core/model.ts';
import { Calls } from './calls.ts';
import { encodeHistory, encodeStatus, NO_FAILOVER, type StatusContent } from './codecs.ts';
import { Hints } from './hints.ts';
import { compactJson } from './json.ts';
import { keysOf, memberKey } from './keys.ts';
import type { Compare, KeyValueStore } from './keyvalue.ts';
import { grantLease, leaseRemaining } from './leases.ts';
import { encodeMember, type PublishedMember } from './members.ts';
import * as operators from './operators.ts';
import { encodeHandover, encodeUnconfirmed } from './ours.ts';
import { guard, renew } from './renewal.ts';
import { settled } from './settled.ts';
import type { CampaignResult, Leadership, Renewal, Store } from './store.ts';
import { writeSync } from './sync.ts';
import { decodeView, KnownBefore } from './view.ts';
import * as winning from './winning.ts';
import { Written } from './written.ts';

export interface ClusterStoreOptions {
  /** Contract 2.1; default in Patroni: `service`. */
  readonly namespace: string;
  readonly scope: string;
  readonly clock: Clock;
  readonly retryTimeoutMs: number;
  /** For several clients of one store in one process, which then decode each value once. */
  readonly before?: KnownBefore;
}

export class ClusterStore implements Store {
  readonly #store: KeyValueStore;
  readonly #calls: Calls;
  readonly #written = new Written();
  readonly #before: KnownBefore;
  #timelines: TimelineClaims | null = null;

  constructor(store: KeyValueStore, options: ClusterStoreOptions) {
    const keys = keysOf(options.namespace, options.scope);
    this.#store = store;
    this.#before = options.before ?? new KnownBefore();
    this.#calls = new Calls(store, keys, options.clock, options.retryTimeoutMs, () => {
      this.#written.forgetAll();
      this.#timelines = null;
    });
  }

  get retryTimeoutMs(): number {
    return this.#calls.retryTimeoutMs;
  }

  set retryTimeoutMs(ms: number) {
    this.#calls.retryTimeoutMs = ms;
  }

  get forgetAfterMs(): number {
    return this.#calls.forgetAfterMs;
  }

  set forgetAfterMs(ms: number) {
    this.#calls.forgetAfterMs = ms;
  }

  async read(): Promise<ClusterView> {
    const { kvs, revision } = await this.#calls.range(this.#calls.budget());
    this.#written.verify(kvs, revision);
    const { keys, wentBack } = this.#calls;
    const view = decodeView(keys, revision, kvs, wentBack, this.#before);
    this.#timelines = view.timelines;
    return view;
  }

  grantLease(
    ttlSeconds: number,
  ): Promise<{ readonly leaseId: string; readonly ttlSeconds: number }> {
    return grantLease(this.#calls, ttlSeconds);
  }

  async keepAlive(leaseId: string): Promise<{ readonly ttlSeconds: number }> {
    const options = this.#calls.options(this.#calls.budget());
    const { ttlSeconds } = await this.#store.keepAlive(leaseId, options);
    return { ttlSeconds };
  }

  renew(
    name: string,
    leadership: Leadership,
    options?: { readonly timeoutMs: number },
  ): Promise<Renewal> {
    return renew(this.#calls, name, leadership, this.#calls.budget(options?.timeoutMs));
  }

  leaseRemaining(leaseId: string): Promise<number> {
    return leaseRemaining(this.#calls, leaseId);
  }

  campaign(
    name: string,
    leaseId: string,
    claim: number | null,
    seenTimelinesRevision: number,
  ): Promise<CampaignResult> {
    const seen = { revision: seenTimelinesRevision, remembered: this.#timelines };
    const contender = { name, leaseId };
    return winning.campaign(this.#calls, contender, claim, seen, this.#calls.budget());
  }

  claimTimeline(
    name: string,
    leadership: Leadership,
    claim: number,
    seenTimelinesRevision: number,
  ): Promise<boolean> {
    const seen = { revision: seenTimelinesRevision, remembered: this.#timelines };
    const budget = this.#calls.budget();
    return winning.claimTimeline(this.#calls, name, leadership, claim, seen, budget);
  }

  takeOver(
    name: string,
    leaseId: string,
    seen: { readonly modRevision: number },
  ): Promise<CampaignResult> {
    const contender = { name, leaseId };
    return winning.takeOver(this.#calls, contender, seen.modRevision, this.#calls.budget());
  }

  finishBootstrap(
    name: string,
    leaseId: string,
    systemIdentifier: string,
    config: Readonly<Record<string, unknown>>,
  ): Promise<CampaignResult> {
    const contender = { name, leaseId };
    const text = compactJson(config);
    const budget = this.#calls.budget();
    return winning.finishBootstrap(this.#calls, contender, systemIdentifier, text, budget);
  }

  /**
   * The guard names a revision that exists once, so the transaction may be repeated: it deletes
   * the key of this leadership or nothing.
   */
  async resign(
    leadership: Leadership,
    marker: Omit<Handover, 'modRevision'>,
    status: StatusContent | null,
  ): Promise<boolean> {
    const { leader, handover, status: statusKey } = this.#calls.keys;
    const value = encodeHandover(marker);
    const statusValue = status && encodeStatus(status);
    const then = [
      { delete: leader },
      { put: handover, value },
      ...(statusValue === null ? [] : [{ put: statusKey, value: statusValue }]),
    ];
    const budget = this.#calls.budget();
    this.#written.forget(statusKey);
    return settled(budget, async (repeated) => {
      const otherwise = [{ get: handover }];
      const guards = guard(leader, leadership);
      const answer = await this.#calls.transact(guards, then, otherwise, budget);
      return answer.succeeded || (repeated && answer.reads[0]?.value === value);
    });
  }

  async raceInitialize(name: string): Promise<boolean> {
    const { initialize, bootstrap } = this.#calls.keys;
    const budget = this.#calls.budget();
    return settled(budget, async (repeated) => {
      const answer = await this.#calls.transact(
        [{ key: initialize, createRevision: 0 }],
        [
          { put: initialize, value: '' },
          { put: bootstrap, value: name },
        ],
        [{ get: initialize }, { get: bootstrap }],
        budget,
      );
      if (answer.succeeded) return true;
      const [begun, owner] = answer.reads;
      return repeated && begun?.value === '' && owner?.value === name;
    });
  }

  async releaseInitialize(name: string, modRevision: number): Promise<boolean> {
    const { initialize, bootstrap } = this.#calls.keys;
    const budget = this.#calls.budget();
    return settled(budget, async (repeated) => {
      const answer = await this.#calls.transact(
        [
          { key: initialize, value: '' },
          { key: initialize, modRevision },
          { key: bootstrap, value: name },
        ],
        [{ delete: initialize }, { delete: bootstrap }],
        [{ get: initialize }],
        budget,
      );
      return answer.succeeded || (repeated && answer.reads[0]?.modRevision !== modRevision);
    });
  }

  async writeMember(name: string, leaseId: string, record: PublishedMember): Promise<void> {
    await this.#write([], memberKey(this.#calls.keys, name), encodeMember(record), leaseId);
  }

  writeStatus(leadership: Leadership, status: StatusContent): Promise<boolean> {
    return this.#writeAsLeader(leadership, this.#calls.keys.status, encodeStatus(status));
  }

  writeHistory(leadership: Leadership, history: readonly HistoryEntry[]): Promise<boolean> {
    return this.#writeAsLeader(leadership, this.#calls.keys.history, encodeHistory(history));
  }

  writeInitialize(leadership: Leadership, systemIdentifier: string): Promise<boolean> {
    return this.#writeAsLeader(leadership, this.#calls.keys.initialize, systemIdentifier);
  }

  writeConfig(leadership: Leadership, config: Readonly<Record<string, unknown>>): Promise<boolean> {
    return this.#writeAsLeader(leadership, this.#calls.keys.config, compactJson(config));
  }

  writeFailsafe(
    leadership: Leadership,
    members: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    return this.#writeAsLeader(leadership, this.#calls.keys.failsafe, compactJson(members));
  }

  writeUnconfirmed(leadership: Leadership, unconfirmed: Unconfirmed | null): Promise<boolean> {
    const key = this.#calls.keys.unconfirmed;
    return this.#writeAsLeader(leadership, key, encodeUnconfirmed(unconfirmed));
  }

  /** A request that came meanwhile stays; that is success, as ours is gone. */
  async clearFailover(leadership: Leadership, modRevision: number): Promise<boolean> {
    const { failover, leader } = this.#calls.keys;
    const answer = await this.#calls.transact(
      [...guard(leader, leadership), { key: failover, modRevision }],
      [{ put: failover, value: NO_FAILOVER }],
      [{ get: leader }],
      this.#calls.budget(),
    );
    const found = answer.reads[0];
    const stillLeader =
      found?.leaseId === leadership.leaseId && found.modRevision === leadership.modRevision;
    return answer.succeeded || stillLeader;
  }

  writeSync(
    leadership: Leadership,
    content: SyncContent | null,
    modRevision: number,
  ): Promise<boolean> {
    return writeSync(this.#calls, leadership, content, modRevision, this.#calls.budget());
  }

  writeFailover(request: operators.NewFailover): Promise<boolean> {
    return operators.writeFailover(this.#calls, request, this.#calls.budget());
  }

  deleteFailover(modRevision: number): Promise<boolean> {
    return operators.deleteFailover(this.#calls, modRevision, this.#calls.budget());
  }

  replaceConfig(config: Readonly<Record<string, unknown>>, modRevision: number): Promise<boolean> {
    // What was written as leader before says nothing about the key from now on.
    this.#written.forget(this.#calls.keys.config);
    return operators.replaceConfig(this.#calls, config, modRevision, this.#calls.budget());
  }

  watch(onHint: (why: string) => void): { stop(): void } {
    const { keys } = this.#calls;
    const hints = new Hints(keys, (key, value) => this.#written.isOwn(key, value));
    return this.#store.watch(
      keys.prefix,
      (changes) => {
        const why = hints.of(changes);
        if (why !== null) onHint(why);
      },
      (why) => {
        hints.forget();
        onHint(why);
      },
    );
  }

  close(): void {
    this.#store.close();
  }

  #writeAsLeader(leadership: Leadership, key: string, value: string): Promise<boolean> {
    return this.#write(guard(this.#calls.keys.leader, leadership), key, value, null);
  }

  /** One attempt (contract 2.7, "fire once"): the next tick writes again what was lost. */
  async #write(
    guards: readonly Compare[],
    key: string,
    value: string,
    leaseId: string | null,
  ): Promise<boolean> {
    if (this.#written.isUnchanged(key, value, leaseId)) return true;
    this.#written.sending(key, value, leaseId);
    try {
      const put = { put: key, value, ...(leaseId === null ? {} : { leaseId }) };
      const answer = await this.#calls.transact(guards, [put], [], this.#calls.budget());
      if (answer.succeeded) this.#written.sent(key, value, leaseId, answer.revision);
      else this.#written.forget(key);
      return answer.succeeded;
    } catch (error) {
      this.#written.forget(key);
      throw error;
    }
  }
}
