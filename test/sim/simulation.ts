/** One run of one schedule: builds the world, lets time pass, and says what came of it. */
import { Checks, type Line, type Violation } from './checks.ts';
import { Clients, isPrimary } from './clients.ts';
import { configOf } from './config.ts';
import { type FaultTarget, inflict } from './faults.ts';
import { newWorld } from './making.ts';
import { Node } from './node.ts';
import { type Fault, nodeNames, type Schedule } from './schedule.ts';
import { StoreTruth } from './store-truth.ts';
import type { Machine, TrapEvent, World } from './world.ts';

export interface Outcome {
  readonly violations: readonly Violation[];
  /** Empty unless recorded. */
  readonly lines: readonly Line[];
  readonly virtualMs: number;
  readonly events: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly rules: Readonly<Record<string, number>>;
  readonly promotions: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly unguarded: number;
  readonly unfencedMs: number;
  /** Times that a guard killed something of PostgreSQL. */
  readonly shots: number;
  /** From the end of disturbances until all was well, ms; null when it never was. */
  readonly healedMs: number | null;
}

/** All was well at each of this many looks in a row. */
const LOOKS = 3;
const LOOK_MS = 400;
const LEAST_MS = 120_000;
/** More than any run needs: an agent that spins without time passing. */
const MOST_EVENTS = 600_000;
/** Longest pause between two tries of an agent whose work failed (core/timing.ts), ms. */
const LONGEST_BACKOFF_MS = 60_000;

export class Simulation {
  readonly #schedule: Schedule;
  readonly #world: World;
  readonly #nodes: Node[] = [];
  readonly #truth: StoreTruth;
  readonly #checks: Checks;
  readonly #clients: Clients;
  readonly #counts: Record<string, number> = {};
  readonly #traps = new Set<{
    readonly event: TrapEvent;
    readonly afterMs: number;
    readonly call: (node: Node) => void;
    /** What it has set off and not done yet. */
    cancel: () => void;
  }>();
  #wellLooks = 0;
  #healedAt: number | null = null;
  #deadline: number;

  constructor(schedule: Schedule, recording: boolean) {
    this.#schedule = schedule;
    const nodes = this.#nodes;
    let witness: Checks | null = null;
    const world = newWorld({
      seed: schedule.seed,
      machines: nodes,
      witness: () => {
        if (witness === null) throw new Error('the world is not complete yet');
        return witness;
      },
      trap: (event, machine) => this.#sprung(event, machine),
    });
    const { scheduler, random } = world;
    this.#world = world;
    this.#truth = new StoreTruth(world);
    this.#checks = new Checks(world, nodes, this.#truth, schedule.modes, recording);
    witness = this.#checks;
    for (const name of nodeNames(schedule.nodes)) {
      nodes.push(
        new Node(world, name, {
          config: configOf(name, schedule),
          clockRate: 1 + random(`clock ${name}`).between(-0.0005, 0.0005),
          narrow: schedule.narrow.includes(name),
        }),
      );
    }
    this.#clients = new Clients(scheduler, nodes, random('clients'));
    const { ttl, loop_wait } = schedule.timing;
    this.#deadline = schedule.quietAt + (3 * ttl + 10 * loop_wait) * 1000 + LONGEST_BACKOFF_MS;
  }

  async run(): Promise<Outcome> {
    const { scheduler } = this.#world;
    for (const node of this.#nodes) {
      scheduler.after(this.#world.random('boot').between(0, 500), () => node.startDaemon());
    }
    for (const fault of this.#schedule.faults) scheduler.at(fault.at, () => this.#inflict(fault));
    this.#clients.begin(this.#schedule.writers);
    scheduler.at(this.#schedule.quietAt, () => this.#quiet());
    try {
      await scheduler.run(() => this.#over());
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#checks.violate('simulator error', text);
    }
    this.#clients.stop();
    return this.#outcome();
  }

  /** An error that reached nobody, noticed by whoever runs this. */
  unhandled(reason: unknown): void {
    const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    this.#checks.violate('unhandled rejection', text);
  }

  #over(): boolean {
    this.#checks.look();
    const { now, events } = this.#world.scheduler;
    if (events > MOST_EVENTS) this.#checks.violate('runaway', `${events} events by ${now} ms`);
    if (this.#checks.violations.length > 0) return true;
    if (this.#healedAt !== null && now >= LEAST_MS) return true;
    if (now > this.#deadline && this.#healedAt === null) {
      this.#checks.violate('liveness', `not well by ${Math.round(now)} ms: ${this.#ailments()}`);
      return true;
    }
    return false;
  }

  #inflict(fault: Fault): void {
    const { scheduler, witness } = this.#world;
    scheduler.entered = true;
    const { undo, on } = inflict(this.#target, fault);
    this.#counts[fault.kind] = (this.#counts[fault.kind] ?? 0) + 1;
    witness.note('FAULT', `${fault.kind} on ${on} for ${fault.forMs} ms`);
    this.#checks.losses.disturbed(on);
    this.#checks.losses.disturbed(fault.other);
    scheduler.after(fault.forMs, () => {
      scheduler.entered = true;
      undo();
      this.#checks.losses.disturbed(on);
      if (fault.forMs > 0) witness.note('FAULT', `end of ${fault.kind} on ${on}`);
    });
  }

  /** Whatever is still away comes back. */
  #quiet(): void {
    this.#world.scheduler.entered = true;
    this.#world.witness.note('FAULT', 'nothing is disturbed any more');
    for (const node of this.#nodes) {
      node.supervised = true;
      node.boot();
      node.thaw();
      node.startDaemon();
      node.guard?.goOn();
    }
    const { config } = this.#truth;
    if (config.pause === true) this.#put(this.#truth.keys.config, { ...config, pause: undefined });
    this.#watchHealth();
  }

  #watchHealth(): void {
    this.#wellLooks = this.#ailments() === '' ? this.#wellLooks + 1 : 0;
    if (this.#wellLooks >= LOOKS) {
      this.#healedAt ??= this.#world.scheduler.now;
      return;
    }
    this.#world.scheduler.after(LOOK_MS, () => this.#watchHealth());
  }

  /** What is not well, empty when all is. */
  #ailments(): string {
    const leader = this.#leader();
    if (leader === null) return 'nobody leads';
    if (!isPrimary(leader)) return `${leader.name} leads, but is no primary`;
    const lame = this.#nodes.flatMap((node) => {
      if (node === leader) return [];
      const { server, name, daemonRuns } = node;
      if (!daemonRuns) return [`no daemon on ${name}`];
      if (server.state !== 'standby') return [`${name} is ${server.state}`];
      if (server.replication.source !== leader.server || !server.replication.streaming)
        return [
          `${name} (at ${node.disk.wal.end} of timeline ${node.disk.wal.timeline}, following ${node.disk.upstream}) does not stream from ${leader.name} (at ${leader.disk.wal.end} of timeline ${leader.disk.wal.timeline})`,
        ];
      return [];
    });
    return lame.join(', ');
  }

  #leader(): Node | null {
    return this.#nodes.find(({ name }) => name === this.#truth.leader) ?? null;
  }

  get #target(): FaultTarget {
    const { keys } = this.#truth;
    return {
      world: this.#world,
      nodes: this.#nodes,
      synchronous: this.#checks.promises.on,
      leader: () => this.#leader(),
      put: (key, value) => this.#put(keys[key], JSON.parse(value) as Record<string, unknown>),
      deleteLeaderKey: () => void this.#world.store.transact([], [{ delete: keys.leader }], []),
      config: () => this.#truth.config,
      trap: (event, afterMs, call) => {
        const trap = { event, afterMs, call, cancel: () => undefined };
        this.#traps.add(trap);
        return () => {
          this.#traps.delete(trap);
          trap.cancel();
        };
      },
      diskLost: (node) => {
        this.#checks.losses.diskLost(node);
        this.#checks.promises.diskLost(node);
      },
    };
  }

  #sprung(event: TrapEvent, { name }: Machine): void {
    const { scheduler, witness } = this.#world;
    const node = this.#nodes.find((one) => one.name === name);
    for (const trap of [...this.#traps]) {
      if (trap.event !== event || node === undefined) continue;
      this.#traps.delete(trap);
      this.#checks.losses.disturbed(name);
      trap.cancel = scheduler.after(trap.afterMs, () => {
        scheduler.entered = true;
        witness.note('FAULT', `the trap for "${event}" closes on ${name}`);
        trap.call(node);
      });
    }
  }

  #put(key: string, value: Readonly<Record<string, unknown>>): void {
    const { store } = this.#world;
    if (store.full || store.peek(this.#truth.keys.config) === null) return;
    store.transact([], [{ put: key, value: JSON.stringify(value) }], []);
  }

  #outcome(): Outcome {
    const { violations, lines, rules, promotions, losses, unfencedMs, shots } = this.#checks;
    const { now, events } = this.#world.scheduler;
    return {
      violations,
      lines,
      virtualMs: now,
      events,
      faults: this.#counts,
      rules: Object.fromEntries(rules),
      promotions,
      acknowledged: losses.acknowledgedCount,
      lost: losses.lostCount,
      unguarded: losses.unguardedCount,
      unfencedMs,
      shots,
      healedMs: this.#healedAt === null ? null : this.#healedAt - this.#schedule.quietAt,
    };
  }
}
