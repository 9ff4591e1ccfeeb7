/**
 * Values of the keys that Patroni knows, except members (contract 2.3). Readers tolerate what
 * Patroni tolerates; writers write its very bytes. No decoder throws.
 */
import type { HistoryEntry } from '../core/history.ts';
import type {
  ClusterView,
  FailoverRequest,
  Initialize,
  StatusKey,
  SyncContent,
} from '../core/model.ts';
import {
  compactJson,
  described,
  isObject,
  isPosition,
  isTimeline,
  parseJson,
  positionOf,
  wholeNumber,
} from './json.ts';
import type { KeyValue } from './keyvalue.ts';
import type { Report } from './problems.ts';

/** Content of `failover` when nothing is asked for; the key is never deleted. */
export const NO_FAILOVER = '{}';

export function decodeInitialize(
  kv: KeyValue | undefined,
  owner: string | null,
  report: Report,
): Initialize {
  if (!kv) return { kind: 'absent' };
  const { value, modRevision } = kv;
  if (value === '') return { kind: 'bootstrapping', modRevision, owner };
  if (/^\d{10,20}$/.test(value)) {
    return { kind: 'initialized', systemIdentifier: value, modRevision };
  }
  report(value, 'a system identifier (10 digits or more), or nothing during a bootstrap');
  return { kind: 'garbage', text: value, modRevision };
}

export function decodeConfig(kv: KeyValue | undefined, report: Report): ClusterView['config'] {
  if (!kv) return { kind: 'absent' };
  const values = parseJson(kv.value);
  if (isObject(values)) return { kind: 'valid', values, modRevision: kv.modRevision };
  report(kv.value, 'a JSON object');
  return { kind: 'garbage', text: kv.value, modRevision: kv.modRevision };
}

export interface StatusContent {
  readonly optime: number;
  readonly slots: Readonly<Record<string, number>>;
  readonly retainSlots: readonly string[];
}

/** Empty parts are left out. */
export function encodeStatus(status: StatusContent): string {
  return compactJson({
    optime: status.optime,
    slots: Object.keys(status.slots).length > 0 ? status.slots : undefined,
    retain_slots: status.retainSlots.length > 0 ? status.retainSlots : undefined,
  });
}

/** A bare number, an object, parts of it as JSON text; else the legacy `optime/leader`. */
export function decodeStatus(
  status: string | undefined,
  optime: string | undefined,
  report: Report,
  reportOptime: Report,
): StatusKey {
  const legacy = (): number | null => {
    const position = positionOf(optime);
    if (position === null && optime !== undefined) reportOptime(optime, 'a position in bytes');
    return position;
  };
  if (status === undefined) return { optime: legacy(), slots: {}, retainSlots: [] };
  const parsed = parseJson(status);
  if (isPosition(parsed)) return { optime: parsed, slots: {}, retainSlots: [] };
  if (!isObject(parsed)) {
    report(status, 'a JSON object or a position in bytes');
    return { optime: legacy(), slots: {}, retainSlots: [] };
  }
  const position = positionOf(parsed.optime);
  if (position === null && parsed.optime !== undefined) report(status, 'optime: bytes');
  return {
    optime: position ?? legacy(),
    slots: decodeSlots(unwrapped(parsed.slots), report),
    retainSlots: decodeNames(unwrapped(parsed.retain_slots), report),
  };
}

function unwrapped(value: unknown): unknown {
  return typeof value === 'string' ? (parseJson(value) ?? value) : value;
}

function decodeSlots(value: unknown, report: Report): Readonly<Record<string, number>> {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) {
    report(described(value), 'slots: an object of positions');
    return {};
  }
  const slots: [string, number][] = [];
  for (const [name, found] of Object.entries(value)) {
    const position = positionOf(found);
    if (position !== null) slots.push([name, position]);
    else report(`${name} ${described(found)}`, 'slots: positions in bytes');
  }
  return Object.fromEntries(slots);
}

function decodeNames(value: unknown, report: Report): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
  report(described(value), 'retain_slots: a list of names');
  return [];
}

export function encodeHistory(history: readonly HistoryEntry[]): string {
  return compactJson(
    history.map(({ timeline, switchLsn, reason, at, leader }) => {
      if (at === undefined) return [timeline, switchLsn, reason];
      return leader === undefined
        ? [timeline, switchLsn, reason, at]
        : [timeline, switchLsn, reason, at, leader];
    }),
  );
}

/** Null when the key is absent or any of its rows cannot be read: half a history misleads. */
export function decodeHistory(
  text: string | undefined,
  report: Report,
): readonly HistoryEntry[] | null {
  if (text === undefined) return null;
  const rows = parseJson(text);
  const entries = Array.isArray(rows) ? rows.map(decodeHistoryRow) : [null];
  const good = entries.filter((entry) => entry !== null);
  if (good.length === entries.length) return good;
  report(text, 'a JSON list of [timeline, position, reason, time, leader]');
  return null;
}

function decodeHistoryRow(row: unknown): HistoryEntry | null {
  if (!Array.isArray(row)) return null;
  const [timeline, switchLsn, reason, at, leader]: readonly unknown[] = row;
  if (!isTimeline(timeline) || !isPosition(switchLsn)) return null;
  return {
    timeline,
    switchLsn,
    reason: typeof reason === 'string' ? reason : '',
    ...(typeof at === 'string' ? { at } : {}),
    ...(typeof at === 'string' && typeof leader === 'string' ? { leader } : {}),
  };
}

export function encodeFailover(request: Omit<FailoverRequest, 'modRevision'>): string {
  return compactJson({
    leader: request.leader ?? undefined,
    member: request.candidate ?? undefined,
    scheduled_at: request.scheduledAt ?? undefined,
  });
}

/** Null when nothing is asked for. */
export function decodeFailover(kv: KeyValue | undefined, report: Report): FailoverRequest | null {
  if (!kv || kv.value === '' || kv.value === NO_FAILOVER) return null;
  const parsed = parseJson(kv.value);
  const fields = isObject(parsed) ? parsed : legacyFailover(parsed === undefined ? kv.value : '');
  const name = (value: unknown): string | null =>
    typeof value === 'string' && value !== '' ? value : null;
  const leader = name(fields.leader);
  const candidate = name(fields.member);
  if (leader === null && candidate === null) {
    if (Object.keys(fields).length > 0 || !isObject(parsed)) {
      report(kv.value, '{"leader","member","scheduled_at"} with a leader or a member, or {}');
    }
    return null;
  }
  return { leader, candidate, scheduledAt: name(fields.scheduled_at), modRevision: kv.modRevision };
}

/** `leader:candidate`, either of which may be missing. */
function legacyFailover(text: string): Readonly<Record<string, unknown>> {
  const legacy = /^\s*([^:\s{}[\]",]*)\s*(?::\s*([^:\s{}[\]",]*)\s*)?$/.exec(text);
  return legacy ? { leader: legacy[1], member: legacy[2] } : {};
}

/** Names sorted, as Patroni writes them. */
export function encodeSync({ leader, standbys, quorum }: SyncContent): string {
  const names = [...standbys].sort().join(',');
  return compactJson({ leader, quorum, sync_standby: names === '' ? null : names });
}

/**
 * Null only when the key is absent. One that cannot be read promises nothing that is known, which is
 * another thing than promising nothing (rule S4).
 */
export function decodeSync(kv: KeyValue | undefined, report: Report): ClusterView['sync'] {
  if (!kv) return null;
  const nobody = { leader: null, standbys: [], quorum: 0, modRevision: kv.modRevision };
  const unreadable = { ...nobody, unreadable: true } as const;
  const parsed = kv.value === '' ? {} : parseJson(kv.value);
  if (!isObject(parsed)) {
    report(kv.value, '{"leader","quorum","sync_standby"}');
    return unreadable;
  }
  const { leader, quorum, sync_standby: standbys } = parsed;
  const texts = [leader, standbys].every((value) => value == null || typeof value === 'string');
  const count = quorum == null ? 0 : wholeNumber(quorum);
  if (!texts || count === null) {
    report(kv.value, 'leader and sync_standby: names; quorum: a number');
    return unreadable;
  }
  return {
    leader: typeof leader === 'string' && leader !== '' ? leader : null,
    standbys:
      typeof standbys === 'string'
        ? standbys
            .split(',')
            .map((name) => name.trim())
            .filter(Boolean)
        : [],
    quorum: count,
    modRevision: kv.modRevision,
  };
}

/** Null when the key is absent or cannot be read: a list that leaves somebody out misleads. */
export function decodeFailsafe(text: string | undefined, report: Report): ClusterView['failsafe'] {
  if (text === undefined || text === '') return null;
  const parsed = parseJson(text);
  const entries = isObject(parsed) ? Object.entries(parsed) : null;
  const good = entries?.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  if (entries !== null && good?.length === entries.length) return Object.fromEntries(good);
  report(text, 'a JSON object of api_url by member name');
  return null;
}
