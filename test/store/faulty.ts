/** A cluster store over memory, with everything that a test of faults takes hold of. */
import { ClusterStore } from '../../src/store/cluster.ts';
import type { KeyValueStore } from '../../src/store/keyvalue.ts';
import type { Leadership } from '../../src/store/store.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryStore } from './memory.ts';
import type { MemoryClient } from './memory-client.ts';
import { leadershipOf } from './scene.ts';

export class Faulty {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore(this.clock);
  readonly client: MemoryClient = this.memory.client();
  readonly store = this.over(this.client);

  /** Another agent of the same cluster. */
  over(keyValues: KeyValueStore): ClusterStore {
    const options = {
      namespace: 'service',
      scope: 'demo',
      clock: this.clock,
      retryTimeoutMs: 3000,
    };
    return new ClusterStore(keyValues, options);
  }

  async lease(): Promise<string> {
    return (await this.store.grantLease(30)).leaseId;
  }

  async lead(): Promise<Leadership> {
    return leadershipOf(await this.store.campaign('n1', await this.lease(), 1, 0));
  }
}

/** Undefined when it did not reject. */
export async function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}
