/**
 * When a commit is acknowledged: at once, or when as many of the standbys in synchronous_standby_names
 * have flushed it as that asks for. Waiting commits are looked at again a little later, so that nothing
 * happens in between.
 */
import { parseRequirement } from '../../src/core/guarantee.ts';
import type { Replication } from './replication.ts';
import type { WalRecord } from './wal.ts';
import type { Machine, World } from './world.ts';

/** From look to look at waiting commits, ms: the first, and the longest while nobody confirms. */
const FIRST_MS = 4;
const LONGEST_MS = 60;

export interface CommitsOptions {
  readonly world: World;
  readonly machine: () => Machine;
  /** Walreceivers that are connected here. */
  readonly followers: () => readonly Replication[];
  /** Its clients can be told of success now. */
  readonly acknowledges: () => boolean;
}

export class Commits {
  readonly #options: CommitsOptions;
  /** synchronous_standby_names in force. */
  names = '';
  #waiting: WalRecord[] = [];
  #pauseMs = FIRST_MS;
  #looking = false;

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  get wait(): boolean {
    return this.#waiting.length > 0;
  }

  written(record: WalRecord): void {
    const { world, machine } = this.#options;
    if (this.names === '') {
      world.witness.acknowledged(machine(), record);
      return;
    }
    this.#waiting.push(record);
    this.#pauseMs = FIRST_MS;
    this.#later();
  }

  /** SIGHUP: the value in the file is in force. */
  reload(names: string): void {
    this.names = names;
    this.#look();
  }

  /** The clients of waiting commits lose their connections. */
  cancel(): void {
    this.#waiting = [];
  }

  #later(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#options.machine().later(this.#pauseMs, () => {
      this.#looking = false;
      this.#pauseMs = Math.min(LONGEST_MS, this.#pauseMs * 2);
      this.#look();
      if (this.wait) this.#later();
    });
  }

  #look(): void {
    if (!this.wait || !this.#options.acknowledges()) return;
    const confirmed = this.#confirmed();
    const { world, machine } = this.#options;
    while (this.#waiting[0] !== undefined && this.#waiting[0].end <= confirmed)
      world.witness.acknowledged(machine(), this.#waiting.shift() as WalRecord);
  }

  /** Up to here enough standbys have flushed, bytes. */
  #confirmed(): number {
    const required = parseRequirement(this.names);
    if (required === null) return 0;
    if (required.count === 0) return Number.POSITIVE_INFINITY;
    const flushed = this.#options
      .followers()
      .filter(({ name }) => required.names.includes(name))
      .map((follower) => follower.confirmed())
      .sort((one, other) => other - one);
    return flushed[required.count - 1] ?? 0;
  }
}
