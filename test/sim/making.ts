/** A world with nothing in it yet. */
import { KnownBefore } from '../../src/store/view.ts';
import { MemoryStore } from '../store/memory.ts';
import { Network } from './network.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { StoreWeather } from './store-client.ts';
import type { Machine, TrapEvent, Witness, World } from './world.ts';

export interface Making {
  readonly seed: string;
  /** Filled by whoever makes the world. */
  readonly machines: readonly Machine[];
  /** Asked when there is something to witness, not before. */
  readonly witness: () => Witness;
  readonly trap: (event: TrapEvent, machine: Machine) => void;
}

export function newWorld({ seed, machines, witness, trap }: Making): World {
  const scheduler = new Scheduler();
  const streams = new Map<string, Random>();
  const random = (stream: string): Random => streamOf(streams, `${seed} ${stream}`);
  return {
    scheduler,
    network: new Network(scheduler, random('network')),
    store: new MemoryStore(storeClock(scheduler)),
    known: new KnownBefore(),
    weather: new StoreWeather(),
    get witness() {
      return witness();
    },
    random,
    trap,
    machine: (name) => machines.find((machine) => machine.name === name) ?? null,
    machines,
  };
}

function streamOf(streams: Map<string, Random>, name: string): Random {
  const found = streams.get(name) ?? new Random(name);
  streams.set(name, found);
  return found;
}

/** The store's own clock: right, and never stopped. */
function storeClock(scheduler: Scheduler): ConstructorParameters<typeof MemoryStore>[0] {
  const entering = (call: () => void) => (): void => {
    scheduler.entered = true;
    call();
  };
  return {
    now: () => scheduler.now,
    wall: () => new Date(scheduler.now),
    wait: (ms) => new Promise((resolve) => void scheduler.after(ms, resolve)),
    after: (ms, call) => scheduler.after(ms, entering(call)),
    at: (instant, call) => scheduler.at(instant, entering(call)),
  };
}
