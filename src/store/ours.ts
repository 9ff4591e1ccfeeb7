/** Values of our own keys, below `tenure/` (design 4, rules S6 and F4). */
import type { Handover, TimelineClaims, Unconfirmed } from '../core/model.ts';
import {
  compactJson,
  described,
  isObject,
  isPosition,
  isTimeline,
  POSITIONS,
  parseJson,
  TIMELINES,
} from './json.ts';
import type { KeyValue } from './keyvalue.ts';
import type { Report } from './problems.ts';

export type Claim = readonly [timeline: number, member: string];

/** Claims only ever grow in number; the newest say all that a later claim has to be above. */
const KEPT_CLAIMS = 50;

/** `[[timeline,member],…]`, newest last. */
export function encodeClaims(claims: readonly Claim[]): string {
  return compactJson(claims.slice(-KEPT_CLAIMS));
}

/**
 * Null only when the key is absent. Rows that cannot be read are left out and reported; the
 * revision stays, so that a campaign can overwrite the key under its guard.
 */
export function decodeClaims(kv: KeyValue | undefined, report: Report): TimelineClaims | null {
  if (!kv) return null;
  const rows: unknown = parseJson(kv.value);
  const allowed = `a JSON list of [timeline, member] with ${TIMELINES}`;
  if (!Array.isArray(rows)) {
    report(kv.value, allowed);
    return { claims: [], modRevision: kv.modRevision };
  }
  // One absurd claim would be above all that can follow: the others still count.
  const wrong = rows.find((row) => !isClaim(row));
  if (wrong !== undefined) report(described(wrong), allowed);
  return { claims: rows.filter(isClaim), modRevision: kv.modRevision };
}

function isClaim(row: unknown): row is Claim {
  if (!Array.isArray(row)) return false;
  const [timeline, member]: readonly unknown[] = row;
  return isTimeline(timeline) && typeof member === 'string';
}

export function encodeHandover(handover: Omit<Handover, 'modRevision'>): string {
  return compactJson({
    leader: handover.leader,
    floor_lsn: handover.floorLsn ?? undefined,
    timeline: handover.timeline ?? undefined,
    candidate: handover.candidate ?? undefined,
  });
}

/**
 * Null only when the key is absent. One that cannot be read is a hand-over by nobody, with an
 * unknown floor: it vouches for nothing.
 */
export function decodeHandover(kv: KeyValue | undefined, report: Report): Handover | null {
  if (!kv) return null;
  const parsed = parseJson(kv.value);
  const fields = isObject(parsed) ? parsed : {};
  const { leader, floor_lsn: floorLsn, timeline, candidate } = fields;
  if (typeof leader !== 'string') {
    report(kv.value, '{"leader","floor_lsn","timeline","candidate"}');
  }
  if (floorLsn != null && !isPosition(floorLsn)) {
    report(`floor_lsn ${described(floorLsn)}`, POSITIONS);
  }
  if (timeline != null && !isTimeline(timeline)) {
    report(`timeline ${described(timeline)}`, TIMELINES);
  }
  return {
    leader: typeof leader === 'string' ? leader : '',
    floorLsn: isPosition(floorLsn) ? floorLsn : null,
    timeline: isTimeline(timeline) ? timeline : null,
    candidate: typeof candidate === 'string' ? candidate : null,
    modRevision: kv.modRevision,
  };
}

/** Null: there are none any more. */
export function encodeUnconfirmed(unconfirmed: Unconfirmed | null): string {
  return compactJson(unconfirmed ?? {});
}

/** Null also for a value that cannot be read: it is a report to people, and decides nothing. */
export function decodeUnconfirmed(kv: KeyValue | undefined, report: Report): Unconfirmed | null {
  if (!kv || kv.value === encodeUnconfirmed(null)) return null;
  const parsed = parseJson(kv.value);
  const { leader, timeline, lsn, count } = isObject(parsed) ? parsed : {};
  const counted = typeof count === 'number' && Number.isSafeInteger(count) && count > 0;
  if (typeof leader === 'string' && isTimeline(timeline) && isPosition(lsn) && counted)
    return { leader, timeline, lsn, count };
  report(kv.value, '{"leader","timeline","lsn","count"}');
  return null;
}
