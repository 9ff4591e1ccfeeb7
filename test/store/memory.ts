/**
 * The store in memory: linearizable, with leases, transactions and watches, and with the ways in
 * which a real one fails. One {@link MemoryStore} is the whole etcd; each agent has a client of its
 * own, whose faults are its own too.
 */
import type { Clock } from '../../src/clock.ts';
import {
  type Change,
  type Compare,
  type Header,
  type KeyValue,
  LeaseGone,
  type Operation,
  StoreRefused,
} from '../../src/store/keyvalue.ts';
import { type FaultPolicy, MemoryClient } from './memory-client.ts';

interface Lease {
  readonly ttlMs: number;
  expiresAt: number;
}

export interface Snapshot extends Header {
  readonly kvs: readonly KeyValue[];
}

type Watcher = {
  readonly prefix: string;
  readonly onChange: (changes: readonly Change[]) => void;
  readonly onGap: (why: string) => void;
};

/** As etcd grants them with its default election time-out. */
const LEAST_TTL_SECONDS = 2;
/** How many states of the past a stale member can still show. */
const KEPT_SNAPSHOTS = 20;

export class MemoryStore {
  readonly clock: Clock;
  clusterId = '1000';
  raftTerm = 2;
  /** NOSPACE: puts and grants are refused; reads, deletes and keep-alives still work. */
  full = false;
  #revision = 1;
  #kvs = new Map<string, KeyValue>();
  readonly #leases = new Map<string, Lease>();
  readonly #watchers = new Set<Watcher>();
  readonly #past: Snapshot[] = [];
  /** By key; null after a change. */
  #inOrder: readonly KeyValue[] | null = null;
  #cancelExpiry: () => void = () => undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  client(fault: FaultPolicy = () => null): MemoryClient {
    return new MemoryClient(this, fault);
  }

  header(): Header {
    return { clusterId: this.clusterId, revision: this.#revision, raftTerm: this.raftTerm };
  }

  /** The key as it stands, without a client: for those who watch the world, not for agents. */
  peek(key: string): KeyValue | null {
    return this.#kvs.get(key) ?? null;
  }

  /** When the lease ends unless it is kept alive; null when there is none. */
  leaseEnd(leaseId: string): number | null {
    return this.#leases.get(leaseId)?.expiresAt ?? null;
  }

  /** Granted time to live, seconds; 0 when there is no such lease. */
  ttlOf(leaseId: string): number {
    return (this.#leases.get(leaseId)?.ttlMs ?? 0) / 1000;
  }

  now(): Snapshot {
    this.expire();
    return { ...this.header(), kvs: this.#sorted() };
  }

  /** The state `back` writes ago, as a member that lags behind would show it. */
  past(back: number): Snapshot {
    return this.#past.at(-back) ?? this.now();
  }

  /** A new leader of the store: the term rises, every lease begins anew. */
  changeLeader(): void {
    this.expire();
    this.raftTerm += 1;
    for (const lease of this.#leases.values()) lease.expiresAt = this.clock.now() + lease.ttlMs;
    this.#scheduleExpiry();
  }

  /** Restored somewhere else, empty. */
  replace(): void {
    this.clusterId = String(Number(this.clusterId) + 1);
    this.wipe();
  }

  /** Set up anew with the same flags: etcd derives its cluster id from them. */
  wipe(): void {
    this.raftTerm = 2;
    this.#revision = 1;
    this.#kvs = new Map();
    this.#inOrder = null;
    this.#leases.clear();
    this.#past.length = 0;
  }

  breakWatches(why: string): void {
    for (const watcher of [...this.#watchers]) {
      watcher.onGap(why);
      watcher.onGap('watch: begins');
    }
  }

  transact(
    compare: readonly Compare[],
    effects: readonly Operation[],
    otherwise: readonly Operation[],
  ): Header & { readonly succeeded: boolean; readonly reads: readonly (KeyValue | null)[] } {
    this.expire();
    const succeeded = compare.every((one) => this.#holds(one));
    const operations = succeeded ? effects : otherwise;
    const written = operations.flatMap((one) => ('put' in one ? [one] : []));
    for (const { leaseId } of written) {
      if (leaseId !== undefined && !this.#leases.has(leaseId)) {
        throw new LeaseGone('requested lease not found');
      }
    }
    // As the real one: a transaction that could put is refused, whatever its compares say.
    if (this.full && [...effects, ...otherwise].some((one) => 'put' in one)) {
      throw new StoreRefused('RESOURCE_EXHAUSTED', 'mvcc: database space exceeded');
    }
    const reads = this.#apply(operations);
    return { ...this.header(), succeeded, reads };
  }

  grant(leaseId: string, ttlSeconds: number): Header & { readonly ttlSeconds: number } {
    this.expire();
    if (this.full) throw new StoreRefused('RESOURCE_EXHAUSTED', 'mvcc: database space exceeded');
    if (this.#leases.has(leaseId)) {
      throw new StoreRefused('FAILED_PRECONDITION', 'lease already exists');
    }
    const granted = Math.max(LEAST_TTL_SECONDS, Math.floor(ttlSeconds));
    const ttlMs = granted * 1000;
    this.#leases.set(leaseId, { ttlMs, expiresAt: this.clock.now() + ttlMs });
    this.#scheduleExpiry();
    return { ...this.header(), ttlSeconds: granted };
  }

  keepAlive(leaseId: string): Header & { readonly ttlSeconds: number } {
    this.expire();
    const header = this.header();
    const lease = this.#leases.get(leaseId);
    if (!lease) return { ...header, ttlSeconds: 0 };
    lease.expiresAt = this.clock.now() + lease.ttlMs;
    this.#scheduleExpiry();
    return { ...header, ttlSeconds: lease.ttlMs / 1000 };
  }

  timeToLive(leaseId: string): Header & { readonly remainingSeconds: number } {
    this.expire();
    const expiresAt = this.#leases.get(leaseId)?.expiresAt ?? 0;
    const remainingMs = Math.max(0, expiresAt - this.clock.now());
    return { ...this.header(), remainingSeconds: Math.ceil(remainingMs / 1000) };
  }

  revoke(leaseId: string): void {
    this.expire();
    if (this.#leases.delete(leaseId)) this.#deleteKeysOf([leaseId]);
  }

  watch(watcher: Watcher): { stop(): void } {
    this.#watchers.add(watcher);
    queueMicrotask(() => {
      if (this.#watchers.has(watcher)) watcher.onGap('watch: begins');
    });
    return { stop: () => void this.#watchers.delete(watcher) };
  }

  /** Ends the leases whose time is over, and deletes their keys. */
  expire(): void {
    const now = this.clock.now();
    const over: string[] = [];
    for (const [id, { expiresAt }] of this.#leases) if (expiresAt <= now) over.push(id);
    if (over.length === 0) return;
    for (const leaseId of over) this.#leases.delete(leaseId);
    this.#deleteKeysOf(over);
  }

  #scheduleExpiry(): void {
    const next = Math.min(...[...this.#leases.values()].map((lease) => lease.expiresAt));
    this.#cancelExpiry();
    if (!Number.isFinite(next)) return;
    this.#cancelExpiry = this.clock.after(next - this.clock.now(), () => {
      this.expire();
      this.#scheduleExpiry();
    });
  }

  #deleteKeysOf(leaseIds: readonly string[]): void {
    const gone = new Set(leaseIds);
    const keys = [...this.#kvs.values()].filter(({ leaseId }) => leaseId && gone.has(leaseId));
    this.#apply(keys.map(({ key }) => ({ delete: key })));
  }

  #holds(compare: Compare): boolean {
    const found = this.#kvs.get(compare.key);
    if ('value' in compare) return found?.value === compare.value;
    if ('createRevision' in compare) return (found?.createRevision ?? 0) === compare.createRevision;
    if ('modRevision' in compare) return (found?.modRevision ?? 0) === compare.modRevision;
    return (found?.leaseId ?? '0') === compare.leaseId;
  }

  /** In order, at one new revision; the reads see what was written before them. */
  #apply(operations: readonly Operation[]): readonly (KeyValue | null)[] {
    const reads: (KeyValue | null)[] = [];
    const changes: Change[] = [];
    const before = operations.every((one) => 'get' in one)
      ? null
      : { ...this.header(), kvs: this.#sorted() };
    const modRevision = this.#revision + 1;
    for (const one of operations) {
      if ('get' in one) {
        reads.push(this.#kvs.get(one.get) ?? null);
      } else if ('delete' in one) {
        if (this.#kvs.delete(one.delete)) changes.push({ key: one.delete, value: null });
      } else {
        const { put: key, value, leaseId = null } = one;
        const createRevision = this.#kvs.get(key)?.createRevision ?? modRevision;
        this.#kvs.set(key, { key, value, createRevision, modRevision, leaseId });
        changes.push({ key, value });
      }
    }
    if (before === null || changes.length === 0) return reads;
    this.#revision = modRevision;
    this.#inOrder = null;
    this.#past.push(before);
    if (this.#past.length > KEPT_SNAPSHOTS) this.#past.shift();
    for (const watcher of this.#watchers) this.#tell(watcher, changes);
    return reads;
  }

  #tell(watcher: Watcher, changes: readonly Change[]): void {
    const seen = changes.filter(({ key }) => key.startsWith(watcher.prefix));
    if (seen.length === 0) return;
    queueMicrotask(() => {
      if (this.#watchers.has(watcher)) watcher.onChange(seen);
    });
  }

  #sorted(): readonly KeyValue[] {
    this.#inOrder ??= [...this.#kvs.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
    return this.#inOrder;
  }
}
