/**
 * One daemon's way to the store: the network in between, and the ways in which the real one fails.
 * What a request does happens when it arrives, whether or not anybody is left to hear the answer.
 */
import type { Clock } from '../../src/clock.ts';
import {
  type CallOptions,
  type Change,
  type Compare,
  type Header,
  type KeyValue,
  type KeyValueStore,
  type Operation,
  StoreUnavailable,
} from '../../src/store/keyvalue.ts';
import type { DaemonProcess } from './process.ts';
import type { Random } from './random.ts';
import { STORE, type World } from './world.ts';

/** What the store is like at present. */
export class StoreWeather {
  /** Nobody is answered. */
  outage = false;
  /** Longest extra delay of an answer, ms. */
  slowMs = 0;
  /** Share of requests, and of answers, that are lost. */
  lossRate = 0;
  /** Share of lost requests that arrive after all, seconds later. */
  lateRate = 0.3;
  /** Nodes whose next keep-alives are answered by the member that has just lost its leadership. */
  readonly deposed = new Map<string, number>();
}

interface Call<T extends Header> {
  readonly name: string;
  readonly options: CallOptions;
  /** A read: repeated by the client on its own, and never ambiguous. */
  readonly repeatable: boolean;
  readonly take: () => T;
  readonly deposed?: (term: number) => T;
}

/** Before a read that got no answer is sent to another endpoint, ms. */
const ATTEMPT_MS = 700;

export class StoreClient implements KeyValueStore {
  readonly #world: World;
  readonly #node: string;
  readonly #process: DaemonProcess;
  readonly #clock: Clock;
  readonly #chance: Random;
  #highestTerm = 0;

  constructor(world: World, node: string, process: DaemonProcess, clock: Clock) {
    this.#world = world;
    this.#node = node;
    this.#process = process;
    this.#clock = clock;
    this.#chance = world.random(`store ${node}`);
  }

  range(
    prefix: string,
    options: CallOptions,
  ): Promise<Header & { readonly kvs: readonly KeyValue[] }> {
    const take = (): Header & { readonly kvs: readonly KeyValue[] } => {
      const { kvs, ...header } = this.#world.store.now();
      return { ...header, kvs: kvs.filter(({ key }) => key.startsWith(prefix)) };
    };
    return this.#call({ name: 'range', options, repeatable: true, take });
  }

  transact(
    compare: readonly Compare[],
    then: readonly Operation[],
    otherwise: readonly Operation[],
    options: CallOptions,
  ): Promise<
    Header & { readonly succeeded: boolean; readonly reads: readonly (KeyValue | null)[] }
  > {
    const repeatable = [...then, ...otherwise].every((operation) => 'get' in operation);
    const take = (): ReturnType<World['store']['transact']> =>
      this.#world.store.transact(compare, then, otherwise);
    return this.#call({ name: 'transact', options, repeatable, take });
  }

  grant(
    leaseId: string,
    ttlSeconds: number,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    const take = (): Header & { readonly ttlSeconds: number } =>
      this.#world.store.grant(leaseId, ttlSeconds);
    return this.#call({ name: 'grant', options, repeatable: false, take });
  }

  keepAlive(
    leaseId: string,
    { timeoutMs }: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    const { store } = this.#world;
    return this.#call({
      name: 'keepAlive',
      options: { timeoutMs },
      repeatable: true,
      take: () => store.keepAlive(leaseId),
      deposed: (raftTerm) => ({ ...store.header(), raftTerm, ttlSeconds: store.ttlOf(leaseId) }),
    });
  }

  timeToLive(
    leaseId: string,
    { timeoutMs }: CallOptions,
  ): Promise<Header & { readonly remainingSeconds: number }> {
    const { store } = this.#world;
    return this.#call({
      name: 'timeToLive',
      options: { timeoutMs },
      repeatable: true,
      take: () => store.timeToLive(leaseId),
      deposed: (raftTerm) => ({ ...store.header(), raftTerm, remainingSeconds: 0 }),
    });
  }

  async revokeUnused(leaseId: string, options: CallOptions): Promise<void> {
    const { store } = this.#world;
    const take = (): Header => {
      store.revoke(leaseId);
      return store.header();
    };
    await this.#call({ name: 'revoke', options, repeatable: false, take });
  }

  watch(
    prefix: string,
    onChange: (changes: readonly Change[]) => void,
    onGap: (why: string) => void,
  ): { stop(): void } {
    const { network, store, scheduler } = this.#world;
    let missed = false;
    let stopped = false;
    const tell = (call: () => void): void => {
      if (stopped || !this.#process.alive) return;
      if (!this.#reachable() || !network.open(STORE, this.#node)) {
        missed = true;
        return;
      }
      network.send(STORE, this.#node, () =>
        this.#process.deliver(() => {
          if (!stopped) call();
        }),
      );
    };
    const watcher = store.watch({
      prefix,
      onChange: (changes) => tell(() => onChange(changes)),
      onGap: (why) => tell(() => onGap(why)),
    });
    network.onHeal(() => {
      if (stopped || !missed || !this.#process.alive) return;
      missed = false;
      scheduler.after(this.#chance.between(50, 1500), () => tell(() => onGap('watch: again')));
    });
    return {
      stop: () => {
        stopped = true;
        watcher.stop();
      },
    };
  }

  close(): void {}

  #reachable(): boolean {
    const { network, weather } = this.#world;
    return !weather.outage && network.connected(this.#node, STORE);
  }

  #call<T extends Header>(call: Call<T>): Promise<T> {
    const { name, options, repeatable } = call;
    if (options.timeoutMs <= 0)
      return Promise.reject(new StoreUnavailable(`${name}: no time left`, false));
    return new Promise((resolve, reject) => {
      let settled = false;
      let sent = false;
      let cancelNext = (): void => undefined;
      const settle = (end: () => void): void => {
        if (settled) return;
        settled = true;
        cancel();
        cancelNext();
        end();
      };
      const cancel = this.#clock.after(options.timeoutMs, () =>
        settle(() =>
          reject(new StoreUnavailable(`${name}: no answer in time`, sent && !repeatable)),
        ),
      );
      const attempt = (): void => {
        if (settled) return;
        if (repeatable && options.timeoutMs > ATTEMPT_MS)
          cancelNext = this.#clock.after(ATTEMPT_MS, attempt);
        sent = this.#attempt(call, settle, resolve, reject) || sent;
      };
      attempt();
    });
  }

  /** False when the request certainly never reaches the store. */
  #attempt<T extends Header>(
    call: Call<T>,
    settle: (end: () => void) => void,
    resolve: (answer: T) => void,
    reject: (error: unknown) => void,
  ): boolean {
    const { network, weather, scheduler } = this.#world;
    const refused = weather.outage && this.#chance.chance(0.5);
    if (refused || !network.open(this.#node, STORE)) {
      if (!call.repeatable) {
        // A connection that cannot be made is known not to have carried anything.
        this.#clock.after(Math.min(call.options.timeoutMs, 50), () =>
          settle(() => reject(new StoreUnavailable(`${call.name}: no connection`, false))),
        );
      }
      return false;
    }
    const lost = this.#chance.chance(weather.lossRate);
    if (lost && !this.#chance.chance(weather.lateRate)) return true;
    const wayMs = network.latency(this.#node, STORE) + (lost ? this.#chance.between(500, 6000) : 0);
    scheduler.after(wayMs, () => {
      if (weather.outage) return;
      const answer = this.#take(call);
      if (this.#chance.chance(weather.lossRate)) return;
      scheduler.after(this.#chance.between(0, weather.slowMs), () =>
        network.send(STORE, this.#node, () =>
          this.#process.deliver(() =>
            settle(() => {
              if ('error' in answer) reject(answer.error);
              else this.#accept(call, answer.value, resolve, reject);
            }),
          ),
        ),
      );
    });
    return true;
  }

  #take<T extends Header>(call: Call<T>): { readonly value: T } | { readonly error: unknown } {
    const { weather, store, scheduler } = this.#world;
    // Watchers are told by microtasks, which must have run before time passes.
    scheduler.entered = true;
    try {
      const term = store.raftTerm - 1;
      const until = weather.deposed.get(this.#node) ?? 0;
      if (scheduler.now < until && call.deposed !== undefined && term >= this.#highestTerm)
        return { value: call.deposed(term) };
      return { value: call.take() };
    } catch (error) {
      return { error };
    }
  }

  #accept<T extends Header>(
    { name, options, repeatable }: Call<T>,
    answer: T,
    resolve: (answer: T) => void,
    reject: (error: unknown) => void,
  ): void {
    const { notBefore } = options;
    const old = notBefore?.clusterId === answer.clusterId && answer.revision < notBefore.revision;
    if (repeatable && (old || answer.raftTerm < this.#highestTerm)) {
      reject(new StoreUnavailable(`${name}: only answers from the past`, false));
      return;
    }
    this.#highestTerm = Math.max(this.#highestTerm, answer.raftTerm);
    resolve(answer);
  }
}
