/** One agent's way to a {@link MemoryStore}, with the faults that lie on it. */
import { Histories } from '../../src/store/histories.ts';
import { type Header, StoreUnavailable } from '../../src/store/keyvalue.ts';
import type { MemoryStore } from './memory.ts';
import { type Call, type CallName, MemoryCalls } from './memory-calls.ts';

export type { CallName } from './memory-calls.ts';

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

export class MemoryClient extends MemoryCalls {
  /** May be replaced at any time. */
  fault: FaultPolicy;
  /** One way, ms. */
  latencyMs = 0;
  readonly #histories: Histories;
  #late: (() => unknown)[] = [];
  #closed = false;

  constructor(store: MemoryStore, fault: FaultPolicy) {
    super(store);
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

  close(): void {
    this.#closed = true;
  }

  protected async call<T extends Header>(call: Call<T>): Promise<T> {
    const { name, kind, options } = call;
    const ambiguous = kind === 'write';
    await this.#travel();
    if (this.#closed) throw new StoreUnavailable(`${name}: closed`, false);
    if (options.timeoutMs <= 0) throw new StoreUnavailable(`${name}: no time left`, false);
    const fault = this.fault(name);
    if (fault === 'refused connection') throw new StoreUnavailable(`${name}: ${fault}`, false);
    if (fault === 'lost request' || fault === 'late request' || fault === 'lost answer') {
      if (fault === 'late request') this.#late.push(call.take);
      if (fault === 'lost answer') call.take();
      await this.#travel();
      throw new StoreUnavailable(`${name}: ${fault}`, ambiguous);
    }
    const first = this.#first(fault, call);
    // A member from the past is passed over, as with several endpoints; a healthy one answers.
    const old = first && this.#histories.refusal(first, kind, options) !== null;
    const answer = first && !old ? first : call.take();
    await this.#travel();
    const refusal = this.#histories.refusal(answer, kind, options);
    if (refusal !== null) {
      this.#histories.failed(0, kind, options);
      throw new StoreUnavailable(`${name}: ${refusal}`, ambiguous);
    }
    return { ...answer, clusterId: this.#histories.header(answer).clusterId };
  }

  #first<T extends Header>(fault: Fault | null, call: Call<T>): T | null {
    if (fault === 'deposed member') return call.deposed?.(this.store.raftTerm - 1) ?? null;
    if (fault === 'lagging member') return call.lagging?.() ?? null;
    return null;
  }

  async #travel(): Promise<void> {
    if (this.latencyMs > 0) await this.store.clock.wait(this.latencyMs);
    else await Promise.resolve();
  }
}
