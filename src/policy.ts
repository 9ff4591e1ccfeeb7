/**
 * The configuration in force: the local file, `/config`, and what follows from who is in the
 * cluster. Applied to the parts that depend on it whenever one of them changes.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Config,
  type Effective,
  effectiveSettings,
  initialDynamicConfiguration,
} from './config/index.ts';
import type { ClusterView } from './core/model.ts';
import type { Settings } from './core/settings.ts';
import type { ServerSettings } from './postgres/postgres.ts';
import type { PolicySource } from './runtime.ts';

/** Patroni's name for its copy of `/config` in the data directory (contract 6.1): both read it. */
const CACHE_FILE = 'patroni.dynamic.json';

type Tree = Readonly<Record<string, unknown>>;

export class Policy implements PolicySource {
  readonly #log: (level: 'info' | 'warning', text: string) => void;
  #config: Config;
  #dynamic: Tree | null = null;
  #allMembersRunTenure = true;
  #saved = '';
  readonly #warned = new Set<string>();
  #settings: Settings;
  #server: ServerSettings;
  #scripts: Effective['scripts'];

  constructor(config: Config, log: (level: 'info' | 'warning', text: string) => void) {
    this.#config = config;
    this.#log = log;
    const effective = effectiveSettings(config, null, { allMembersRunTenure: true });
    this.#settings = effective.settings;
    this.#server = effective.server;
    this.#scripts = effective.scripts;
  }

  get settings(): Settings {
    return this.#settings;
  }

  get server(): ServerSettings {
    return this.#server;
  }

  /** The operator's own programs. */
  get scripts(): Effective['scripts'] {
    return this.#scripts;
  }

  get initialConfig(): Tree {
    return initialDynamicConfiguration(this.#config);
  }

  /** The copy of `/config` that an earlier life left: better than the bootstrap section until etcd answers. */
  async loadCache(): Promise<void> {
    try {
      const cached: unknown = JSON.parse(
        await readFile(join(this.#config.postgresql.data_dir, CACHE_FILE), 'utf8'),
      );
      if (typeof cached === 'object' && cached !== null && !Array.isArray(cached)) {
        this.#dynamic = cached as Tree;
        this.#apply();
      } else throw new TypeError('no map');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      const why = error instanceof Error ? error.message : String(error);
      this.#log('warning', `${CACHE_FILE} cannot be used until etcd answers: ${why}`);
    }
  }

  /** A new local file (SIGHUP). */
  reload(config: Config): void {
    this.#config = config;
    this.#apply();
  }

  /** True when something in force has changed. */
  see(cluster: ClusterView): boolean {
    // A member key without a lease was put by hand: no daemon stands behind it, Patroni's included.
    const tenure = cluster.members.every(
      (member) =>
        member.tenure !== null || member.leaseId === null || member.name === this.#config.name,
    );
    const dynamic = cluster.config.kind === 'valid' ? cluster.config.values : this.#dynamic;
    const same =
      dynamic === this.#dynamic || JSON.stringify(dynamic) === JSON.stringify(this.#dynamic);
    if (tenure === this.#allMembersRunTenure && same) return false;
    this.#allMembersRunTenure = tenure;
    this.#dynamic = dynamic;
    return this.#apply();
  }

  /** Keeps the copy in the data directory up to date; a failure is not worth a line at every tick. */
  async saveCache(): Promise<void> {
    const text = this.#dynamic === null ? '' : JSON.stringify(this.#dynamic);
    if (text === '' || text === this.#saved) return;
    const path = join(this.#config.postgresql.data_dir, CACHE_FILE);
    try {
      await writeFile(`${path}.tenure`, text, { mode: 0o600 });
      await rename(`${path}.tenure`, path);
      this.#saved = text;
    } catch {
      // No data directory yet, or a full disk: the store has the original.
    }
  }

  #apply(): boolean {
    const before = JSON.stringify([this.#settings, this.#server]);
    const effective = effectiveSettings(this.#config, this.#dynamic, {
      allMembersRunTenure: this.#allMembersRunTenure,
    });
    for (const warning of effective.warnings) {
      if (!this.#warned.has(warning)) this.#log('warning', warning);
      this.#warned.add(warning);
    }
    this.#settings = effective.settings;
    this.#server = effective.server;
    this.#scripts = effective.scripts;
    return JSON.stringify([this.#settings, this.#server]) !== before;
  }
}
