/** The effective settings, and the files and command line that come from them. */
import { readdir } from 'node:fs/promises';
import { release } from 'node:os';
import { basename } from 'node:path';
import type { Upstream } from '../core/model.ts';
import { type Controlled, controlledSettings, postmasterArguments } from './commandline.ts';
import { followedBy, hasRecovery, ownDefaults, type RecoverySection } from './conffile.ts';
import { dataVersion } from './connect.ts';
import { primaryConninfo, writePgpass } from './conninfo.ts';
import type { RequiredSettings } from './controlfile.ts';
import { exists, isMissing, readIfThere } from './disk.ts';
import { restoreCopies, writeFiles } from './files.ts';
import { type FirstNames, SynchronousNames } from './names.ts';
import type { Listen, LocalPostgresOptions, Places } from './options.ts';
import type { ServerSettings } from './postgres.ts';
import { slotName } from './slots.ts';

const DEFAULTS: ServerSettings = {
  parameters: {},
  pgHba: null,
  pgIdent: null,
  recoveryConf: {},
  useSlots: true,
  synchronous: false,
};

/** What the server runs, or is to run, as. */
export type RunsAs =
  | { readonly role: 'primary' }
  | { readonly role: 'standby'; readonly upstream: Upstream | null }
  /** A restored backup on its way to a primary, with recovery settings of the operator alone. */
  | { readonly role: 'recovering'; readonly settings: Readonly<Record<string, string>> };

export class Configuration {
  readonly #options: LocalPostgresOptions;
  readonly #places: Places;
  readonly #listen: Listen;
  readonly #warned = new Set<string>();
  #settings = DEFAULTS;
  #required: RequiredSettings | null = null;
  readonly #names = new SynchronousNames();
  /** Names were set where none were, and it is not yet known that commits wait; null: nothing is open. */
  firstNames: FirstNames | null = null;

  constructor(options: LocalPostgresOptions, places: Places, listen: Listen) {
    this.#options = options;
    this.#places = places;
    this.#listen = listen;
  }

  get settings(): ServerSettings {
    return this.#settings;
  }

  set settings(settings: ServerSettings) {
    this.#settings = settings;
  }

  /** synchronous_standby_names as the leader set it; null: the user's own again. */
  set synchronousNames(names: string | null) {
    this.#names.set(names);
  }

  /** What was set for it as a primary is over: it confirms nothing any more. */
  startsAsStandby(): void {
    this.#names.startsAsStandby();
  }

  /** Own slot on an upstream; null when slots are not used. */
  get ownSlot(): string | null {
    return this.#settings.useSlots ? slotName(this.#options.name) : null;
  }

  /** pg_control's values, which a standby's may not be below; null for a primary. */
  set required(required: RequiredSettings | null) {
    this.#required = required;
  }

  /** Settings for the command line; says once what it did not take. */
  controlled(): Controlled {
    const { addresses, port } = this.#listen;
    const identity = { listenAddresses: addresses.join(','), port, scope: this.#options.scope };
    const controlled = controlledSettings(this.#settings.parameters, identity, this.#required);
    for (const warning of controlled.warnings) {
      if (this.#warned.has(warning)) continue;
      this.#warned.add(warning);
      this.#options.log('warn', `postgresql.parameters: ${warning}`);
    }
    return controlled;
  }

  postmasterArguments(): string[] {
    return postmasterArguments(this.#places.dataDir, this.#places.conf, this.controlled());
  }

  /** Writes the files, and the password file of a standby. Returns whether any file is another than before. */
  async write(as: RunsAs): Promise<boolean> {
    const recovery = await this.#section(as);
    const defaults = ownDefaults(await dataVersion(this.#places), release());
    const before = (await readIfThere(this.#places.conf)) ?? '';
    const role = as.role === 'standby' ? 'standby' : 'primary';
    const settings = settingsOf(this.#settings, role);
    const parameters = this.#names.parameters(settings, role, before);
    return await writeFiles(this.#places, {
      conf: { defaults, parameters, controlled: this.controlled(), recovery },
      customConf: this.#options.customConf ?? null,
      pgHba: settings.pgHba,
      pgIdent: settings.pgIdent,
    });
  }

  /** What the files that are there say: a former agent's, when this one has just begun. */
  async current(): Promise<RunsAs> {
    const text = (await readIfThere(this.#places.conf)) ?? '';
    const standby = hasRecovery(text) || (await exists(this.#places.standbySignal));
    return standby ? { role: 'standby', upstream: followedBy(text) } : { role: 'primary' };
  }

  /** After a clone: what lives outside the data directory comes with it as copies. */
  async restoreCopies(): Promise<void> {
    if (this.#places.configDir !== this.#places.dataDir) await restoreCopies(this.#places);
  }

  /** Is there a data directory whose files can be written? */
  async writable(): Promise<boolean> {
    try {
      return (await readdir(this.#places.dataDir)).includes('PG_VERSION');
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  get confName(): string {
    return basename(this.#places.conf);
  }

  async #section(as: RunsAs): Promise<RecoverySection | null> {
    if (as.role === 'primary') return null;
    if (as.role === 'standby') return await this.#recovery(as.upstream);
    return { primaryConninfo: null, slotName: null, more: as.settings, asGiven: true };
  }

  async #recovery(upstream: Upstream | null): Promise<RecoverySection> {
    const { name, replication, pgpassPath } = this.#options;
    const more = this.#settings.recoveryConf;
    if (upstream === null) return { primaryConninfo: null, slotName: null, more };
    await writePgpass(pgpassPath, upstream.host, upstream.port, replication);
    const version = await dataVersion(this.#places);
    return {
      primaryConninfo: primaryConninfo(name, upstream, replication, pgpassPath, version),
      slotName: this.ownSlot,
      more,
    };
  }
}

/** What is set for one role alone lies over what is set for both. */
function settingsOf(settings: ServerSettings, role: 'primary' | 'standby'): ServerSettings {
  const own = settings.byRole?.[role === 'primary' ? 'primary' : 'replica'];
  if (own === undefined) return settings;
  return {
    ...settings,
    parameters: { ...settings.parameters, ...own.parameters },
    pgHba: own.pgHba ?? settings.pgHba,
    pgIdent: own.pgIdent ?? settings.pgIdent,
  };
}
