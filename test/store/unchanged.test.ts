/** What stands in the store as it stood is not read again; what cannot be understood is told again. */
import { describe, expect, it } from 'vitest';
import type { KeyValue } from '../../src/store/keyvalue.ts';
import { Unchanged } from '../../src/store/unchanged.ts';

const KEY: KeyValue = {
  key: '/a',
  value: 'one',
  createRevision: 1,
  modRevision: 2,
  leaseId: '7',
};

interface Meaning {
  readonly text: string;
}

function reader(): { read(...kvs: KeyValue[]): readonly Meaning[]; decoded: number; told: number } {
  const unchanged = new Unchanged<Meaning>();
  const counts = { decoded: 0, told: 0 };
  const about = () => (): void => {
    counts.told += 1;
  };
  return Object.assign(counts, {
    read: (...kvs: KeyValue[]): readonly Meaning[] =>
      unchanged.read(kvs, about, ({ value }, report) => {
        counts.decoded += 1;
        if (value === 'garbage') report(value, 'anything else');
        return { text: value };
      }),
  });
}

describe('keys that stand as they stood', () => {
  it('mean the same, and are not decoded again', () => {
    const reads = reader();
    const [first] = reads.read(KEY);
    const [again] = reads.read({ ...KEY });
    expect(again).toBe(first);
    expect(reads.decoded).toBe(1);
    expect(Object.isFrozen(first)).toBe(true);
  });

  it.each([{ value: 'two' }, { modRevision: 3 }, { createRevision: 2 }, { leaseId: null }])(
    'are decoded again once something is different: %j',
    (change) => {
      const reads = reader();
      reads.read(KEY);
      expect(reads.read({ ...KEY, ...change })).toEqual([{ text: change.value ?? 'one' }]);
      expect(reads.decoded).toBe(2);
    },
  );

  it('are forgotten when they are gone', () => {
    const reads = reader();
    reads.read(KEY);
    reads.read();
    reads.read(KEY);
    expect(reads.decoded).toBe(2);
  });

  it('are a problem in each view that has them', () => {
    const reads = reader();
    reads.read({ ...KEY, value: 'garbage' });
    reads.read({ ...KEY, value: 'garbage' });
    expect(reads.told).toBe(2);
  });
});
