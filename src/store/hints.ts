/**
 * Which changes are worth another look (rule F1). Positions change all the time and are read at the
 * loop's own pace; our own writes are no news.
 */
import { type Keys, memberName } from './keys.ts';
import type { Change } from './keyvalue.ts';

const POSITIONS = /,?\s*"(?:xlog_location|replay_lsn|receive_lsn)":\s*\d+/g;

export class Hints {
  readonly #keys: Keys;
  readonly #isOwn: (key: string, value: string | null) => boolean;
  /** Members as they last were, without their positions. */
  readonly #members = new Map<string, string>();

  constructor(keys: Keys, isOwn: (key: string, value: string | null) => boolean) {
    this.#keys = keys;
    this.#isOwn = isOwn;
  }

  /** Why to look again; null when there is no reason. */
  of(changes: readonly Change[]): string | null {
    const worth = changes.filter((change) => this.#isWorth(change));
    if (worth.length === 0) return null;
    const names = worth.map(({ key }) => key.slice(this.#keys.prefix.length));
    return `changed: ${[...new Set(names)].sort().join(', ')}`;
  }

  /** After a gap nothing is known about the members: the next change of each counts. */
  forget(): void {
    this.#members.clear();
  }

  #isWorth({ key, value }: Change): boolean {
    if (key === this.#keys.status || key === this.#keys.optime) return false;
    if (this.#isOwn(key, value)) return false;
    if (memberName(this.#keys, key) === null) return true;
    const before = this.#members.get(key);
    const after = value === null ? '' : withoutPositions(value);
    this.#members.set(key, after);
    return before !== after;
  }
}

/** Only to be compared: every position of every member comes by here, and is not parsed for it. */
function withoutPositions(value: string): string {
  return value.replace(POSITIONS, '');
}
