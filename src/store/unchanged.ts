/** What keys meant when they were last read: what stands there as it stood is not read again. */
import { deepFreeze } from './json.ts';
import type { KeyValue } from './keyvalue.ts';
import type { Report } from './problems.ts';

type Decode<T> = (kv: KeyValue, report: Report) => T;

export class Unchanged<T> {
  #known = new Map<string, { readonly kv: KeyValue; readonly meaning: T }>();

  /** The same for a key that there is once, or not. */
  readOne(kv: KeyValue | undefined, report: Report, decode: Decode<T>): T | undefined {
    return this.read(kv === undefined ? [] : [kv], () => report, decode)[0];
  }

  /** The meaning of each key, frozen. Keys that are not among them are forgotten. */
  read(kvs: readonly KeyValue[], about: (key: string) => Report, decode: Decode<T>): readonly T[] {
    const known = this.#known;
    this.#known = new Map();
    return kvs.map((kv) => {
      const before = known.get(kv.key);
      if (before !== undefined && same(before.kv, kv)) {
        this.#known.set(kv.key, before);
        return before.meaning;
      }
      let understood = true;
      const meaning = deepFreeze(
        decode(kv, (found, allowed) => {
          understood = false;
          about(kv.key)(found, allowed);
        }),
      );
      // A problem is reported with every view that has it.
      if (understood) this.#known.set(kv.key, { kv, meaning });
      return meaning;
    });
  }
}

/** Every one stands as it stood, in the same order. */
export function sameKeys(one: readonly KeyValue[], other: readonly KeyValue[]): boolean {
  return (
    one.length === other.length &&
    one.every((kv, index) => {
      const theirs = other[index];
      return theirs !== undefined && kv.key === theirs.key && same(kv, theirs);
    })
  );
}

function same(one: KeyValue, other: KeyValue): boolean {
  return (
    one.modRevision === other.modRevision &&
    one.leaseId === other.leaseId &&
    one.createRevision === other.createRevision &&
    one.value === other.value
  );
}
