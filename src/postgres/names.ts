/**
 * Which synchronous_standby_names goes into the file (contract 5.15; rule S2). On a running primary
 * only the leader's own step changes it: a file that is written for another reason, by an agent that
 * has just begun or has lost the lease, keeps what is there, or waiting commits would be acknowledged.
 */
import { PLACEHOLDER } from '../core/guarantee.ts';
import { readSetting } from './conftext.ts';
import type { ServerSettings } from './postgres.ts';

const NAME = 'synchronous_standby_names';

/** From no names to some. */
export interface FirstNames {
  /** In progress; null: to be asked for. */
  checkpoint: Promise<void> | null;
}

export class SynchronousNames {
  /** As last set for this server; null: nothing was set in this agent's life. */
  #names: string | null = null;
  /** The value in the file is the leader's, not the user's; null: an earlier life's, not known. */
  #owned: boolean | null = null;

  set(names: string | null): void {
    this.#names = names;
    this.#owned = names !== null;
  }

  /** `settings.parameters` with the value that belongs there. `before`: the file as it is. */
  parameters(
    settings: Pick<ServerSettings, 'parameters' | 'synchronous'>,
    role: 'primary' | 'standby',
    before: string,
  ): Readonly<Record<string, string>> {
    const { parameters, synchronous } = settings;
    const user = parameters[NAME] ?? '';
    const inFile = readSetting(before, NAME) ?? '';
    if (!synchronous && role === 'standby') this.#forget(false);
    const owned = synchronous || (this.#owned ?? inFile !== user);
    if (!owned || (role === 'primary' && before === '')) return parameters;
    this.#owned = true;
    // A standby acknowledges nothing. Promoted by whom it may be, it begins with nothing unconfirmed:
    // from empty to not empty PostgreSQL may take its time, from one name to another it does not.
    const value = this.#names ?? (role === 'standby' ? `"${PLACEHOLDER}"` : inFile);
    const kept: Record<string, string> = { restart_after_crash: 'off', ...parameters };
    kept[NAME] = value;
    return kept;
  }

  /** A new start as a standby: what was set for the primary is over. */
  startsAsStandby(): void {
    this.#names = null;
  }

  #forget(owned: boolean): void {
    this.#names = null;
    this.#owned = owned;
  }
}
