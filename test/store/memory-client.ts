/** One agent's way to a {@link MemoryStore}, with the faults that lie on it. */
import { Histories } from '../../src/store/histories.ts';
import {
  type CallKind,
  type CallOptions,
  type Change,
  type Compare,
  type Header,
  type KeyValue,
  type KeyValueStore,
  type Operation,
  StoreUnavailable,
} from '../../src/store/keyvalue.ts';
import type { MemoryStore, Snapshot } from './memory.ts';

export type CallName = 'range' | 'transact' | 'grant' | 'keepAlive' | 'timeToLive' | 'revoke';

export type Fault =
  /** Turned away at once: certainly nothing happened. */
  | 'refused connection'
  /** Lost on the way there, or on the way back: the caller cannot tell which. */
  | 'lost request'
  | 'lost answer'
  /** Reported as lost, and carried out when the test calls {@link MemoryClient.deliverLate}. */
  | 'late request'
  /**
   * Answered by a member that lost its leadership and does not know: the lease is not extended,
   * reads show the past, everything carries the raft term of then.
   */
  | 'deposed member'
  /** A read answered by a member that lags one write behind. */
  | 'lagging member';

/** Asked before every call. */
export type FaultPolicy = (call: CallName) => Fault | null;

interface Ways<T> {
  /** Carries the call out. */
  readonly take: () => T;
  /** What a member of the past answers; null when it cannot answer such a call. */
  readonly deposed?: (term: number) => T;
  readonly lagging?: () => T;
}

export class MemoryClient implements KeyValueStore {
  readonly #store: MemoryStore;
  /** May be replaced at any time. */
  fault: FaultPolicy;
  /** One way, ms. */
  latencyMs = 0;
  readonly #histories: Histories;
  #late: (() => unknown)[] = [];
  #closed = false;

  constructor(store: MemoryStore, fault: FaultPolicy) {
    this.#store = store;
    // One endpoint for all of them: its members are passed over inside.
    this.#histories = new Histories(store.clock, 1);
    this.fault = fault;
  }

  /** The next call of this name has the fault, later ones none. */
  failOnce(name: CallName, fault: Fault): void {
    let pending = true;
    this.fault = (call) => {
      if (!pending || call !== name) return null;
      pending = false;
      return fault;
    };
  }

  /** Requests that were reported as lost arrive now. */
  deliverLate(): void {
    for (const take of this.#late.splice(0)) {
      try {
        take();
      } catch {
        // Nobody is there to hear it.
      }
    }
  }

  range(prefix: string, options: CallOptions): Promise<Snapshot> {
    const within = (snapshot: Snapshot): Snapshot => ({
      ...snapshot,
      kvs: snapshot.kvs.filter(({ key }) => key.startsWith(prefix)),
    });
    return this.#call('range', options, true, {
      take: () => within(this.#store.now()),
      deposed: (raftTerm) => ({ ...within(this.#store.past(1)), raftTerm }),
      lagging: () => within(this.#store.past(1)),
    });
  }

  transact(
    compare: readonly Compare[],
    effects: readonly Operation[],
    otherwise: readonly Operation[],
    options: CallOptions,
  ): Promise<
    Header & { readonly succeeded: boolean; readonly reads: readonly (KeyValue | null)[] }
  > {
    const reads = [...effects, ...otherwise].every((operation) => 'get' in operation);
    return this.#call('transact', options, reads, {
      take: () => this.#store.transact(compare, effects, otherwise),
    });
  }

  grant(
    leaseId: string,
    ttlSeconds: number,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    return this.#call('grant', options, false, {
      take: () => this.#store.grant(leaseId, ttlSeconds),
    });
  }

  keepAlive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    return this.#call('keepAlive', options, true, {
      take: () => this.#store.keepAlive(leaseId),
      deposed: (raftTerm) => ({ ...this.#store.header(), raftTerm, ttlSeconds: 30 }),
    });
  }

  timeToLive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly remainingSeconds: number }> {
    return this.#call('timeToLive', options, true, {
      take: () => this.#store.timeToLive(leaseId),
      deposed: (raftTerm) => ({ ...this.#store.header(), raftTerm, remainingSeconds: 0 }),
    });
  }

  async revokeUnused(leaseId: string, options: CallOptions): Promise<void> {
    await this.#call('revoke', options, false, {
      take: () => {
        this.#store.revoke(leaseId);
        return this.#store.header();
      },
    });
  }

  watch(
    prefix: string,
    onChange: (changes: readonly Change[]) => void,
    onGap: (why: string) => void,
  ): { stop(): void } {
    return this.#store.watch({ prefix, onChange, onGap });
  }

  close(): void {
    this.#closed = true;
  }

  async #call<T extends Header>(
    name: CallName,
    options: CallOptions,
    repeatable: boolean,
    ways: Ways<T>,
  ): Promise<T> {
    await this.#travel();
    if (this.#closed) throw new StoreUnavailable(`${name}: closed`, false);
    if (options.timeoutMs <= 0) throw new StoreUnavailable(`${name}: no time left`, false);
    const fault = this.fault(name);
    if (fault === 'refused connection') throw new StoreUnavailable(`${name}: ${fault}`, false);
    if (fault === 'lost request' || fault === 'late request' || fault === 'lost answer') {
      if (fault === 'late request') this.#late.push(ways.take);
      if (fault === 'lost answer') ways.take();
      await this.#travel();
      throw new StoreUnavailable(`${name}: ${fault}`, !repeatable);
    }
    const first = this.#first(fault, ways);
    // A member from the past is passed over, as with several endpoints; a healthy one answers.
    const kind: CallKind = !repeatable
      ? 'write'
      : ['keepAlive', 'timeToLive'].includes(name)
        ? 'harmless'
        : 'read';
    const old = first && this.#histories.refusal(first, kind, options) !== null;
    const answer = first && !old ? first : ways.take();
    await this.#travel();
    const refusal = this.#histories.refusal(answer, kind, options);
    if (refusal !== null) {
      this.#histories.failed(0, kind, options);
      throw new StoreUnavailable(`${name}: ${refusal}`, !repeatable);
    }
    return { ...answer, clusterId: this.#histories.header(answer).clusterId };
  }

  #first<T>(fault: Fault | null, ways: Ways<T>): T | null {
    if (fault === 'deposed member') return ways.deposed?.(this.#store.raftTerm - 1) ?? null;
    if (fault === 'lagging member') return ways.lagging?.() ?? null;
    return null;
  }

  async #travel(): Promise<void> {
    if (this.latencyMs > 0) await this.#store.clock.wait(this.latencyMs);
    else await Promise.resolve();
  }
}
