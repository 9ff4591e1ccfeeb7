/** One node of the cluster: its machine, its PostgreSQL, and one daemon after the other. */

import type { Clock } from '../../src/clock.ts';
import type { Config } from '../../src/config/index.ts';
import type { ClusterView, Decision, Observation } from '../../src/core/model.ts';
import type { Exit } from '../../src/loop.ts';
import type { NodeJournal } from '../../src/node-journal.ts';
import { Policy } from '../../src/policy.ts';
import { type PolicySource, Runtime } from '../../src/runtime.ts';
import { ClusterStore } from '../../src/store/cluster.ts';
import { Disk } from './disk.ts';
import { PORT } from './facts.ts';
import { type GuardProcess, SimGuard } from './guard.ts';
import { SimPostgres } from './hands.ts';
import { type Api, SimPeers } from './peers.ts';
import { DaemonProcess, SimClock } from './process.ts';
import { Server } from './server.ts';
import { StoreClient } from './store-client.ts';
import type { Machine, World } from './world.ts';

export const SCOPE = 'demo';
export const NAMESPACE = 'service';
/** Clocks that run slow, and the first look: what retry_timeout means at the most. */
const ADOPTION_SLACK = 1.01;
const ADOPTION_MS = 100;
/** Writes that waited for a suspended machine: their number, and how soon after its end they are done, ms. */
const QUEUED = -2;
const QUEUED_MS = [1, 3, 6];
/** Before the supervisor starts a daemon that ended again, ms. */
const SUPERVISOR_MS = 1000;

export interface NodeOptions {
  readonly config: Config;
  /** Of this machine's clock: 1 is right. */
  readonly clockRate: number;
  readonly narrow: boolean;
}

interface Daemon extends Api {
  readonly policy: Policy;
  readonly client: StoreClient;
  readonly guard: SimGuard;
}

export class Node implements Machine {
  readonly name: string;
  readonly disk = new Disk();
  readonly server: Server;
  readonly narrow: boolean;
  readonly #world: World;
  readonly #options: NodeOptions;
  up = true;
  frozen = false;
  wallOffset = 0;
  suspendedMs = 0;
  #frozenAt = 0;
  /** When the machine last went on after a suspend. */
  thawedAt = Number.NEGATIVE_INFINITY;
  guard: GuardProcess | null = null;
  /** Until when a primary that was found running without an armed guard may be proven (S8). */
  adoptedUntil = Number.NEGATIVE_INFINITY;
  /** The supervisor starts it again when it ends. */
  supervised = true;
  #daemon: Daemon | null = null;
  #life = 0;
  #held: (() => void)[] = [];

  constructor(world: World, name: string, options: NodeOptions) {
    this.#world = world;
    this.name = name;
    this.#options = options;
    this.narrow = options.narrow;
    this.server = new Server(world, () => this);
  }

  /** This machine's monotonic clock, as its daemons read it, ms. */
  get clockNow(): number {
    return 1_000_000 + this.#world.scheduler.now * this.#options.clockRate;
  }

  get api(): Api | null {
    return this.#daemon;
  }

  get daemon(): Daemon | null {
    return this.#daemon;
  }

  /** The daemon is there and its timers run. */
  get daemonRuns(): boolean {
    return this.#daemon?.process.runs === true;
  }

  later(ms: number, call: () => void): () => void {
    const life = this.#life;
    const due = (): void => {
      if (this.#life !== life) return;
      if (this.frozen) this.#held.push(due);
      else call();
    };
    return this.#world.scheduler.after(ms, due);
  }

  startDaemon(): void {
    if (!this.up || this.#daemon !== null) return;
    if (this.frozen) {
      this.later(0, () => this.startDaemon());
      return;
    }
    const { scheduler } = this.#world;
    const process = new DaemonProcess(scheduler);
    const clock = new SimClock(process, scheduler, this.#options.clockRate, this);
    const daemon = this.#assemble(process, clock);
    this.#adopt(daemon);
    this.#daemon = daemon;
    this.#world.witness.note(this.name, 'daemon starts');
    process.deliver(() => void this.#run(daemon));
  }

  /** SIGKILL: at whatever await it was. */
  killDaemon(): void {
    this.#daemon?.process.end();
    this.#daemon = null;
  }

  /** SIGKILL; nobody but the daemon looks after it. */
  killGuard(): void {
    this.guard?.end();
    this.guard = null;
    this.#daemon?.guard.noticed();
  }

  /** SIGSTOP; the returned function is SIGCONT. */
  stopGuard(): () => void {
    const { guard } = this;
    guard?.stop();
    this.#daemon?.guard.noticed();
    return () => {
      if (this.guard === guard) guard?.goOn();
    };
  }

  /** SIGTERM. */
  terminateDaemon(): void {
    const daemon = this.#daemon;
    daemon?.process.deliver(() => daemon.runtime.stop());
  }

  freeze(): void {
    if (this.frozen || !this.up) return;
    this.server.replication.advance();
    this.frozen = true;
    this.#frozenAt = this.#world.scheduler.now;
    this.#daemon?.process.stop('machine');
  }

  thaw(): void {
    if (!this.frozen) return;
    this.frozen = false;
    this.thawedAt = this.#world.scheduler.now;
    this.suspendedMs += this.thawedAt - this.#frozenAt;
    this.#daemon?.process.goOn('machine');
    for (const due of this.#held.splice(0)) this.#world.scheduler.after(0, due);
    // What clients had sent before lies in the sockets.
    for (const ms of QUEUED_MS) this.later(ms, () => this.server.commit(QUEUED, 128));
  }

  crash(): void {
    this.killDaemon();
    this.killGuard();
    this.server.powerOff();
    this.up = false;
    this.frozen = false;
    this.#life += 1;
    this.#held = [];
  }

  boot(): void {
    if (this.up) return;
    this.up = true;
    this.startDaemon();
  }

  #adopt({ policy }: Daemon): void {
    const { server, guard } = this;
    if (server.state !== 'primary' && server.orphans === 0) return;
    if (guard?.runs === true && guard.state !== 'disarmed') return;
    const left = policy.settings.retryTimeoutMs * ADOPTION_SLACK + ADOPTION_MS;
    this.adoptedUntil = this.#world.scheduler.now + left;
  }

  async #run(daemon: Daemon): Promise<void> {
    const { process } = daemon;
    // A daemon that is killed meanwhile never comes back from here.
    const exit = await this.#live(daemon);
    process.end();
    if (this.#daemon === daemon) this.#daemon = null;
    this.#world.witness.note(this.name, `daemon exits with ${exit.code}: ${exit.message}`);
    if (this.supervised) this.later(SUPERVISOR_MS, () => this.startDaemon());
  }

  async #live({ runtime }: Daemon): Promise<Exit> {
    try {
      await runtime.lookFirst();
      return await runtime.run();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#world.witness.said(this, 'crash', text);
      return { code: 1, message: text };
    }
  }

  #assemble(process: DaemonProcess, clock: Clock): Daemon {
    const world = this.#world;
    const { name } = this;
    const say = (level: string, text: string): void => world.witness.said(this, level, text);
    const policy = this.#policy(say);
    const client = new StoreClient(world, name, process, clock);
    const store = new ClusterStore(client, {
      namespace: NAMESPACE,
      scope: SCOPE,
      clock,
      retryTimeoutMs: policy.settings.retryTimeoutMs,
      before: world.known,
    });
    const api = (other: string): Api | null => {
      const machine = world.machine(other);
      return machine instanceof Node ? machine.api : null;
    };
    let told: (why: string) => void = () => undefined;
    const guard = new SimGuard({
      world,
      machine: this,
      process,
      clock,
      onShot: (why) => told(why),
    });
    const runtime = new Runtime({
      identity: {
        scope: SCOPE,
        name,
        connUrl: `postgres://${name}:${PORT}/postgres`,
        apiUrl: `http://${name}:8008/patroni`,
      },
      clock,
      store,
      postgres: new SimPostgres(world, this, process, clock, policy.server),
      peers: new SimPeers(world, name, { process, clock }, api),
      journal: this.#journal(clock),
      policy: this.#remembering(policy),
      guard,
      say,
    });
    told = (why) => runtime.guardShot(why);
    return { process, clock, runtime, policy, client, guard };
  }

  #policy(say: (level: string, text: string) => void): Policy {
    const policy = new Policy(this.#options.config, say);
    const { config } = this.disk;
    if (config !== null) policy.see(viewOf(config));
    return policy;
  }

  /** Keeps the copy of `/config` that the next life begins with. */
  #remembering(policy: Policy): PolicySource {
    const { disk } = this;
    return {
      get settings() {
        return policy.settings;
      },
      get server() {
        return policy.server;
      },
      get initialConfig() {
        return policy.initialConfig;
      },
      see: (cluster) => {
        if (cluster.config.kind === 'valid' && disk.kind === 'cluster')
          disk.config = cluster.config.values;
        return policy.see(cluster);
      },
    };
  }

  #journal(clock: Clock): NodeJournal {
    const { disk } = this;
    const chance = this.#world.random(`journal ${this.name}`);
    return {
      get node() {
        return disk.journal;
      },
      boot: `boot ${this.#life}`,
      promoting: async (timeline) => {
        const others = disk.journal.promotedHere.filter((known) => known !== timeline);
        disk.journal = { ...disk.journal, promotedHere: [...others, timeline] };
      },
      leading: async (leaseId) => {
        disk.journal = { ...disk.journal, leaseId };
      },
      promised: async (promise) => {
        await clock.wait(chance.between(0.5, 3));
        disk.journal = { ...disk.journal, promise };
      },
      forgetPromotions: async () => {
        disk.journal = { ...disk.journal, promotedHere: [] };
      },
      tell: ({ decision, observation }) => {
        this.#world.witness.decided(this, decision as Decision, observation as Observation);
      },
    };
  }
}

/** Enough of a view for the policy to take `/config` from. */
function viewOf(values: Readonly<Record<string, unknown>>): ClusterView {
  return {
    revision: 0,
    initialize: { kind: 'absent' },
    leader: null,
    members: [],
    config: { kind: 'valid', values, modRevision: 1 },
    status: { optime: null, slots: {}, retainSlots: [] },
    history: null,
    failover: null,
    sync: null,
    failsafe: null,
    timelines: null,
    handover: null,
    unconfirmed: null,
    problems: [],
  };
}
