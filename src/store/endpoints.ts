/**
 * Choosing among several etcd endpoints: the last good one first, each attempt with a deadline of
 * its own, the rest of the time for the others. What is tried again and what is not is decided here
 * and nowhere else.
 */
import type { Etcd3, IResponseHeader } from 'etcd3';
import { type Clock, within } from '../clock.ts';
import { tlsProblem } from '../tls.ts';
import { Endpoint, type Login, NO_NAMES, type Tls } from './endpoint.ts';
import { type Failure, failureOf, ProbeFailed, StaleAnswer } from './failures.ts';
import { Histories } from './histories.ts';
import {
  type CallKind,
  type CallOptions,
  type Header,
  LeaseGone,
  StoreRefused,
  StoreUnavailable,
} from './keyvalue.ts';

export interface EtcdOptions {
  /** Such as `http://10.0.0.1:2379`; all http or all https. */
  readonly urls: readonly string[];
  readonly username?: string;
  readonly password?: string;
  readonly tls?: Tls;
  /** Told of each call when it is over: how it went and how long it took, all endpoints together, ms. */
  readonly onCall?: (kind: CallKind, outcome: CallOutcome, ms: number) => void;
}

export type CallOutcome = 'answered' | 'refused' | 'failed';

export type { CallKind } from './keyvalue.ts';

type Attempt<T> = (client: Etcd3, deadline: { readonly deadline: Date }) => Promise<T>;

/** Our own timer comes this much after gRPC's, which does not always fire. */
const GRACE_MS = 30;
/** Shorter attempts are not worth their messages. */
const LEAST_ATTEMPT_MS = 5;
/** Longer than any attempt: for calls on connections that have been replaced. */
const RETIRE_MS = 5_000;
const PAUSE_MS = { first: 50, last: 400 };
const ATTEMPT_MS = { least: 250, most: 1000 };

export class Endpoints {
  readonly #clock: Clock;
  readonly #endpoints: readonly Endpoint[];
  readonly #histories: Histories;
  readonly #closing = new AbortController();
  readonly #onCall: EtcdOptions['onCall'];
  #preferred = 0;

  /** @throws Error when there is no URL. */
  constructor(options: EtcdOptions, clock: Clock) {
    if (options.urls.length === 0) throw new Error('etcd: no endpoint is configured');
    const login = loginOf(options);
    this.#endpoints = options.urls.map((url) => new Endpoint(url, options.tls ?? {}, login));
    this.#clock = clock;
    this.#onCall = options.onCall;
    this.#histories = new Histories(clock, this.#endpoints.length);
  }

  /** The one that answered last. */
  get preferred(): Endpoint {
    return this.#endpoints[this.#preferred] as Endpoint;
  }

  /**
   * Runs `attempt` on one endpoint after the other until one answers or the time is up.
   * @throws StoreUnavailable, StoreRefused, LeaseGone
   */
  async call<T extends { readonly header: IResponseHeader }>(
    what: string,
    kind: CallKind,
    options: CallOptions,
    attempt: Attempt<T>,
  ): Promise<T> {
    const from = this.#clock.now();
    let outcome: CallOutcome = 'answered';
    try {
      return await this.#call(what, kind, options, attempt);
    } catch (error) {
      outcome = error instanceof StoreUnavailable ? 'failed' : 'refused';
      throw error;
    } finally {
      this.#onCall?.(kind, outcome, this.#clock.now() - from);
    }
  }

  async #call<T extends { readonly header: IResponseHeader }>(
    what: string,
    kind: CallKind,
    options: CallOptions,
    attempt: Attempt<T>,
  ): Promise<T> {
    const end = this.#clock.now() + options.timeoutMs;
    const attemptMs = options.attemptMs ?? this.#attemptMs(options.timeoutMs);
    const failures: string[] = [];
    for (let round = 0; !this.#closing.signal.aborted; round += 1) {
      for (const index of this.#order()) {
        const left = end - this.#clock.now();
        if (left < LEAST_ATTEMPT_MS) break;
        const ms = Math.min(attemptMs, left);
        const outcome = await this.#attempt(index, what, kind, options, ms, attempt);
        if ('answer' in outcome) return outcome.answer;
        this.#histories.failed(index, kind, options);
        failures.push(`${this.#endpoints[index]?.url}: ${outcome.failed.message}`);
        if (kind === 'write' && outcome.failed.mayHaveHappened) {
          throw this.#unavailable(what, failures, true);
        }
      }
      const left = end - this.#clock.now();
      if (left < LEAST_ATTEMPT_MS) break;
      const pause = Math.min(PAUSE_MS.first * 2 ** round, PAUSE_MS.last, left);
      await this.#clock.wait(pause, this.#closing.signal);
    }
    throw this.#unavailable(what, failures, false);
  }

  /** Of an answer just received. */
  header(header: IResponseHeader): Header {
    return this.#histories.header(plainHeader(header));
  }

  /**
   * Other certificates or another login, from the next call on; calls that are under way end on their
   * old connections. The endpoints themselves stay. Where all of them turn the new ones away nothing is
   * changed: a primary that works must not lose its store by a wrong file. Waits up to a second.
   * @throws StoreRefused they are turned away, with the reasons
   */
  async renew(options: EtcdOptions): Promise<void> {
    const refusals = await Promise.all(
      this.#endpoints.map(({ url }) => this.#refusal({ ...options, urls: [url] })),
    );
    if (refusals.every((why) => why !== null)) {
      const reasons = [...new Set(refusals)].join('; ');
      throw new StoreRefused('UNAUTHENTICATED', reasons);
    }
    const login = loginOf(options);
    const old = this.#endpoints.map((endpoint) => endpoint.renew(options.tls ?? {}, login));
    this.#clock.after(RETIRE_MS, () => {
      for (const client of old) client?.close();
    });
  }

  /** Why an endpoint does not let us in as we say we are; null: it does, or does not answer at all. */
  async #refusal(options: EtcdOptions): Promise<string | null> {
    const [url = ''] = options.urls;
    const endpoint = new Endpoint(url, options.tls ?? {}, loginOf(options));
    try {
      const asking = async (): Promise<void> => {
        const client = await endpoint.client(ATTEMPT_MS.most);
        const deadline = new Date(Date.now() + ATTEMPT_MS.most);
        await client.kv.range({ key: Buffer.from('/') }, { deadline });
      };
      await within(this.#clock, ATTEMPT_MS.most, 'trying it', asking());
      return null;
    } catch (error) {
      const failure = failureOf(error);
      const problem = error instanceof ProbeFailed ? tlsProblem(error.cause, NO_NAMES) : null;
      // What the user may do is for etcd to say at each call; that it is a user is what counts here.
      const denied = /permission denied/i.test(failure.message) || failure.kind === 'noLogin';
      return problem !== null || (failure.kind !== 'elsewhere' && !denied) ? failure.message : null;
    } finally {
      endpoint.close();
    }
  }

  close(): void {
    this.#closing.abort();
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  #attemptMs(timeoutMs: number): number {
    const share = timeoutMs / this.#endpoints.length;
    return Math.max(ATTEMPT_MS.least, Math.min(ATTEMPT_MS.most, share));
  }

  /** The last good one, then the others that are not suspect, then the suspect ones. */
  #order(): readonly number[] {
    const count = this.#endpoints.length;
    const all = this.#endpoints.map((_endpoint, offset) => (this.#preferred + offset) % count);
    const isSuspect = (index: number): boolean => this.#endpoints[index]?.suspect ?? true;
    return [...all.filter((index) => !isSuspect(index)), ...all.filter(isSuspect)];
  }

  async #attempt<T extends { readonly header: IResponseHeader }>(
    index: number,
    what: string,
    kind: CallKind,
    options: CallOptions,
    timeoutMs: number,
    attempt: Attempt<T>,
  ): Promise<{ answer: T } | { failed: Failure & { kind: 'elsewhere' } }> {
    const endpoint = this.#endpoints[index] as Endpoint;
    const end = this.#clock.now() + timeoutMs;
    for (let logins = 0; ; logins += 1) {
      const used: { client: Etcd3 | null } = { client: null };
      const left = Math.max(1, end - this.#clock.now());
      try {
        const run = async (): Promise<T> => {
          used.client = await endpoint.client(left);
          const answer = await attempt(used.client, { deadline: new Date(Date.now() + left) });
          const refusal = this.#histories.refusal(plainHeader(answer.header), kind, options);
          if (refusal !== null) throw new StaleAnswer(refusal);
          return answer;
        };
        const answer = await within(this.#clock, left + GRACE_MS, what, run());
        this.#preferred = index;
        return { answer };
      } catch (error) {
        const failure = failureOf(error);
        const { client } = used;
        if (failure.kind === 'elsewhere') {
          endpoint.suspectNow(client, failure.message);
          const mayHaveHappened = failure.mayHaveHappened && client !== null;
          return { failed: { ...failure, mayHaveHappened } };
        }
        const login = failure.kind === 'login' || failure.kind === 'noLogin';
        if (!login || logins > 0 || client === null || this.#clock.now() >= end) {
          throw this.#final(what, failure, error);
        }
        endpoint.renewLogin(client, failure.kind === 'login');
      }
    }
  }

  #final(what: string, failure: Failure, cause: unknown): Error {
    const message = `${what}: ${failure.message}`;
    if (failure.kind === 'leaseGone') return new LeaseGone(message, { cause });
    const code = 'code' in failure ? failure.code : 'FAILED_PRECONDITION';
    return new StoreRefused(code, message, { cause });
  }

  #unavailable(what: string, failures: readonly string[], mayHaveHappened: boolean): Error {
    const reasons = [...new Set(failures)].slice(-this.#endpoints.length).join('; ');
    const why = this.#closing.signal.aborted ? 'closed' : reasons || 'no time left';
    return new StoreUnavailable(`etcd: ${what}: ${why}`, mayHaveHappened);
  }
}

function loginOf({ username, password }: EtcdOptions): Login | null {
  return username === undefined ? null : { username, password: password ?? '' };
}

function plainHeader(header: IResponseHeader): Header {
  return {
    clusterId: header.cluster_id,
    revision: Number(header.revision),
    raftTerm: Number(header.raft_term),
  };
}
