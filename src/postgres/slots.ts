/** Replication slots of the local server (C-2.8, 5.16). */
import { escapeLiteral } from 'pg';
import { formatLsn } from '../core/lsn.ts';
import { PostgresError } from './postgres.ts';
import type { Session } from './session.ts';

/** A member's slot: lower case, `-` and `.` as `_`, other characters as `u` and their code, 63 at most. */
export function slotName(member: string): string {
  return [...member.toLowerCase()]
    .map((character) => {
      if (/[a-z0-9_]/.test(character)) return character;
      if (character === '-' || character === '.') return '_';
      return `u${String(character.codePointAt(0)).padStart(4, '0')}`;
    })
    .join('')
    .slice(0, 63);
}

export interface SlotChange {
  readonly create: readonly string[];
  readonly drop: readonly string[];
  /** Bytes by slot name. */
  readonly advance: Readonly<Record<string, number>>;
}

/** For one change, ms. */
const TIMEOUT_MS = 2000;

/**
 * Creates, drops and advances physical slots, each for itself: one that fails keeps no other from
 * its turn. Slots in use are neither dropped nor advanced.
 * @throws PostgresError naming all that failed
 */
export async function changeSlots(session: Session, change: SlotChange): Promise<void> {
  const failures: string[] = [];
  const attempt = async (what: string, sql: string): Promise<void> => {
    try {
      await session.query(sql, TIMEOUT_MS);
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for (const name of change.create) {
    const slot = escapeLiteral(name);
    await attempt(
      `creating slot ${name}`,
      `SELECT pg_create_physical_replication_slot(${slot}, true)
         WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = ${slot})`,
    );
  }
  for (const name of change.drop) {
    await attempt(
      `dropping slot ${name}`,
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
         WHERE slot_name = ${escapeLiteral(name)} AND NOT active`,
    );
  }
  for (const [name, lsn] of Object.entries(change.advance)) {
    const target = `'${formatLsn(lsn)}'::pg_lsn`;
    // Not beyond what is here: the slot would keep nothing of what the member still needs (field D57).
    await attempt(
      `advancing slot ${name}`,
      `SELECT pg_replication_slot_advance(slot_name, ${target}) FROM pg_replication_slots
         WHERE slot_name = ${escapeLiteral(name)} AND slot_type = 'physical' AND NOT active
           AND restart_lsn < ${target}
           AND ${target} <= CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                 ELSE pg_current_wal_flush_lsn() END`,
    );
  }
  if (failures.length > 0) throw new PostgresError(failures.join('; '));
}
