/** Decoders never throw; what is written is read back. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HistoryEntry } from '../../src/core/history.ts';
import {
  decodeFailover,
  decodeHistory,
  decodeStatus,
  encodeFailover,
  encodeHistory,
  encodeStatus,
} from '../../src/store/codecs.ts';
import { keysOf } from '../../src/store/keys.ts';
import type { KeyValue } from '../../src/store/keyvalue.ts';
import { decodeMember, decodeTags, encodeMember } from '../../src/store/members.ts';
import {
  decodeClaims,
  decodeHandover,
  decodeUnconfirmed,
  encodeClaims,
  encodeHandover,
  encodeUnconfirmed,
} from '../../src/store/ours.ts';
import { decodeView } from '../../src/store/view.ts';

const keys = keysOf('service', 'bench');
const ignore = (): void => undefined;

function kv(key: string, value: string): KeyValue {
  return { key, value, createRevision: 3, modRevision: 7, leaseId: null };
}

function viewOf(values: Map<string, string>): ReturnType<typeof decodeView> {
  return decodeView(
    keys,
    9,
    [...values].map(([key, value]) => kv(key, value)),
  );
}

describe('properties', () => {
  const names = [...Object.values(keys), `${keys.members}n1`, `${keys.members}a/b`, '/other'];
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString());
  const anything = fc.oneof(bytes, fc.json(), fc.string({ unit: 'grapheme' }));

  test('decoding never throws, whatever stands in any key', { timeout: 60_000 }, () => {
    const entry = fc.tuple(fc.constantFrom(...names), anything);
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        const view = viewOf(new Map(entries));
        expect(Object.isFrozen(view)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('nor for fields of any shape where others are expected', { timeout: 60_000 }, () => {
    const fieldNames = ['state', 'tags', 'tenure', 'xlog_location', 'optime', 'slots', 'leader'];
    const fields = fc.dictionary(
      fc.constantFrom(...fieldNames, 'member', 'quorum'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(fc.constantFrom(...names), fields, (key, value) => {
        viewOf(new Map([[key, JSON.stringify(value)]]));
      }),
      { numRuns: 2000 },
    );
  });

  test('nor for JSON that is deeper than a stack', { timeout: 60_000 }, () => {
    const deep = `${'[['.repeat(50_000)}${']]'.repeat(50_000)}`;
    for (const key of names) {
      for (const value of [deep, `{"state":${deep},"tags":${deep},"slots":${deep},"x":${deep}}`]) {
        viewOf(new Map([[key, value]]));
      }
    }
  });

  const lsn = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  const timeline = fc.integer({ min: 1, max: 0x7fff_ffff });

  test('status', () => {
    const slots = fc.dictionary(fc.string(), lsn);
    const status = fc.record({ optime: lsn, slots, retainSlots: fc.array(fc.string()) });
    fc.assert(
      fc.property(status, (value) => {
        const decoded = decodeStatus(encodeStatus(value), undefined, ignore, ignore);
        expect(JSON.stringify(decoded)).toBe(JSON.stringify(value));
      }),
    );
  });

  test('history', () => {
    const row = fc.record({
      timeline,
      switchLsn: lsn,
      reason: fc.string(),
    });
    const timed = fc.record({ at: fc.string() });
    const led = fc.record({ at: fc.string(), leader: fc.string() });
    const entry: fc.Arbitrary<HistoryEntry> = fc
      .tuple(row, fc.oneof(fc.constant({}), timed, led))
      .map(([base, more]) => ({ ...base, ...more }));
    fc.assert(
      fc.property(fc.array(entry), (value) => {
        expect(decodeHistory(encodeHistory(value), ignore)).toEqual(value);
      }),
    );
  });

  test('failover, claims, hand-over', () => {
    const name = fc.string({ minLength: 1 });
    const maybe = fc.option(name);
    const handover = fc.record({
      leader: name,
      floorLsn: fc.option(lsn),
      timeline: fc.option(timeline),
      candidate: maybe,
    });
    const claim = fc.tuple(timeline, name);
    fc.assert(
      fc.property(
        name,
        maybe,
        maybe,
        handover,
        fc.array(claim, { maxLength: 50 }),
        (leader, candidate, scheduledAt, marker, claims) => {
          const request = { leader, candidate, scheduledAt };
          expect(decodeFailover(kv('f', encodeFailover(request)), ignore)).toEqual({
            ...request,
            scheduledAt: scheduledAt,
            modRevision: 7,
          });
          expect(decodeHandover(kv('h', encodeHandover(marker)), ignore)).toEqual({
            ...marker,
            modRevision: 7,
          });
          expect(decodeClaims(kv('c', encodeClaims(claims)), ignore)?.claims).toEqual(claims);
          for (const [number] of claims) {
            const unconfirmed = { leader, timeline: number, lsn: number, count: number };
            const written = encodeUnconfirmed(unconfirmed);
            expect(decodeUnconfirmed(kv('u', written), ignore)).toEqual(unconfirmed);
          }
          expect(decodeUnconfirmed(kv('u', encodeUnconfirmed(null)), ignore)).toBeNull();
        },
      ),
    );
  });

  test('only the newest claims are kept', () => {
    const claims = Array.from({ length: 80 }, (_none, at): [number, string] => [at + 1, 'n1']);
    const decoded = decodeClaims(kv('c', encodeClaims(claims)), ignore);
    expect(decoded?.claims).toEqual(claims.slice(-50));
  });

  test('members', () => {
    const member = fc.record({
      connUrl: fc.option(fc.string()),
      apiUrl: fc.option(fc.string()),
      state: fc.string(),
      role: fc.string().filter((role) => role !== 'master'),
      version: fc.option(fc.string()),
      checkpointAfterPromote: fc.boolean(),
      tags: fc.dictionary(fc.string(), fc.string()).map((raw) => decodeTags(raw)),
      pendingRestart: fc.boolean(),
      pendingRestartReason: fc.constantFrom(null, { port: { old_value: '1', new_value: '?' } }),
      scheduledRestart: fc.constantFrom(null, { schedule: '2026-12-01T03:00:00+00:00' }),
      position: fc.option(lsn),
      replayLsn: fc.option(lsn),
      receiveLsn: fc.option(lsn),
      replicationState: fc.option(fc.string()),
      timeline: fc.option(timeline),
      pause: fc.boolean(),
      tenure: fc.option(fc.record({ version: fc.string(), incarnation: fc.option(fc.string()) })),
    });
    fc.assert(
      fc.property(member, (value) => {
        const decoded = decodeMember(encodeMember(value), ignore);
        expect(JSON.stringify(decoded)).toBe(JSON.stringify(value));
      }),
    );
  });
});
