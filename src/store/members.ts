/**
 * `members/<name>` (contract 2.5): what other agents and tools read of a member. Fields of others
 * that we do not know are ignored; the order of ours is the contract's.
 */
import type { MemberRecord, TenureRecord } from '../core/model.ts';
import type { Tags } from '../core/settings.ts';
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
import type { Report } from './problems.ts';

/** What we publish: the record and fields that only readers of the key itself care about. */
export type PublishedMember = MemberRecord & {
  /** Such as `proxy_url`, `scheduled_restart`; `tenure` is merged into our own object. */
  readonly extra?: Readonly<Record<string, unknown>>;
};

type Fields = Readonly<Record<string, unknown>>;

/** In the order of contract 2.5; `tenure` is ours. */
export function encodeMember(record: PublishedMember): string {
  const fields: Fields = {
    conn_url: record.connUrl ?? undefined,
    api_url: record.apiUrl ?? undefined,
    state: record.state,
    role: record.role,
    version: record.version ?? undefined,
    proxy_url: undefined,
    checkpoint_after_promote: record.checkpointAfterPromote ? undefined : false,
    tags: Object.keys(record.tags.raw).length > 0 ? record.tags.raw : undefined,
    pending_restart: record.pendingRestart ? true : undefined,
    pending_restart_reason: record.pendingRestartReason ?? undefined,
    xlog_location: record.position ?? undefined,
    replay_lsn: record.replayLsn ?? undefined,
    receive_lsn: record.receiveLsn ?? undefined,
    replication_state: record.replicationState ?? undefined,
    timeline: record.timeline ?? undefined,
    scheduled_restart: record.scheduledRestart ?? undefined,
    pause: record.pause ? true : undefined,
  };
  const { tenure: ourExtra, ...extra } = record.extra ?? {};
  const more = Object.entries(extra).filter(([name]) => fields[name] === undefined);
  const tenure = encodeTenure(record.tenure, ourExtra);
  return compactJson({ ...fields, ...Object.fromEntries(more), tenure });
}

function encodeTenure(tenure: TenureRecord | null, extra: unknown): Fields | undefined {
  if (tenure === null) return undefined;
  return {
    version: tenure.version,
    incarnation: tenure.incarnation ?? undefined,
    ...(isObject(extra) ? extra : {}),
  };
}

/** Never throws: what cannot be read is null and reported. */
export function decodeMember(text: string, report: Report): MemberRecord {
  const parsed = parseJson(text);
  if (isObject(parsed)) return decodeFields(parsed, report);
  const legacy = /^(postgres(?:ql)?:\/\/[^?]*)\?application_name=(.*)$/.exec(text);
  if (legacy) return decodeFields({ conn_url: legacy[1], api_url: unescaped(legacy[2]) }, report);
  report(text, 'a JSON object');
  return decodeFields({}, report);
}

function decodeFields(fields: Fields, report: Report): MemberRecord {
  const text = (name: string): string | null => {
    const value = fields[name];
    if (typeof value === 'string') return value;
    if (value !== undefined && value !== null) report(`${name} ${described(value)}`, 'a text');
    return null;
  };
  const position = (name: string): number | null => {
    const value = fields[name];
    if (isPosition(value)) return value;
    if (value !== undefined && value !== null) report(`${name} ${described(value)}`, POSITIONS);
    return null;
  };
  const { timeline } = fields;
  if (timeline !== undefined && timeline !== null && !isTimeline(timeline)) {
    report(`timeline ${described(timeline)}`, TIMELINES);
  }
  const role = text('role') ?? '';
  return {
    connUrl: text('conn_url'),
    apiUrl: text('api_url'),
    state: text('state') ?? '',
    role: role === 'master' ? 'primary' : role,
    version: text('version'),
    checkpointAfterPromote: fields.checkpoint_after_promote !== false,
    tags: decodeTags(fields.tags),
    pendingRestart: fields.pending_restart === true,
    pendingRestartReason: object(fields.pending_restart_reason),
    scheduledRestart: object(fields.scheduled_restart),
    position: position('xlog_location'),
    replayLsn: position('replay_lsn'),
    receiveLsn: position('receive_lsn'),
    replicationState: text('replication_state'),
    timeline: isTimeline(timeline) ? timeline : null,
    pause: fields.pause === true,
    tenure: decodeTenure(fields.tenure),
  };
}

function object(value: unknown): Fields | null {
  return isObject(value) && Object.keys(value).length > 0 ? value : null;
}

function decodeTenure(value: unknown): TenureRecord | null {
  if (!isObject(value) || typeof value.version !== 'string') return null;
  const incarnation = typeof value.incarnation === 'string' ? value.incarnation : null;
  return { version: value.version, incarnation };
}

/** Contract 5.12: a boolean wins over its priority; a priority of 0 or less means never. */
export function decodeTags(value: unknown): Tags {
  const raw = isObject(value) ? value : {};
  const known = priorityOf(raw.failover_priority);
  const syncPriority = priorityOf(raw.sync_priority);
  const nosync = flag(raw.nosync);
  const explicit = flag(raw.nofailover);
  return {
    nofailover: explicit ?? known <= 0,
    failoverPriority: explicit === false ? Math.max(1, known) : known,
    noloadbalance: flag(raw.noloadbalance) ?? false,
    clonefrom: flag(raw.clonefrom) ?? false,
    nostream: flag(raw.nostream) ?? false,
    nosync: nosync ?? syncPriority <= 0,
    syncPriority: nosync === false ? Math.max(1, syncPriority) : syncPriority,
    replicatefrom:
      typeof raw.replicatefrom === 'string' && raw.replicatefrom !== '' ? raw.replicatefrom : null,
    raw,
  };
}

/** 1 when it is not there or no number. */
function priorityOf(value: unknown): number {
  const priority = Number.parseInt(plain(value) || '1', 10);
  return Number.isSafeInteger(priority) ? priority : 1;
}

/** Null when it is not there or says neither yes nor no. */
function flag(value: unknown): boolean | null {
  const word = plain(value).toLowerCase();
  if (['true', 'on', 'yes', '1'].includes(word)) return true;
  if (['false', 'off', 'no', '0'].includes(word)) return false;
  return null;
}

/** Text of a plain value; foreign objects are not asked for theirs, which may throw. */
function plain(value: unknown): string {
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : '';
}

function unescaped(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return text;
  }
}
