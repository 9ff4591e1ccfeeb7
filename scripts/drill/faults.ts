/** The faults of the drill: what is done to the primary, and how its node comes back. */
import type { Node } from '../lab/index.ts';

export interface Fault {
  readonly title: string;
  /**
   * Planned faults may lose nothing. "unless failed over": losing nothing is due as long as the node
   * stays primary.
   */
  readonly planned: 'yes' | 'no' | 'unless failed over';
  inject(primary: Node): Promise<void>;
  /** Its PostgreSQL must be the very same process afterwards, as long as the node stays primary. */
  readonly sparesPostgres: boolean;
  /** When its daemon is started again: never (it runs), at once, or when another node is primary. */
  readonly restart: 'never' | 'at once' | 'after failover';
}

export const FAULTS: readonly Fault[] = [
  {
    title: "kill -9 of the primary's postmaster",
    planned: 'no',
    sparesPostgres: false,
    restart: 'never',
    inject: async (primary) => {
      primary.killPostmaster();
    },
  },
  {
    title: 'kill -9 of its daemon and PostgreSQL',
    planned: 'no',
    sparesPostgres: false,
    restart: 'after failover',
    inject: (primary) => primary.killEverything(),
  },
  {
    title: 'SIGTERM of its daemon',
    planned: 'yes',
    sparesPostgres: false,
    restart: 'after failover',
    inject: async (primary) => {
      await primary.stop(60_000);
    },
  },
  {
    title: 'kill -9 of its daemon alone',
    planned: 'unless failed over',
    sparesPostgres: true,
    restart: 'at once',
    inject: (primary) => primary.kill(),
  },
  {
    title: 'kill -9 of its daemon, which stays away',
    planned: 'no',
    sparesPostgres: false,
    restart: 'after failover',
    inject: (primary) => primary.kill(),
  },
];
