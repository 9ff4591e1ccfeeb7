/**
 * One daemon's way to the store: the network in between, and the ways in which the real one fails.
 * What a request does happens when it arrives, whether or not anybody is left to hear the answer.
 */
import type { Clock } from '../../src/clock.ts';
import { Histories } from '../../src/store/histories.ts';
import { type Change, type Header, StoreUnavailable } from '../../src/store/keyvalue.ts';
import { type Call, MemoryCalls } from '../store/memory-calls.ts';
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

/** Before a read that got no answer is sent to another endpoint, ms. */
const ATTEMPT_MS = 700;

/** Writes that a look may still not know, and those before them: the last few are enough. */
const WRITES_KEPT = 100;

export class StoreClient extends MemoryCalls {
  readonly #world: World;
  readonly #node: string;
  readonly #process: DaemonProcess;
  readonly #clock: Clock;
  readonly #chance: Random;
  readonly #histories: Histories;
  /** This daemon's own writes, from when it knew of each. */
  readonly #written: { readonly revision: number; readonly at: number }[] = [];

  constructor(world: World, node: string, process: DaemonProcess, clock: Clock) {
    super(world.store);
    this.#world = world;
    this.#histories = new Histories(clock, 1);
    this.#node = node;
    this.#process = process;
    this.#clock = clock;
    this.#chance = world.random(`store ${node}`);
  }

  /** Revision of the newest own write that this daemon knew of before `instant`, virtual ms; 0: none. */
  writtenBefore(instant: number): number {
    return this.#written.findLast(({ at }) => at < instant)?.revision ?? 0;
  }

  override watch(
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

  protected call<T extends Header>(call: Call<T>): Promise<T> {
    const { name, options } = call;
    const repeatable = call.kind !== 'write';
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
      if (call.kind === 'write') {
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
    const { weather, scheduler } = this.#world;
    // Watchers are told by microtasks, which must have run before time passes.
    scheduler.entered = true;
    try {
      return { value: this.#deposed(call, weather.deposed.get(this.#node) ?? 0) ?? call.take() };
    } catch (error) {
      return { error };
    }
  }

  /** Only what is answered without raft: a member that lost its leadership cannot serve a read. */
  #deposed<T extends Header>({ kind, options, deposed }: Call<T>, until: number): T | null {
    if (kind !== 'harmless' || deposed === undefined || this.#world.scheduler.now >= until)
      return null;
    const answer = deposed(this.store.raftTerm - 1);
    return this.#histories.refusal(answer, kind, options) === null ? answer : null;
  }

  #accept<T extends Header>(
    { name, kind, options }: Call<T>,
    answer: T,
    resolve: (answer: T) => void,
    reject: (error: unknown) => void,
  ): void {
    const refusal = this.#histories.refusal(answer, kind, options);
    if (refusal !== null) {
      this.#histories.failed(0, kind, options);
      reject(new StoreUnavailable(`${name}: ${refusal}`, kind === 'write'));
      return;
    }
    if (kind === 'write' && 'succeeded' in answer && answer.succeeded === true) {
      this.#written.push({ revision: answer.revision, at: this.#world.scheduler.now });
      if (this.#written.length > WRITES_KEPT) this.#written.shift();
    }
    resolve({ ...answer, clusterId: this.#histories.header(answer).clusterId });
  }
}
