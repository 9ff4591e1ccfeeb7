/** Permanent slots and slots to be left alone, as `/config` has them (contract 5.16, 6.3). */
import * as z from 'zod';
import type { SlotMatcher } from '../core/settings.ts';
import { isTree, type Tree } from './merge.ts';

const NAME = /^[a-z0-9_]{1,63}$/;
const KEYS = ['permanent_replication_slots', 'permanent_slots', 'slots'] as const;

/** `{name: {type: physical}}`, or a name with anything that is no map. */
export function slotMap() {
  const allowed = 'a map from slot name ([a-z0-9_], at most 63) to {type: physical}';
  return z
    .record(z.string().regex(NAME, { error: allowed }), z.unknown(), { error: allowed })
    .meta({ allowed });
}

/** `[{name: a}, {type: logical, plugin: b}]`. */
export function slotMatchers() {
  const allowed = 'a list of maps with name, type, database or plugin';
  const word = z.union([z.string(), z.number()], { error: allowed }).optional();
  const matcher = z.looseObject(
    { name: word, type: word, database: word, plugin: word },
    { error: allowed },
  );
  return z.array(matcher, { error: allowed }).meta({ allowed });
}

type Maps = { readonly [K in (typeof KEYS)[number]]?: Tree | undefined };

/** The first of the three maps that has anything counts. */
export function permanentSlots(values: Maps, warnings: string[]): readonly string[] {
  const key = KEYS.find((one) => Object.keys(values[one] ?? {}).length > 0);
  if (key === undefined) return [];
  return Object.entries(values[key] ?? {}).flatMap(([name, what]) => {
    const said: Tree = isTree(what) ? what : {};
    const type = said.type ?? (said.plugin === undefined ? 'physical' : 'logical');
    // Slots for a standby cluster only; this is none.
    if (said.cluster_type === 'standby') return [];
    if (type === 'physical') return [name];
    warnings.push(
      `/config ${key}.${name} is not supported yet: logical slots are neither made nor carried over to a new leader`,
    );
    return [];
  });
}

export function ignoredSlots(
  matchers: readonly Readonly<Record<string, unknown>>[],
): readonly SlotMatcher[] {
  return matchers.map(({ name, type, database, plugin }) => ({
    name: name === undefined ? null : String(name),
    type: type === undefined ? null : String(type),
    logicalOnly: database !== undefined || plugin !== undefined,
  }));
}
