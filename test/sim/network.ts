/** Who reaches whom, and how late. Each direction of a link is cut for itself. */
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  /** `from>to`: how many faults cut it. */
  readonly #cuts = new Map<string, number>();
  /** Extra delay, ms, by `from>to`. */
  readonly slow = new Map<string, number>();
  /** When a cut last began or ended, by `from>to`. */
  readonly #changed = new Map<string, number>();
  readonly #onHeal: (() => void)[] = [];

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  cut(from: string, to: string): void {
    const link = `${from}>${to}`;
    this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1);
    this.#changed.set(link, this.#scheduler.now);
  }

  heal(from: string, to: string): void {
    const link = `${from}>${to}`;
    const left = (this.#cuts.get(link) ?? 0) - 1;
    this.#changed.set(link, this.#scheduler.now);
    if (left > 0) this.#cuts.set(link, left);
    else this.#cuts.delete(link);
    if (left === 0) for (const tell of this.#onHeal) tell();
  }

  onHeal(tell: () => void): void {
    this.#onHeal.push(tell);
  }

  open(from: string, to: string): boolean {
    return !this.#cuts.has(`${from}>${to}`);
  }

  /** Both ways, as a connection needs it. */
  connected(one: string, other: string): boolean {
    return this.open(one, other) && this.open(other, one);
  }

  /** Connected, and nothing has changed about it for `ms`. */
  connectedFor(one: string, other: string, ms: number): boolean {
    const since = Math.max(
      this.#changed.get(`${one}>${other}`) ?? Number.NEGATIVE_INFINITY,
      this.#changed.get(`${other}>${one}`) ?? Number.NEGATIVE_INFINITY,
    );
    return this.connected(one, other) && this.#scheduler.now - since >= ms;
  }

  latency(from: string, to: string): number {
    return this.#random.between(0.2, 3) + (this.slow.get(`${from}>${to}`) ?? 0);
  }

  /** Arrives later, or never. */
  send(from: string, to: string, arrive: () => void): void {
    if (!this.open(from, to)) return;
    this.#scheduler.after(this.latency(from, to), arrive);
  }
}
