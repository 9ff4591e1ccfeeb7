/** A view of keys that stand as they stood is the last one again. */
import { describe, expect, it } from 'vitest';
import { keysOf } from '../../src/store/keys.ts';
import type { KeyValue } from '../../src/store/keyvalue.ts';
import { decodeView, KnownBefore } from '../../src/store/view.ts';

const keys = keysOf('service', 'demo');
const kv = (key: string, value: string, modRevision = 2): KeyValue => ({
  key,
  value,
  createRevision: 1,
  modRevision,
  leaseId: null,
});
const one = kv(`${keys.members}n1`, '{"state":"running","role":"primary"}');
const two = kv(`${keys.members}n2`, '{"state":"running","role":"replica"}');

describe('one view after the other', () => {
  it('is the same one when nothing has changed, at whatever revision', () => {
    const before = new KnownBefore();
    const first = decodeView(keys, 5, [one, two], null, before);
    expect(decodeView(keys, 5, [{ ...one }, { ...two }], null, before)).toBe(first);
    const later = decodeView(keys, 6, [{ ...one }, { ...two }], null, before);
    expect(later).toEqual({ ...first, revision: 6 });
    expect(later.members).toBe(first.members);
  });

  it('shows what has changed, and keeps the members that have not', () => {
    const before = new KnownBefore();
    const first = decodeView(keys, 5, [one, two], null, before);
    const changed = kv(two.key, '{"state":"stopped","role":"replica"}', 6);
    const later = decodeView(keys, 6, [one, changed], null, before);
    expect(later.members.map(({ state }) => state)).toEqual(['running', 'stopped']);
    expect(later.members[0]).toBe(first.members[0]);
    expect(decodeView(keys, 7, [one], null, before).members.map(({ name }) => name)).toEqual([
      'n1',
    ]);
  });

  it('tells that the store went back, and no longer than that', () => {
    const before = new KnownBefore();
    decodeView(keys, 5, [one], null, before);
    expect(decodeView(keys, 5, [one], 'went back', before).problems).toEqual(['went back']);
    expect(decodeView(keys, 5, [one], null, before).problems).toEqual([]);
  });
});
