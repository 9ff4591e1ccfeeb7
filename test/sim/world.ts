/** What every part of the simulated world shares. */
import type { Decision, Observation } from '../../src/core/model.ts';
import type { KnownBefore } from '../../src/store/view.ts';
import type { MemoryStore } from '../store/memory.ts';
import type { Disk } from './disk.ts';
import type { GuardProcess } from './guard.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { Server } from './server.ts';
import type { StoreWeather } from './store-client.ts';
import type { Wal, WalRecord } from './wal.ts';

/** One machine: what a daemon and a PostgreSQL run on. */
export interface Machine {
  readonly name: string;
  readonly disk: Disk;
  readonly server: Server;
  /** Powered and running; false after a node crash. */
  readonly up: boolean;
  /** Suspended as a whole. */
  readonly frozen: boolean;
  /** There is no room for a copy beside the data directory. */
  readonly narrow: boolean;
  /** How long it has been suspended in all, ms. */
  readonly suspendedMs: number;
  /** The guard process of this node, whichever daemon started it. */
  guard: GuardProcess | null;
  /** Runs `call` when the machine is not suspended; never when it has crashed since. */
  later(ms: number, call: () => void): () => void;
}

/** Moments that a fault at a random time would seldom hit. */
export type TrapEvent = 'permitted' | 'starting' | 'promoting' | 'shut down';

/** Everything that checkers and the timeline want to know. */
export interface Witness {
  /** A new timeline begins: `before` is where the server's WAL ended. */
  promoted(machine: Machine, timeline: number, before: WalRecord | null): void;
  /** A client was told that its write is committed. */
  acknowledged(machine: Machine, record: WalRecord): void;
  /** A server began to take writes. */
  opened(machine: Machine, how: string): void;
  startedBroken(machine: Machine, why: string): void;
  /** The guard has killed processes of PostgreSQL. */
  guardShot(machine: Machine, killed: number): void;
  /** A standby streams what does not continue its own contents. */
  diverged(machine: Machine, upstream: Machine, why: string): void;
  /** A data directory's contents are about to go, in favour of another's or of nothing. */
  discarding(machine: Machine, wal: Wal, why: string, from: Machine | null): void;
  decided(machine: Machine, decision: Decision, observation: Observation): void;
  said(machine: Machine, level: string, text: string): void;
  /** Anything else worth a line in the timeline. */
  note(name: string, text: string): void;
}

export interface World {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly store: MemoryStore;
  /** What stands there, decoded once for all nodes. */
  readonly known: KnownBefore;
  readonly weather: StoreWeather;
  readonly witness: Witness;
  /** Tells whoever lies in wait for it, once. */
  trap(event: TrapEvent, machine: Machine): void;
  /** Chance, a stream of its own for each name. */
  random(stream: string): Random;
  machine(name: string): Machine | null;
  readonly machines: readonly Machine[];
}

/** Name of the store in the network. */
export const STORE = 'store';
