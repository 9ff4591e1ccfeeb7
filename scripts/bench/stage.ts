/** A cluster of one of the daemons under test, in a lab of its own. */
import { Cluster, Lab, type Node, waitFor } from '../lab/index.ts';
import type { DaemonUnderTest, Timing } from './daemons.ts';

/** What Patroni and this project have without any settings; the lowest differ by daemon. */
export const DEFAULT: Timing = { ttl: 30, loop_wait: 10, retry_timeout: 10 };

export type SettingsName = 'default' | 'lowest';

/** For anything that a cluster of either daemon has to get done at `loop_wait` 10, ms. */
export const DEADLINE_MS = 150_000;

export class Stage {
  readonly daemon: DaemonUnderTest;
  readonly cluster: Cluster;
  readonly #lab: Lab;
  #rounds = 0;
  #frozen = false;

  private constructor(daemon: DaemonUnderTest, lab: Lab, cluster: Cluster) {
    this.daemon = daemon;
    this.#lab = lab;
    this.cluster = cluster;
  }

  /** etcd, HAProxy and three nodes; their daemons are not started. */
  static async create(daemon: DaemonUnderTest, settings: SettingsName): Promise<Stage> {
    const lab = Lab.open();
    try {
      const dcs = { ...(settings === 'lowest' ? daemon.lowest : DEFAULT) };
      const cluster = await Cluster.create(lab, { daemon: daemon.command, dcs });
      return new Stage(daemon, lab, cluster);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** As create, with running daemons. */
  static async start(daemon: DaemonUnderTest, settings: SettingsName): Promise<Stage> {
    const stage = await Stage.create(daemon, settings);
    try {
      await stage.cluster.startDaemons();
      await stage.settled();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** Another name for each round's table. */
  nextTable(): string {
    this.#rounds += 1;
    return `bench_${this.#rounds}`;
  }

  get lab(): Lab {
    return this.#lab;
  }

  /** While another stage is measured: without health checks a cluster that idles costs next to nothing. */
  freezeChecks(): void {
    if (!this.#frozen) this.cluster.haproxy.process.signal('SIGSTOP');
    this.#frozen = true;
  }

  thawChecks(): void {
    if (this.#frozen) this.cluster.haproxy.process.signal('SIGCONT');
    this.#frozen = false;
  }

  /** Waits until one node leads, the others stream, and HAProxy has found both out. */
  async settled(): Promise<Node> {
    this.thawChecks();
    const primary = await this.cluster.healthy(DEADLINE_MS);
    await waitFor('HAProxy to see the cluster as it is', DEADLINE_MS, async (seen) => {
      const [primaries, replicas] = await Promise.all([
        this.cluster.haproxy.up('primary'),
        this.cluster.haproxy.up('replicas'),
      ]);
      seen(`primary ${primaries.join()}; replicas ${replicas.join()}`);
      const others = this.cluster.nodes.length - 1;
      return primaries.join() === primary.name && replicas.length >= others;
    });
    return primary;
  }

  /** The last lines of all daemons' logs, for messages. */
  tail(lines = 15): string {
    return this.cluster.nodes
      .map((node) => `--- ${node.name}\n${node.daemon?.tail(lines) ?? 'never started'}`)
      .join('\n');
  }

  async close(): Promise<void> {
    await this.#lab.close();
  }
}
