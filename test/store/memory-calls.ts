/**
 * The calls of a {@link KeyValueStore} as operations on a {@link MemoryStore}: what each does when it
 * arrives, and what a member that is behind would answer. How a call travels is for whoever extends it.
 */
import type {
  CallKind,
  CallOptions,
  Change,
  Compare,
  Header,
  KeyValue,
  KeyValueStore,
  Operation,
} from '../../src/store/keyvalue.ts';
import type { MemoryStore, Snapshot } from './memory.ts';

export type CallName = 'range' | 'transact' | 'grant' | 'keepAlive' | 'timeToLive' | 'revoke';

export interface Call<T extends Header> {
  readonly name: CallName;
  readonly kind: CallKind;
  readonly options: CallOptions;
  /** Carries the call out. */
  readonly take: () => T;
  /** What a member answers that lost its leadership in a later term; without it none does. */
  readonly deposed?: (term: number) => T;
  /** What a member answers that lags one write behind. */
  readonly lagging?: () => T;
}

type Reads = Header & { readonly succeeded: boolean; readonly reads: readonly (KeyValue | null)[] };

/** The deposed member never heard that a lease ended. */
const DEPOSED_TTL_SECONDS = 30;

export abstract class MemoryCalls implements KeyValueStore {
  protected readonly store: MemoryStore;

  constructor(store: MemoryStore) {
    this.store = store;
  }

  protected abstract call<T extends Header>(call: Call<T>): Promise<T>;

  range(prefix: string, options: CallOptions): Promise<Snapshot> {
    const within = (snapshot: Snapshot): Snapshot => ({
      ...snapshot,
      kvs: snapshot.kvs.filter(({ key }) => key.startsWith(prefix)),
    });
    return this.call({
      name: 'range',
      kind: 'read',
      options,
      take: () => within(this.store.now()),
      deposed: (raftTerm) => ({ ...within(this.store.past(1)), raftTerm }),
      lagging: () => within(this.store.past(1)),
    });
  }

  transact(
    compare: readonly Compare[],
    then: readonly Operation[],
    otherwise: readonly Operation[],
    options: CallOptions,
  ): Promise<Reads> {
    const reads = [...then, ...otherwise].every((operation) => 'get' in operation);
    const take = (): Reads => this.store.transact(compare, then, otherwise);
    return this.call({ name: 'transact', kind: reads ? 'read' : 'write', options, take });
  }

  grant(
    leaseId: string,
    ttlSeconds: number,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    const take = (): Header & { readonly ttlSeconds: number } =>
      this.store.grant(leaseId, ttlSeconds);
    return this.call({ name: 'grant', kind: 'write', options, take });
  }

  keepAlive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    return this.call({
      name: 'keepAlive',
      kind: 'harmless',
      options,
      take: () => this.store.keepAlive(leaseId),
      deposed: (raftTerm) => ({
        ...this.store.header(),
        raftTerm,
        ttlSeconds: this.store.ttlOf(leaseId) || DEPOSED_TTL_SECONDS,
      }),
    });
  }

  timeToLive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly remainingSeconds: number }> {
    return this.call({
      name: 'timeToLive',
      kind: 'harmless',
      options,
      take: () => this.store.timeToLive(leaseId),
      deposed: (raftTerm) => ({ ...this.store.header(), raftTerm, remainingSeconds: 0 }),
    });
  }

  async revokeUnused(leaseId: string, options: CallOptions): Promise<void> {
    const take = (): Header => {
      this.store.revoke(leaseId);
      return this.store.header();
    };
    await this.call({ name: 'revoke', kind: 'write', options, take });
  }

  watch(
    prefix: string,
    onChange: (changes: readonly Change[]) => void,
    onGap: (why: string) => void,
  ): { stop(): void } {
    return this.store.watch({ prefix, onChange, onGap });
  }

  abstract close(): void;
}
