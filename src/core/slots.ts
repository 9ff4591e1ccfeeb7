/** Physical replication slots for the members (contract 2.7, 5.16). */
import type { Observation, PostgresFacts, SqlFacts, Step } from './model.ts';
import type { Situation } from './rules.ts';

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
 * so that a new leader's replicas find theirs; on a standby they follow the positions that the
 * leader published, or they would hold WAL for ever. Slots that belong to nobody known are left
 * alone: they may be a user's. A member key without a lease was put by hand: nobody would ever use
 * its slot, and the WAL that it holds fills the disk.
 */
export function wantedSlots({ seen, cluster, sql }: Situation): (Step & { do: 'slots' }) | null {
  if (!seen.settings.useSlots || sql === null) return null;
  const own = slotName(seen.name);
  const wanted = new Set(
    cluster.members
      .filter((member) => member.name !== seen.name && member.leaseId !== null)
      .filter((member) => !member.tags.nostream)
      .map((member) => slotName(member.name)),
  );
  const present = new Map(sql.slots.map((slot) => [slot.name, slot]));
  const create = [...wanted].filter((name) => !present.has(name) && name !== own);
  const drop = sql.slots
    .filter((slot) => slot.type === 'physical' && !slot.active && slot.name === own)
    .map((slot) => slot.name);
  const advance = advances(sql, wanted, cluster.status.slots);
  if (create.length === 0 && drop.length === 0 && Object.keys(advance).length === 0) return null;
  return { do: 'slots', create, drop, advance };
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
