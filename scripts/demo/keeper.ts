/** Starts a daemon again some time after it ended, as an init system would. */
import type { Cluster, Node } from '../lab/index.ts';

/** Milliseconds: long enough that a lease of 5 s runs out first and the failover is seen. */
export const RESTART_AFTER_MS = 15_000;

export class Keeper {
  readonly #cluster: Cluster;
  readonly #downSince = new Map<string, number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** To be called again and again; says which daemons it started again. */
  async look(now = performance.now()): Promise<readonly string[]> {
    const started: string[] = [];
    for (const node of this.#cluster.nodes) {
      if (node.isRunning()) {
        this.#downSince.delete(node.name);
        continue;
      }
      const since = this.#downSince.get(node.name) ?? now;
      this.#downSince.set(node.name, since);
      if (now - since < RESTART_AFTER_MS) continue;
      this.#downSince.delete(node.name);
      await node.start();
      started.push(node.name);
    }
    return started;
  }

  /** When the daemon comes back, in words; undefined when it runs. */
  comesBack(node: Node, now = performance.now()): string | undefined {
    const since = this.#downSince.get(node.name);
    if (since === undefined) return undefined;
    return `back in ${Math.max(0, Math.ceil((since + RESTART_AFTER_MS - now) / 1000))} s`;
  }
}
