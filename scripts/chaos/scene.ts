/** A cluster under chaos: its members, the network and disks between them, its writers and what they told. */
import { join } from 'node:path';
import { Cluster, type Lab, type Node, type Place, waitFor } from '../lab/index.ts';
import { mountSmall } from './disk.ts';
import type { Acknowledgement, History, Thaw } from './history.ts';
import { LeaderKey } from './leader-key.ts';
import { dynamicConfiguration, isSynchronous, type Mode } from './modes.ts';
import type { Network } from './network.ts';
import { CREATE_TABLE, Writer } from './writer.ts';

const NODES = ['n1', 'n2', 'n3'];
const ETCD = ['e1', 'e2', 'e3'];
const SCOPE = 'chaos';
const START_MS = 90_000;
const PROXIED = { everyMs: 15, statementMs: 3000 };
/** Patient: its statement is there when a node goes on that had stood still. */
const DIRECT = { everyMs: 30, statementMs: 12_000 };
/** The writer that goes through HAProxy: what a client sees. */
export const PROXY = 'proxy';

export class Scene {
  readonly mode: Mode;
  readonly cluster: Cluster;
  /** Null: everything is on the loopback. */
  readonly network: Network | null;
  readonly thaws: Thaw[] = [];
  readonly writers: readonly Writer[];
  #acknowledged: Acknowledgement[] = [];
  readonly #key: LeaderKey;

  private constructor(mode: Mode, cluster: Cluster, network: Network | null) {
    this.mode = mode;
    this.cluster = cluster;
    this.network = network;
    this.#key = LeaderKey.watch(cluster.etcd, `/service/${SCOPE}/leader`);
    this.writers = this.#startWriters();
  }

  /** Starts everything and waits until the cluster is whole and clients write. */
  static async start(lab: Lab, mode: Mode, network: Network | null): Promise<Scene> {
    const disks = new Map<string, string>();
    for (const name of network === null ? [] : NODES) {
      disks.set(name, await mountSmall(lab, name));
    }
    const place = (name: string): Place => {
      const disk = disks.get(name);
      const own = network?.place(name) ?? { address: '127.0.0.1', enter: [] };
      return disk === undefined ? own : { ...own, disk };
    };
    const cluster = await Cluster.create(lab, {
      scope: SCOPE,
      etcd: 3,
      place,
      dcs: dynamicConfiguration(mode),
      env: {
        NODE_OPTIONS: `--import=${join(import.meta.dirname, 'wall-clock.mjs')}`,
        CHAOS_WALL_CLOCK: 'wall-clock', // in the folder where each daemon runs
      },
    });
    await cluster.startDaemons();
    const primary = await cluster.healthy(START_MS);
    await primary.query(CREATE_TABLE);
    const scene = new Scene(mode, cluster, network);
    lab.onClose(() => scene.end());
    await scene.whole(performance.now(), START_MS);
    return scene;
  }

  #startWriters(): readonly Writer[] {
    const { cluster } = this;
    const names = new Map(
      cluster.nodes.map(({ name, address, postgresPort }) => [`${address}:${postgresPort}`, name]),
    );
    const nodeOf = (server: string): string => names.get(server) ?? server;
    const told = (write: Acknowledgement): void => void this.#acknowledged.push(write);
    const through = { name: PROXY, host: '127.0.0.1', port: cluster.haproxy.ports.primary };
    return [
      { ...through, ...PROXIED },
      ...cluster.nodes.map(({ name, address, postgresPort }) => ({
        name: `on ${name}`,
        host: address,
        port: postgresPort,
        ...DIRECT,
      })),
    ].map((target) => Writer.start(target, nodeOf, told));
  }

  static members(): readonly string[] {
    return [...NODES, ...ETCD];
  }

  /** All that is kept: see {@link forget}. */
  history(): History {
    return {
      acknowledged: [...this.#acknowledged],
      holdings: this.#key.holdings(),
      thaws: this.thaws,
    };
  }

  /** Acknowledgements that arrived before this, ms of performance.now(), are not judged again. */
  forget(before: number): void {
    this.#acknowledged = this.#acknowledged.filter(({ at }) => at >= before);
  }

  async primary(): Promise<Node> {
    return this.cluster.waitForPrimary({ deadlineMs: START_MS });
  }

  /**
   * Waits until one node is primary, the others stream from it (in synchronous modes one of them at
   * least confirms) and a write through HAProxy was acknowledged after `since`.
   */
  async whole(since: number, deadlineMs: number): Promise<Node> {
    const end = performance.now() + deadlineMs;
    const left = (): number => Math.max(1, end - performance.now());
    const primary = await this.cluster.healthy(left());
    await waitFor('a write through HAProxy', left(), () => {
      const last = this.#acknowledged.findLast(({ writer }) => writer === PROXY);
      return last !== undefined && last.at > since;
    });
    if (isSynchronous(this.mode)) await this.#confirmed(left());
    return primary;
  }

  async #confirmed(deadlineMs: number): Promise<void> {
    await waitFor('a standby that confirms', deadlineMs, async (seen) => {
      const members = (await this.cluster.members()) ?? [];
      seen(members.map(({ name, role, state }) => `${name} ${role} ${state}`).join(', '));
      return members.some(({ role }) => role === 'sync_standby' || role === 'quorum_standby');
    });
  }

  async end(): Promise<void> {
    this.#key.end();
    await Promise.all(this.writers.map((writer) => writer.stop()));
  }
}
