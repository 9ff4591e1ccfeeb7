/** Physical replication slots for the members (contract 2.7, 5.16). */
import type { Step } from './model.ts';
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
  const advance: Record<string, number> = {};
  if (sql.inRecovery) {
    for (const name of wanted) {
      const slot = present.get(name);
      const target = Math.min(cluster.status.slots[name] ?? 0, sql.replayLsn ?? 0);
      if (
        slot !== undefined &&
        !slot.active &&
        slot.restartLsn !== null &&
        target > slot.restartLsn
      ) {
        advance[name] = target;
      }
    }
  }
  if (create.length === 0 && drop.length === 0 && Object.keys(advance).length === 0) return null;
  return { do: 'slots', create, drop, advance };
}

/** `/status.slots`: every member slot with the position up to which its WAL may go (contract 2.3). */
export function publishedSlots(situation: Situation): Readonly<Record<string, number>> {
  const { seen, sql } = situation;
  if (sql === null || !seen.settings.useSlots) return {};
  const slots: Record<string, number> = {};
  for (const slot of sql.slots) {
    if (slot.type === 'physical' && slot.restartLsn !== null) slots[slot.name] = slot.restartLsn;
  }
  if (sql.currentLsn !== null) slots[slotName(seen.name)] = sql.currentLsn;
  return slots;
}
