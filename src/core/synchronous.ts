/**
 * The leader's part of synchronous replication (contract 5.15; rules S2, S5; field D36, D37, D40,
 * D43): which standbys have to confirm, and the one next safe step towards it. The arithmetic is in
 * guarantee.ts.
 *
 * A standby that is gone or stalled is replaced at once when another streams. The set is emptied
 * only when nobody is left who may come back soon, and in strict mode never.
 */
import type { SyncContent } from './cluster.ts';
import {
  formatRequirement,
  type GuaranteeStep,
  includesName,
  inherited,
  NO_PROMISE,
  NO_REQUIREMENT,
  NOBODY,
  nextStep,
  type Promised,
  parseRequirement,
  type Requirement,
  requirementOf,
  sameNames,
  sameRequirement,
  union,
  without,
} from './guarantee.ts';
import type { Decision, Member, SqlFacts, Step, WalSenderFacts } from './model.ts';
import { decision, type Rule, runsAsPrimary, type Situation } from './rules.ts';
import { slotName } from './slots.ts';
import { isStalled } from './streaming.ts';
import { upkeep } from './upkeep.ts';

/** From look to look while standbys have to be watched: PostgreSQL has no event for their end (F1), ms. */
export const WATCH_MS = 250;
/** While a change is on its way and commits may wait for it, ms: after a step of ours, for a standby. */
const SOON_MS = 10;
const WAITING_MS = 50;
/** A connection whose standby has confirmed nothing for so long keeps the standby from coming back, ms. */
const DEAD_SENDER_MS = 5000;

export const synchronizing: readonly Rule[] = [
  { id: 'sync.end-sender', when: leads(endSender) },
  { id: 'sync.write', when: leads((s) => decided(s, 'writeSync')) },
  { id: 'sync.names', when: leads((s) => decided(s, 'setSynchronousNames')) },
];

function leads(rule: (s: Situation, sql: SqlFacts) => Decision | null): Rule['when'] {
  return (s) =>
    s.ours && s.mayWrite && runsAsPrimary(s) && s.sql !== null ? rule(s, s.sql) : null;
}

interface Next {
  readonly why: string;
  readonly step: Step | null;
}

function decided(s: Situation, kind: Step['do']): Decision | null {
  const next = s.sql === null ? null : synchronize(s, s.sql);
  if (next === null || next.step?.do !== kind) return null;
  const rule = kind === 'writeSync' ? 'sync.write' : 'sync.names';
  // A step that fails again and again must not keep the rest from being done.
  return decision(s.seen, rule, next.why, [...upkeep(s), next.step], SOON_MS);
}

/** What the leader waits for before synchronous replication is as configured; null: nothing. */
export function waitsFor(s: Situation): string | null {
  if (s.seen.settings.synchronousMode === 'off' || s.sql === null) return null;
  const next = synchronize(s, s.sql);
  return next?.step === null ? next.why : null;
}

/** How long a leader may look away, ms. `waiting`: see {@link waitsFor}. */
export function watchMs({ seen }: Situation, waiting: string | null = null): number {
  const { synchronousMode, loopWaitMs } = seen.settings;
  if (synchronousMode === 'off') return loopWaitMs;
  return Math.min(loopWaitMs, waiting === null ? WATCH_MS : WAITING_MS);
}

function synchronize(s: Situation, sql: SqlFacts): Next | null {
  const { seen, cluster } = s;
  const { sync } = cluster;
  if (seen.settings.synchronousMode === 'off') return switchedOff(s, sql);
  if (sync === null || sync.unreadable === true || !isOwn(sync, seen.name))
    return write(s, { leader: seen.name, standbys: [], quorum: 0 }, 'promising for this leader');
  const wanted = wantedGuarantee(s, sql);
  const promised = { voters: sync.standbys, quorum: sync.quorum };
  const required = parseRequirement(sql.synchronousStandbyNames);
  const { inForce } = seen.memory.streaming;
  const state = { promised, required, inForce: inForce !== null, holders: holders(s, sql) };
  const next = carriedOut(s, nextStep(state, wanted), wanted.why);
  if (next?.step?.do !== 'setSynchronousNames' || !seen.memory.streaming.syncUnsettled) return next;
  // It would take effect on a revision that is gone then.
  const { leader, standbys, quorum } = sync;
  return write(s, { leader, standbys, quorum }, 'what became of an earlier write is not known');
}

function carriedOut(s: Situation, next: GuaranteeStep, why: string): Next | null {
  switch (next.do) {
    case 'nothing':
      return null;
    case 'wait':
      return {
        why: `waiting for ${next.for.join(', ')} to hold what was acknowledged`,
        step: null,
      };
    case 'promise': {
      const { voters, quorum } = next.next;
      return write(s, { leader: s.seen.name, standbys: union(voters), quorum }, why);
    }
    case 'require':
      return names(formatted(s, next.next), why);
  }
}

function formatted({ seen }: Situation, required: Requirement): string {
  return formatRequirement(required, seen.settings.synchronousMode === 'quorum');
}

function write({ cluster }: Situation, content: SyncContent | null, why: string): Next {
  const text =
    content === null
      ? 'removing /sync'
      : `/sync: ${content.standbys.join(', ') || 'nobody'}${content.quorum > 0 ? `, quorum ${content.quorum}` : ''}`;
  const modRevision = cluster.sync?.modRevision ?? 0;
  return { why: `${text}: ${why}`, step: { do: 'writeSync', content, modRevision } };
}

function names(text: string, why: string): Next {
  return {
    why: `synchronous_standby_names = '${text}': ${why}`,
    step: { do: 'setSynchronousNames', names: text },
  };
}

/** The promise is withdrawn before what keeps it; then the user's own setting applies (contract 5.15). */
function switchedOff(s: Situation, sql: SqlFacts): Next | null {
  if (s.cluster.sync !== null) return write(s, null, 'synchronous_mode is off');
  const { userSynchronousStandbyNames: own } = s.seen.settings;
  const { inForce } = s.seen.memory.streaming;
  // Once: an ALTER SYSTEM may stand above it.
  if (sql.synchronousStandbyNames === own || inForce?.ofUser === true) return null;
  return {
    why: `synchronous_standby_names = '${own}': synchronous_mode is off`,
    step: { do: 'setSynchronousNames', names: null },
  };
}

function isOwn({ leader }: SyncContent, name: string): boolean {
  return leader !== null && includesName([leader], name);
}

/** Standbys that have flushed all that was acknowledged before the present names came into force. */
function holders(s: Situation, sql: SqlFacts): readonly string[] {
  const { inForce } = s.seen.memory.streaming;
  if (inForce === null) return [];
  return s.cluster.members
    .filter((member) => (senderOf(s, sql, member)?.flushLsn ?? -1) >= inForce.lsn)
    .map(({ name }) => name);
}

/** The one connection of a member that counts: streaming, on the member's own slot. */
function senderOf(s: Situation, sql: SqlFacts, member: Member): WalSenderFacts | null {
  const found = sendersOf(sql, member.name).filter(({ state }) => state === 'streaming');
  if (!s.seen.settings.useSlots) return found.length === 1 ? (found[0] ?? null) : null;
  return found.find((sender) => sender.slotName === slotName(member.name)) ?? null;
}

/** pg_basebackup confirms nothing, so it is none of them. */
function sendersOf(sql: SqlFacts, name: string): readonly WalSenderFacts[] {
  return sql.walSenders.filter(
    (sender) => sender.flushLsn !== null && includesName([sender.applicationName], name),
  );
}

function mayConfirm(s: Situation, member: Member): boolean {
  const { tags, name, leaseId } = member;
  if (name === s.seen.name || leaseId === null || tags.nostream) return false;
  return !tags.nosync && tags.syncPriority > 0;
}

/** Standbys that can confirm now, best first (contract 5.15). */
function confirming(s: Situation, sql: SqlFacts): readonly Member[] {
  const { seen, cluster } = s;
  const named = cluster.sync?.standbys ?? [];
  const flushed = (member: Member): number => senderOf(s, sql, member)?.flushLsn ?? 0;
  const bound = seen.settings.maximumLagOnSyncnode;
  const yes = (one: boolean): number => (one ? 1 : 0);
  return cluster.members
    .filter((member) => mayConfirm(s, member) && member.state === 'running')
    .filter((member) => senderOf(s, sql, member) !== null)
    .filter(({ name }) => !isStalled(seen.memory.streaming, name, seen.now))
    .filter((member) => bound <= 0 || (sql.currentLsn ?? 0) - flushed(member) <= bound)
    .sort(
      (a, b) =>
        yes(a.tags.nofailover) - yes(b.tags.nofailover) ||
        b.tags.syncPriority - a.tags.syncPriority ||
        yes(includesName(named, b.name)) - yes(includesName(named, a.name)) ||
        flushed(b) - flushed(a) ||
        (a.name < b.name ? -1 : 1),
    );
}

/** Alive, and not away for long: nobody is given up who may confirm again in a moment. */
function comingBack(s: Situation): readonly Member[] {
  const { seen, cluster } = s;
  const { streaming } = seen.memory;
  return cluster.members.filter((member) => {
    if (!mayConfirm(s, member) || member.state === 'stopped') return false;
    const last = streaming.standbys[member.name.toLowerCase()]?.streamingAt;
    return (
      seen.now - Math.max(last ?? 0, streaming.primarySince ?? seen.now) < seen.settings.ttlMs / 2
    );
  });
}

interface Wanted {
  readonly promised: Promised;
  readonly required: Requirement;
  readonly why: string;
}

function wantedGuarantee(s: Situation, sql: SqlFacts): Wanted {
  const { settings } = s.seen;
  const able = confirming(s, sql).map(({ name }) => name);
  if (able.length === 0) return withNobody(s, sql);
  if (settings.synchronousMode !== 'quorum') {
    const voters = able.slice(0, settings.synchronousNodeCount);
    return guarantee({ voters, quorum: 0 }, s);
  }
  // Whoever is away for a moment stays as long as nobody waits for it.
  const absent = comingBack(s).filter(({ name }) =>
    includesName(s.cluster.sync?.standbys ?? [], name),
  );
  const patient = union(
    able,
    absent.map(({ name }) => name),
  );
  const enough = able.length >= Math.min(settings.synchronousNodeCount, patient.length);
  const voters = enough ? patient : able;
  const count = Math.min(settings.synchronousNodeCount, voters.length);
  return guarantee({ voters, quorum: voters.length - count }, s);
}

function guarantee(promised: Promised, { cluster }: Situation): Wanted {
  const before = cluster.sync?.standbys ?? [];
  const came = without(promised.voters, before);
  const went = without(before, promised.voters);
  const say = (verb: string, list: readonly string[]): readonly string[] =>
    list.length === 0 ? [] : [`${list.join(', ')} ${verb}`];
  const why = [...say('can confirm', came), ...say('no longer', went)].join(', ');
  return { promised, required: requirementOf(promised), why: why || 'as configured' };
}

function withNobody(s: Situation, sql: SqlFacts): Wanted {
  const { seen, cluster } = s;
  const { synchronousModeStrict: strict } = seen.settings;
  const kept = { voters: cluster.sync?.standbys ?? [], quorum: cluster.sync?.quorum ?? 0 };
  const soon = comingBack(s).map(({ name }) => name);
  const why = strict
    ? 'no standby can confirm, and synchronous_mode_strict is on'
    : `no standby can confirm${soon.length > 0 ? `, ${soon.join(', ')} may come back` : ''}`;
  if (kept.voters.length > 0 && (strict || soon.length > 0))
    return { promised: kept, required: requirementOf(kept), why };
  if (strict) return { promised: NO_PROMISE, required: NOBODY, why };
  const held =
    soon.length > 0 && sameRequirement(parseRequirement(sql.synchronousStandbyNames), NOBODY);
  return { promised: NO_PROMISE, required: held ? NOBODY : NO_REQUIREMENT, why };
}

/**
 * One connection counts per name: with two of one name one standby would confirm for two. And one
 * that is stalled, or half open, keeps the member's slot from its next connection (protocol S5).
 */
function endSender(s: Situation, sql: SqlFacts): Decision | null {
  const { seen, cluster } = s;
  if (seen.settings.synchronousMode === 'off') return null;
  for (const { name } of cluster.members) {
    const found = [...sendersOf(sql, name)].sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1));
    const strange = found.find(({ slotName: slot }) => slot !== slotName(name));
    const progress = seen.memory.streaming.standbys[name.toLowerCase()];
    const stalled =
      isStalled(seen.memory.streaming, name, seen.now) &&
      progress !== undefined &&
      seen.now - progress.movedAt >= DEAD_SENDER_MS;
    const one =
      found.length > 1
        ? ((seen.settings.useSlots ? strange : null) ?? found[0])
        : stalled
          ? found[0]
          : undefined;
    if (one === undefined) continue;
    const what = found.length > 1 ? 'there are two of this name' : 'it confirms nothing';
    return decision(
      seen,
      'sync.end-sender',
      `ending the connection of ${name} (process ${one.pid}): ${what}`,
      [{ do: 'endSender', pid: one.pid, startedAt: one.startedAt }],
      SOON_MS,
    );
  }
  return null;
}

/**
 * Before a promotion: this node takes the old leader's place in `/sync`, and PostgreSQL requires
 * what that promises before it takes its first write (contract 5.15, prepromote; field D40).
 */
export function beforePromotion({ seen, cluster, sql }: Situation): readonly Step[] {
  const { settings, name } = seen;
  const { sync } = cluster;
  if (settings.synchronousMode === 'off') return [];
  const promised =
    sync === null || sync.unreadable
      ? NO_PROMISE
      : inherited({ ...sync, voters: sync.standbys }, name);
  const same =
    sync !== null &&
    isOwn(sync, name) &&
    sync.quorum === promised.quorum &&
    sameNames(sync.standbys, promised.voters);
  const content = { leader: name, standbys: union(promised.voters), quorum: promised.quorum };
  const others = cluster.members.some(
    (member) =>
      member.name !== name &&
      member.leaseId !== null &&
      !member.tags.nosync &&
      !member.tags.nostream,
  );
  const nobody = settings.synchronousModeStrict || others ? NOBODY : NO_REQUIREMENT;
  const required = promised.voters.length > 0 ? requirementOf(promised) : nobody;
  const text = formatRequirement(required, settings.synchronousMode === 'quorum');
  return [
    ...(same ? [] : [{ do: 'writeSync', content, modRevision: sync?.modRevision ?? 0 } as const]),
    ...(sql?.synchronousStandbyNames === text
      ? []
      : [{ do: 'setSynchronousNames', names: text } as const]),
  ];
}
