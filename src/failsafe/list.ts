/**
 * Whom a leader has to ask: everybody whom `/failsafe` may name. What was last read may be older than
 * this node's own last write (rule S3), and a write without an answer may have taken effect: somebody
 * who is named and was not asked would race without having promised anything.
 */
import type { Clock } from '../clock.ts';

export type MemberUrls = Readonly<Record<string, string>>;

/** A write whose answer never came takes effect within this time or not at all, ms. */
const LATE_WRITE_MS = 30_000;

export class FailsafeList {
  readonly #clock: Clock;
  /** Oldest first. */
  #written: { readonly list: MemberUrls; readonly at: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Before the list is written. */
  writing(list: MemberUrls): void {
    const at = this.#clock.now();
    this.#written = [
      ...this.#written.filter((one) => at - one.at < LATE_WRITE_MS && !same(one.list, list)),
      { list, at },
    ];
  }

  /** @param read what stands there as it was last read; null: there was no list */
  whom(read: MemberUrls | null): MemberUrls | null {
    const now = this.#clock.now();
    const last = this.#written.at(-1);
    const recent = this.#written.filter((one) => one === last || now - one.at < LATE_WRITE_MS);
    const lists = [read ?? {}, ...recent.map(({ list }) => list)];
    const union: MemberUrls = Object.assign({}, ...lists);
    return Object.keys(union).length === 0 ? null : union;
  }
}

function same(one: MemberUrls, other: MemberUrls): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
