/** Physical replication slots for the members (contract 2.7, 5.16). */
import type { Known } from './known.ts';
import type { ClusterView, Memory, Observation, PostgresFacts, SqlFacts, Step } from './model.ts';
import type { Situation } from './rules.ts';
import type { Settings } from './settings.ts';

/** Slot name of a member: PostgreSQL allows only [a-z0-9_], at most 63 of them (contract 2.7). */
export function slotName(member: string): string {
  if (/^[a-z0-9_]{1,63}$/.test(member)) return member;
  return Array.from(member.toLowerCase(), (character) => {
    if (/[a-z0-9_]/.test(character)) return character;
    if (character === '-' || character === '.') return '_';
    return `u${String(character.codePointAt(0) ?? 0).padStart(4, '0')}`;
  })
    .join('')
    .slice(0, 63);
}

/**
 * What is to be done about slots, null when nothing. Every node keeps one for every other member,
 * so that a new leader's replicas find theirs, and the permanent ones; on a standby they follow the
 * positions that the leader published, or they would hold WAL for ever. A member key without a lease
 * was put by hand: nobody would ever use its slot, and the WAL that it holds fills the disk.
 *
 * The slot of a member that went away is kept for member_slots_ttl. Slots that never were a member's
 * are left alone: they may be a user's. In pause none is dropped (contract 5.16).
 */
export function wantedSlots(s: Situation): (Step & { do: 'slots' }) | null {
  const { seen, cluster, sql } = s;
  if (!seen.settings.useSlots || sql === null) return null;
  const own = slotName(seen.name);
  const wanted = new Set(
    cluster.members
      .filter((member) => member.name !== seen.name && member.leaseId !== null)
      .filter((member) => !member.tags.nostream)
      .map((member) => slotName(member.name)),
  );
  // A member that never leads keeps no WAL for those who do not stream from it.
  if (!seen.settings.tags.nofailover)
    for (const name of seen.settings.permanentSlots) wanted.add(name);
  const present = new Map(sql.slots.map((slot) => [slot.name, slot]));
  const create = [...wanted].filter((name) => !present.has(name) && name !== own);
  const drop = seen.settings.paused ? [] : abandoned(seen, sql, wanted, own);
  // Also those that nobody wants any more: as long as the leader has them they would hold WAL here for ever.
  const physical = sql.slots.filter(({ type }) => type === 'physical').map(({ name }) => name);
  const advance = advances(sql, physical, cluster.status.slots);
  if (create.length === 0 && drop.length === 0 && Object.keys(advance).length === 0) return null;
  return { do: 'slots', create, drop, advance };
}

/** Inactive physical slots that nobody comes back for: our own, and those of members gone for too long. */
function abandoned(
  { settings, memory, now }: Observation,
  sql: SqlFacts,
  wanted: ReadonlySet<string>,
  own: string,
): string[] {
  return sql.slots
    .filter(({ type, active }) => type === 'physical' && !active)
    .filter(({ name }) => !wanted.has(name))
    .filter(({ name }) => {
      if (name === own) return !settings.permanentSlots.includes(name);
      const seenAt = memory.memberSlots[name];
      return seenAt !== undefined && now - seenAt >= settings.memberSlotsTtlMs;
    })
    .filter(({ name }) => !isIgnored(name, settings))
    .map(({ name }) => name);
}

/** A matcher that speaks of a database or a plugin means a logical slot (contract 5.16). */
function isIgnored(name: string, { ignoreSlots }: Settings): boolean {
  return ignoreSlots.some(
    (one) =>
      (one.name === null || one.name === name) &&
      (one.type === null || one.type === 'physical') &&
      !one.logicalOnly,
  );
}

/**
 * When each slot was last a member's: those in the store now, those that a former leader still kept.
 * While the store cannot be read nobody is known to be gone (S4).
 */
export function rememberSlots(
  before: Memory['memberSlots'],
  now: number,
  cluster: Known<ClusterView>,
): Memory['memberSlots'] {
  if (!cluster.known) return Object.fromEntries(Object.keys(before).map((name) => [name, now]));
  const { members, status } = cluster.value;
  const kept = status.retainSlots.filter((name) => before[name] === undefined);
  // A member that does not stream any more comes back for its slot no more than one that is gone.
  const present = members.filter(({ leaseId, tags }) => leaseId !== null && !tags.nostream);
  const names = [...kept, ...present.map(({ name }) => slotName(name))];
  return { ...before, ...Object.fromEntries(names.map((name) => [name, now])) };
}

/** `/status.retain_slots`: members' slots that are kept, also for members that are away (contract 2.3). */
export function retainedSlots({
  postgres,
  memory,
  settings,
  now,
}: Pick<Observation, 'postgres' | 'memory' | 'settings' | 'now'>): readonly string[] {
  if (!postgres.sql.known || !settings.useSlots) return [];
  return postgres.sql.value.slots
    .filter(({ type }) => type === 'physical')
    .map(({ name }) => name)
    .filter((name) => now - (memory.memberSlots[name] ?? -Infinity) < settings.memberSlotsTtlMs);
}

/** Where slots of a standby may move to, as the leader's are at `positions`. */
function advances(
  sql: SqlFacts,
  names: Iterable<string>,
  positions: Readonly<Record<string, number>>,
): Record<string, number> {
  const advance: Record<string, number> = {};
  if (!sql.inRecovery) return advance;
  const present = new Map(sql.slots.map((slot) => [slot.name, slot]));
  for (const name of names) {
    const slot = present.get(name);
    const target = Math.min(positions[name] ?? 0, sql.replayLsn ?? 0);
    if (slot === undefined || slot.active || slot.restartLsn === null) continue;
    if (target > slot.restartLsn) advance[name] = target;
  }
  return advance;
}

/**
 * The same without a view of the store, by what a leader in failsafe mode sends along (contract 5.4):
 * an outage must not fill the disk with WAL. Null: nothing to do.
 */
export function promisedSlots(seen: Observation): (Step & { do: 'slots' }) | null {
  const { promise, postgres, settings } = seen;
  if (promise === null || !settings.useSlots || !postgres.sql.known) return null;
  const { slots } = promise;
  const physical = postgres.sql.value.slots.filter(({ type }) => type === 'physical');
  const names = physical.map(({ name }) => name);
  const advance = advances(postgres.sql.value, names, slots);
  const nothing = Object.keys(advance).length === 0;
  return nothing ? null : { do: 'slots', create: [], drop: [], advance };
}

/** `/status.slots`: every member slot with the position up to which its WAL may go (contract 2.3). */
export function publishedSlots(
  seen: Pick<Observation, 'name' | 'settings'> & { readonly postgres: PostgresFacts | null },
): Readonly<Record<string, number>> {
  if (seen.postgres?.sql.known !== true || !seen.settings.useSlots) return {};
  const sql = seen.postgres.sql.value;
  const slots: Record<string, number> = {};
  for (const slot of sql.slots) {
    if (slot.type === 'physical' && slot.restartLsn !== null) slots[slot.name] = slot.restartLsn;
  }
  if (sql.currentLsn !== null) slots[slotName(seen.name)] = sql.currentLsn;
  return slots;
}
