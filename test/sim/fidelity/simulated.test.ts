/** The stories of scenarios.ts with the simulated PostgreSQL. */
import { configOf } from '../config.ts';
import { PORT } from '../facts.ts';
import { SimPostgres } from '../hands.ts';
import { newWorld } from '../making.ts';
import { Node } from '../node.ts';
import { DaemonProcess, SimClock } from '../process.ts';
import type { Witness } from '../world.ts';
import { describeFidelity, type Rig, type Subject } from './scenarios.ts';

/** Virtual ms. */
const LONGEST_WAIT_MS = 60_000;
const LOOK_MS = 20;
const SETTINGS = {
  parameters: {},
  pgHba: null,
  pgIdent: null,
  recoveryConf: {},
  useSlots: true,
  synchronous: false,
};
const TIMING = { ttl: 30, loop_wait: 10, retry_timeout: 10 };

/** What a real server would not say, the simulated one must not have to. */
const witness: Witness = {
  promoted: () => undefined,
  acknowledged: () => undefined,
  opened: () => undefined,
  guardShot: () => undefined,
  startedBroken: (_machine, why) => {
    throw new Error(`started what a ${why} left in pieces`);
  },
  diverged: (machine, upstream, why) => {
    throw new Error(`${machine.name} streams from ${upstream.name} ${why}`);
  },
  discarding: () => undefined,
  decided: () => undefined,
  said: () => undefined,
  note: () => undefined,
};

class SimulatedRig implements Rig {
  readonly #nodes: Node[] = [];
  readonly #world = newWorld({
    seed: 'fidelity',
    machines: this.#nodes,
    witness: () => witness,
    trap: () => undefined,
  });
  readonly #clock = new SimClock(
    new DaemonProcess(this.#world.scheduler),
    this.#world.scheduler,
    1,
    {
      suspendedMs: 0,
      wallOffset: 0,
    },
  );
  #closed = false;
  readonly #running: Promise<void>;

  constructor() {
    this.#beat();
    this.#running = this.#world.scheduler.run(() => this.#closed);
  }

  async node(name: string): Promise<Subject> {
    const world = this.#world;
    const config = configOf(name, {
      timing: TIMING,
      maximumLag: 1_048_576,
      usePgRewind: true,
      modes: { failsafe: false, synchronous: 'off', strict: false, standbys: 1 },
    });
    const node = new Node(world, name, { config, clockRate: 1, narrow: false });
    this.#nodes.push(node);
    const process = new DaemonProcess(world.scheduler);
    const clock = new SimClock(process, world.scheduler, 1, node);
    return {
      name,
      postgres: new SimPostgres(world, node, process, clock, SETTINGS),
      upstream: { name, host: name, port: PORT },
      write: async (number) => {
        if (!node.server.commit(number, 128)) throw new Error(`${name} takes no writes`);
      },
      rows: async () => {
        node.server.replication.advance();
        return node.disk.wal.records.flatMap(({ write }) => (write === null ? [] : [write]));
      },
    };
  }

  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = this.#clock.now() + LONGEST_WAIT_MS;
    while (!(await holds())) {
      if (this.#clock.now() > deadline) throw new Error(`not in ${LONGEST_WAIT_MS} ms: ${what}`);
      await this.#clock.wait(LOOK_MS);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  /** There is always an event to come, and the story goes on between two of them. */
  #beat(): void {
    this.#world.scheduler.after(LOOK_MS, () => {
      this.#world.scheduler.entered = true;
      this.#beat();
    });
  }
}

describeFidelity('the simulated', () => new SimulatedRig());
