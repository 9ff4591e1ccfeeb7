/** The effective settings, and the files and command line that come from them. */
import { readdir } from 'node:fs/promises';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import type { Upstream } from '../core/model.ts';
import {
  type Controlled,
  controlledSettings,
  isControlled,
  postmasterArguments,
} from './commandline.ts';
import { followedBy, hasRecovery, ownDefaults, type RecoverySection } from './conffile.ts';
import { readSetting } from './conftext.ts';
import { dataVersion } from './connect.ts';
import { primaryConninfo, writePgpass } from './conninfo.ts';
import type { RequiredSettings } from './controlfile.ts';
import { exists, isMissing, messageOf, readIfThere } from './disk.ts';
import { type FilesToWrite, fileText, keepOriginal, restoreCopies, writeFiles } from './files.ts';
import { type FirstNames, SynchronousNames } from './names.ts';
import type { Listen, LocalPostgresOptions, Places } from './options.ts';
import type { ServerSettings } from './postgres.ts';
import { slotName } from './slots.ts';
import type { Tools } from './tools.ts';
import { unfitSettings } from './unfit-settings.ts';

const DEFAULTS: ServerSettings = {
  parameters: {},
  pgHba: null,
  pgIdent: null,
  recoveryConf: {},
  useSlots: true,
  synchronous: false,
};

/** Sets of settings whose judgement is remembered: one for each role, and a few changes. */
const JUDGED = 8;

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
  readonly #tools: Tools;
  readonly #warned = new Set<string>();
  /** What PostgreSQL said about sets of settings. */
  readonly #judged = new Map<string, ReadonlyMap<string, string>>();
  #settings = DEFAULTS;
  #required: RequiredSettings | null = null;
  readonly #names = new SynchronousNames();
  /** Names were set where none were, and it is not yet known that commits wait; null: nothing is open. */
  firstNames: FirstNames | null = null;

  constructor(options: LocalPostgresOptions, places: Places, listen: Listen, tools: Tools) {
    this.#options = options;
    this.#tools = tools;
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
    for (const warning of controlled.warnings) this.#warn(warning);
    return controlled;
  }

  postmasterArguments(): string[] {
    return postmasterArguments(this.#places.dataDir, this.#places.conf, this.controlled());
  }

  /**
   * Writes the files, and the password file of a standby. Returns whether any file is another than before.
   * @param look through settings that were not seen before, for those that PostgreSQL would not start with
   */
  async write(as: RunsAs, look: 'look' | 'as it is' = 'look'): Promise<boolean> {
    const recovery = await this.#section(as);
    const defaults = ownDefaults(await dataVersion(this.#places), release());
    const before = (await readIfThere(this.#places.conf)) ?? '';
    const role = as.role === 'standby' ? 'standby' : 'primary';
    const settings = settingsOf(this.#settings, role);
    await keepOriginal(this.#places);
    await this.#sayOverridden(settings.parameters);
    const wanted = this.#names.parameters(settings, role, before);
    const conf = { defaults, parameters: wanted, controlled: this.controlled(), recovery };
    return await writeFiles(this.#places, {
      conf: await this.#fit(conf, settings.parameters, look === 'look' ? before : null),
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

  /**
   * Without what PostgreSQL would not start with. Asked once for each set of settings, and not for a
   * file that stays as it is: a daemon that comes back to its primary has no time for that.
   * @param before the file; null: nobody is asked now
   */
  async #fit(
    conf: FilesToWrite['conf'],
    parameters: ServerSettings['parameters'],
    before: string | null,
  ): Promise<FilesToWrite['conf']> {
    const { recovery } = conf;
    const more = recovery?.asGiven ? {} : (recovery?.more ?? {});
    const key = JSON.stringify([parameters, more]);
    const judged = this.#judged.get(key);
    if (judged === undefined && (before === null || before === this.#text(conf))) return conf;
    const unfit =
      judged ?? (await this.#ask(conf, new Set(Object.keys({ ...parameters, ...more }))));
    // Not known now; the next write asks again.
    if (unfit === null) return conf;
    if (judged === undefined) {
      if (this.#judged.size >= JUDGED) this.#judged.clear();
      this.#judged.set(key, unfit);
      // What a standby may have, the primary that it becomes may have too: a promotion asks nobody.
      this.#judged.set(JSON.stringify([parameters, {}]), unfit);
    }
    for (const [name, why] of unfit)
      this.#warn(`${name} is left out, as PostgreSQL would not start with it: ${why}`);
    return withoutSettings(conf, new Set(unfit.keys()));
  }

  #text(conf: FilesToWrite['conf']): string {
    return fileText(this.#places, conf, this.#options.customConf ?? null);
  }

  async #ask(
    conf: FilesToWrite['conf'],
    names: ReadonlySet<string>,
  ): Promise<ReadonlyMap<string, string> | null> {
    const { clock } = this.#options;
    const { dataDir, conf: file } = this.#places;
    try {
      const postgres = this.#tools.find('postgres', await dataVersion(this.#places));
      return await unfitSettings(
        { clock, postgres, dataDir, path: `${file}.check` },
        (left) => this.#text(withoutSettings(conf, left)),
        names,
      );
    } catch (error) {
      this.#warn(`not looked through: ${messageOf(error)}`);
      return null;
    }
  }

  /** ALTER SYSTEM stands above every file of ours; what is on the command line stands above it. */
  async #sayOverridden(parameters: ServerSettings['parameters']): Promise<void> {
    const text = (await readIfThere(join(this.#places.dataDir, 'postgresql.auto.conf'))) ?? '';
    for (const [name, value] of Object.entries(parameters)) {
      const other = isControlled(name) ? null : readSetting(text, name);
      if (other !== null && other !== value)
        this.#warn(
          `${name}: '${other}' of postgresql.auto.conf stands above '${value}' (ALTER SYSTEM RESET ${name} takes it back)`,
        );
    }
  }

  #warn(text: string): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    this.#options.log('warn', `postgresql.parameters: ${text}`);
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

function withoutSettings(
  conf: FilesToWrite['conf'],
  names: ReadonlySet<string>,
): FilesToWrite['conf'] {
  if (names.size === 0) return conf;
  const kept = (settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => !names.has(name.toLowerCase())));
  const { recovery } = conf;
  return {
    ...conf,
    parameters: kept(conf.parameters),
    recovery: recovery === null ? null : { ...recovery, more: kept(recovery.more) },
  };
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
