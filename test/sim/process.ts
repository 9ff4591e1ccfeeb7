/**
 * One life of a daemon as the operating system sees it: it can be stopped (SIGSTOP, or with its
 * whole machine), go on, and end at any await. Everything that reaches agent code comes in here.
 */
import type { Clock } from '../../src/clock.ts';
import type { Scheduler } from './scheduler.ts';

export class DaemonProcess {
  readonly startedAt: number;
  readonly #scheduler: Scheduler;
  #alive = true;
  readonly #stops = new Set<string>();
  #waiting: (() => void)[] = [];
  /** When it last went on after a stop. */
  resumedAt = Number.NEGATIVE_INFINITY;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.startedAt = scheduler.now;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get runs(): boolean {
    return this.#alive && this.#stops.size === 0;
  }

  /** Enters agent code: now, when it goes on, or never. */
  deliver(call: () => void): void {
    if (!this.#alive) return;
    if (this.#stops.size > 0) {
      this.#waiting.push(call);
      return;
    }
    this.#scheduler.entered = true;
    call();
  }

  stop(why: string): void {
    this.#stops.add(why);
  }

  /** What became due meanwhile happens now, each with what follows from it before the next. */
  goOn(why: string): void {
    if (!this.#stops.delete(why) || this.#stops.size > 0) return;
    this.resumedAt = this.#scheduler.now;
    for (const call of this.#waiting.splice(0)) {
      this.#scheduler.after(0, () => this.deliver(call));
    }
  }

  /** One thing that became due meanwhile happens, and it is stopped again. False: it has ended. */
  step(): boolean {
    const call = this.#waiting.shift();
    if (call !== undefined && this.#alive) {
      this.#scheduler.entered = true;
      call();
    }
    return this.#alive;
  }

  end(): void {
    this.#alive = false;
    this.#waiting = [];
  }
}

/** What the clocks of one machine have in common. */
export interface MachineTime {
  /** How long it has been suspended in all, ms. */
  readonly suspendedMs: number;
  /** How far its wall clock is off, ms. */
  readonly wallOffset: number;
}

/** The latest that the real clock notices an instant which passed during a suspend, ms. */
const LATE_MS = 90;

/** A machine's clock as one daemon reads it: counts suspend, may run a little fast or slow. */
export class SimClock implements Clock {
  readonly #process: DaemonProcess;
  readonly #scheduler: Scheduler;
  readonly #rate: number;
  readonly #machine: MachineTime;

  constructor(process: DaemonProcess, scheduler: Scheduler, rate: number, machine: MachineTime) {
    this.#process = process;
    this.#scheduler = scheduler;
    this.#rate = rate;
    this.#machine = machine;
  }

  now(): number {
    return 1_000_000 + this.#scheduler.now * this.#rate;
  }

  wall(): Date {
    return new Date(1_795_000_000_000 + Math.floor(this.#scheduler.now) + this.#machine.wallOffset);
  }

  wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.after(ms, done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  /** As the real one: looks at the clock every 100 ms, so it may be that late after a suspend. */
  at(instant: number, call: () => void): () => void {
    const before = this.#machine.suspendedMs;
    let cancel = this.#deliver(instant - this.now(), () => {
      if (this.#machine.suspendedMs === before) call();
      else cancel = this.#deliver(LATE_MS, call);
    });
    return () => cancel();
  }

  /** As the real one: a timer of the operating system does not run while the machine is suspended. */
  after(ms: number, call: () => void): () => void {
    const began = this.now();
    const before = this.#machine.suspendedMs;
    const due = (): void => {
      const slept = (this.#machine.suspendedMs - before) * this.#rate;
      const left = slept === 0 ? 0 : ms - (this.now() - began - slept);
      // What is left after a suspend is no whole number of anything.
      if (left > 1e-6) cancel = this.#deliver(left, due);
      else call();
    };
    let cancel = this.#deliver(ms, due);
    return () => cancel();
  }

  #deliver(ms: number, call: () => void): () => void {
    let cancelled = false;
    const cancel = this.#scheduler.after(Math.max(0, ms) / this.#rate, () =>
      this.#process.deliver(() => {
        if (!cancelled) call();
      }),
    );
    return () => {
      cancelled = true;
      cancel();
    };
  }
}
