/** What may not be written into `/config`: checked where it is asked for, so that it can be said (C-6.3). */
import * as z from 'zod';
import { describeFound, isSecretPath, pathText } from './errors.ts';
import { isTree, type Tree } from './merge.ts';
import { dynamicPostgresqlSchema, dynamicSchema } from './schema-dynamic.ts';
import { OUR_FLOORS, PATRONI_FLOORS } from './timing.ts';
import { parseDuration } from './values.ts';

const TIMES = [
  ['ttl', 'ttlMs'],
  ['loop_wait', 'loopWaitMs'],
  ['retry_timeout', 'retryTimeoutMs'],
] as const;

/**
 * One line for each value of `after` that differs from `before` and cannot be used. Keys that
 * nobody knows are kept as they are; what was there before is not held against this change.
 * @param patroni members that do not run Tenure: their floors are higher, and they hold for all
 */
export function dynamicFaults(before: Tree, after: Tree, patroni: readonly string[]): string[] {
  const { postgresql, ...shape } = dynamicSchema.shape;
  const faults = faultsOf(shape, before, after, []);
  const section = after.postgresql;
  if (section !== undefined && section !== null && !isTree(section))
    faults.push(fault(['postgresql'], section, 'a map'));
  if (isTree(section)) {
    const old = isTree(before.postgresql) ? before.postgresql : {};
    const { authentication } = section;
    if (
      authentication !== undefined &&
      authentication !== null &&
      !same(authentication, old.authentication)
    )
      faults.push(
        fault(
          ['postgresql', 'authentication'],
          authentication,
          'nothing: everybody may read /config',
        ),
      );
    faults.push(...faultsOf(dynamicPostgresqlSchema.shape, old, section, ['postgresql']));
  }
  return faults.length > 0 ? faults : floorFaults(before, after, patroni);
}

function faultsOf(
  shape: z.ZodRawShape,
  before: Tree,
  after: Tree,
  at: readonly string[],
): string[] {
  return Object.entries(shape).flatMap(([key, schema]) => {
    const value = after[key];
    if (value === undefined || value === null || same(value, before[key])) return [];
    const parsed = z.safeParse(schema, value);
    if (parsed.success) return [];
    const issue = parsed.error.issues[0];
    const path = [...at, key, ...(issue?.path ?? [])];
    const found = (issue?.path ?? []).reduce<unknown>(
      (inner, part) =>
        typeof inner === 'object' && inner !== null
          ? (inner as Readonly<Record<PropertyKey, unknown>>)[part]
          : undefined,
      value,
    );
    return [fault(path, found, issue?.message ?? 'something else')];
  });
}

function fault(path: readonly PropertyKey[], found: unknown, allowed: string): string {
  return `${pathText(path)}: found ${describeFound(found, isSecretPath(path))}, allowed: ${allowed}`;
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Below these a lease is not what its holder believes (protocol.md, "Mixed clusters"). */
function floorFaults(before: Tree, after: Tree, patroni: readonly string[]): string[] {
  const floors = patroni.length > 0 ? PATRONI_FLOORS : OUR_FLOORS;
  return TIMES.flatMap(([key, name]) => {
    const value = parseDuration(after[key]);
    if (value === undefined || value >= floors[name] || same(after[key], before[key])) return [];
    const who = patroni.length > 0 ? ` while ${patroni.join(', ')} runs Patroni` : '';
    return [fault([key], after[key], `at least ${floors[name] / 1000} (seconds)${who}`)];
  });
}
