/**
 * The guard of one node (bin/tenure-guard): a process beside the daemon, which outlives it and goes
 * with its machine. It looks at the time every 20 ms of run time; that is one event here, not many.
 */
import type { Clock } from '../../src/clock.ts';
import type { GuardFacts } from '../../src/core/model.ts';
import { fenceStages } from '../../src/core/timing.ts';
import { type Guard, GuardError } from '../../src/fence/guard.ts';
import type { DaemonProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Machine, World } from './world.ts';

/** From look to look at the time, or for processes after a shot, ms of run time. */
const LOOK_MS = 20;
/** The daemon looks at its guard, ms. */
const NOTICE_MS = 250;
/** From the start of perl until it listens, ms. */
const START_MS: readonly [number, number] = [8, 40];

type State = Extract<GuardFacts['state'], 'disarmed' | 'armed' | 'fired'>;
type Order = { readonly fireAt: number | null };

/** The process, as long as it lives. */
export class GuardProcess {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #chance: Random;
  state: State = 'disarmed';
  /** When it fires, virtual ms. */
  fireAt = 0;
  alive = true;
  stopped = false;
  /** When it was started, or last went on after a SIGSTOP. */
  resumedAt: number;
  /** Not read yet: it is stopped. */
  #orders: Order[] = [];
  #cancel: () => void = () => undefined;
  #onShot: () => void = () => undefined;

  constructor(world: World, machine: Machine) {
    this.#world = world;
    this.#machine = machine;
    this.#chance = world.random(`guard ${machine.name}`);
    this.resumedAt = world.scheduler.now;
  }

  /** It can act. */
  get runs(): boolean {
    return this.alive && !this.stopped;
  }

  /** The daemon that listens to it. */
  set onShot(listener: () => void) {
    this.#onShot = listener;
  }

  tell(order: Order): void {
    if (!this.alive) return;
    if (this.stopped) this.#orders.push(order);
    else this.#obey(order);
  }

  /** A server was started: after a shot nothing of the instance is left alone. */
  noticeServer(): void {
    if (this.runs && this.state === 'fired') this.#aim(this.#chance.between(0, LOOK_MS));
  }

  stop(): void {
    this.stopped = true;
    this.#cancel();
  }

  /** SIGCONT: first it reads what it was told meanwhile. */
  goOn(): void {
    if (!this.alive || !this.stopped) return;
    this.stopped = false;
    this.resumedAt = this.#world.scheduler.now;
    for (const order of this.#orders.splice(0)) this.#obey(order);
    if (this.state === 'fired') this.noticeServer();
    else if (this.state === 'armed') this.#wait();
  }

  end(): void {
    this.alive = false;
    this.#cancel();
  }

  #obey({ fireAt }: Order): void {
    this.#cancel();
    this.state = fireAt === null ? 'disarmed' : 'armed';
    if (fireAt === null) return;
    this.fireAt = fireAt;
    this.#wait();
  }

  #wait(): void {
    const left = this.fireAt - this.#world.scheduler.now;
    this.#aim(Math.max(0, left) + this.#chance.between(0, LOOK_MS));
  }

  #aim(ms: number): void {
    this.#cancel();
    const due = this.#world.scheduler.now + ms;
    const before = this.#machine.suspendedMs;
    this.#cancel = this.#machine.later(ms, () => {
      if (!this.runs) return;
      // The instant passed during a suspend: seen at the next look.
      const slept = this.#machine.suspendedMs - before;
      if (slept > 0 && this.#world.scheduler.now > due) this.#aimAgain(slept);
      else this.#shoot();
    });
  }

  #aimAgain(_slept: number): void {
    this.#aim(this.#chance.between(0, LOOK_MS));
  }

  #shoot(): void {
    const { now } = this.#world.scheduler;
    if (this.state === 'disarmed' || now < this.fireAt) return;
    this.state = 'fired';
    const killed = this.#machine.server.kill();
    if (killed === 0) return;
    this.#world.witness.guardShot(this.#machine, killed);
    this.#onShot();
  }
}

interface GuardOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly process: DaemonProcess;
  readonly clock: Clock;
  readonly onShot: (why: string) => void;
}

/** One daemon's side of it, as `GuardKeeper` keeps it. */
export class SimGuard implements Guard {
  readonly #options: GuardOptions;
  readonly #chance: Random;
  #deadline: number | null = null;
  /** Kept by this daemon; null before it was opened and after it was closed. */
  #kept: GuardProcess | null = null;
  #replacing: Promise<void> | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#chance = options.world.random(`guard of ${options.machine.name}`);
  }

  async open(): Promise<number | null> {
    const { machine, clock } = this.#options;
    await clock.wait(this.#chance.between(1, 4));
    const found = machine.guard;
    if (found === null || !found.runs) {
      await this.#start();
      return null;
    }
    this.#keep(found);
    if (found.state === 'disarmed') return null;
    const left = found.fireAt - this.#options.world.scheduler.now;
    this.#deadline = clock.now() + left + fenceStages.killMs;
    return this.#deadline;
  }

  arm(deadline: number): void {
    this.#deadline = deadline;
    this.#order();
  }

  disarm(): void {
    if (this.#deadline === null) return;
    this.#deadline = null;
    this.#order();
  }

  async ready(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const until = clock.now() + timeoutMs;
    await clock.wait(this.#chance.between(1, 4));
    for (;;) {
      if (this.#kept === null || !this.#kept.runs) await this.#replace();
      const state = this.#kept?.runs === true ? this.#kept.state : 'missing';
      const wanted = this.#deadline === null ? 'disarmed' : 'armed';
      if (state === wanted) return;
      if (clock.now() >= until || state !== 'missing')
        throw new GuardError(`the guard is ${state}, not ${wanted}`);
      await clock.wait(2);
    }
  }

  facts(): GuardFacts {
    if (this.#kept === null) return { state: 'missing', pid: null };
    return { state: this.#kept.state, pid: 1 };
  }

  close(end: boolean): void {
    const { machine } = this.#options;
    if (end) this.#kept?.tell({ fireAt: null });
    if (end && this.#kept !== null && machine.guard === this.#kept && this.#kept.runs) {
      this.#kept.end();
      machine.guard = null;
    }
    this.#kept = null;
    this.#deadline = null;
  }

  /** It was killed or stopped: the look that comes next sees it. */
  noticed(): void {
    const { process, clock } = this.#options;
    clock.after(this.#chance.between(0, NOTICE_MS), () => {
      if (this.#kept === null || this.#kept.runs || !process.alive) return;
      this.#replace().catch(() => undefined);
    });
  }

  #order(): void {
    const { clock, world } = this.#options;
    const left = this.#deadline === null ? 0 : this.#deadline - clock.now() - fenceStages.killMs;
    this.#kept?.tell({ fireAt: this.#deadline === null ? null : world.scheduler.now + left });
  }

  #keep(guard: GuardProcess): void {
    this.#kept = guard;
    const { process, clock, onShot } = this.#options;
    guard.onShot = () =>
      process.deliver(() => {
        clock.after(this.#chance.between(0, NOTICE_MS), () =>
          onShot('the guard killed PostgreSQL'),
        );
      });
  }

  /** One at a time. */
  #replace(): Promise<void> {
    this.#replacing ??= this.#start().finally(() => {
      this.#replacing = null;
    });
    return this.#replacing;
  }

  /** The former one is killed first: two never guard one instance. */
  async #start(): Promise<void> {
    const { world, machine, clock } = this.#options;
    machine.guard?.end();
    machine.guard = null;
    await clock.wait(this.#chance.between(...START_MS));
    const guard = new GuardProcess(world, machine);
    machine.guard = guard;
    this.#keep(guard);
    this.#order();
  }
}
