/** `PATCH /config`, `PUT /config` (C-3.6, 6.3): checked, and by compare-and-set only. */
import type { ClusterView } from '../core/model.ts';
import { problem } from './errors.ts';
import { type Operator, type Reply, reply } from './operator.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Merge-patch: null deletes, maps are merged, everything else replaces. */
export async function patchConfig(operator: Operator, patch: Fields): Promise<Reply> {
  const cluster = await operator.store.read();
  const { config } = cluster;
  if (config.kind !== 'valid') return failed('no_config_to_patch');
  const merged = merge(config.values, patch);
  return write(operator, cluster, config.values, merged, config.modRevision);
}

/** Replaces all of it. */
export async function putConfig(operator: Operator, values: Fields): Promise<Reply> {
  const cluster = await operator.store.read();
  const { config } = cluster;
  const before = config.kind === 'valid' ? config.values : {};
  const modRevision = config.kind === 'absent' ? 0 : config.modRevision;
  return write(operator, cluster, before, values, modRevision);
}

/** Values keep their types, and keys that nobody knows stay (appendix B 17). */
export function merge(base: Fields, patch: Fields): Fields {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const below = Object.hasOwn(merged, key) ? merged[key] : undefined;
    if (value === null) delete merged[key];
    else define(merged, key, isMap(value) ? merge(isMap(below) ? below : {}, value) : value);
  }
  return merged;
}

/** `__proto__` is a name like any other in JSON. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function isMap(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function write(
  operator: Operator,
  cluster: ClusterView,
  before: Fields,
  after: Fields,
  modRevision: number,
): Promise<Reply> {
  if (cluster.config.kind === 'valid' && equal(before, after)) return reply(200, after);
  const faults = operator.checkConfig(before, after, cluster);
  if (faults.length > 0)
    return reply(400, { error: 'invalid_config', message: faults.join('\n'), faults });
  let written: boolean;
  try {
    written = await operator.store.replaceConfig(after, modRevision);
  } catch {
    return failed('config_not_written');
  }
  if (!written) return failed('config_changed');
  operator.hint('/config was changed');
  return reply(200, after);
}

/** The order of keys says nothing. */
function equal(one: unknown, other: unknown): boolean {
  if (isMap(one) && isMap(other)) {
    const keys = Object.keys(one);
    return (
      keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(other, key) && equal(one[key], other[key]))
    );
  }
  return JSON.stringify(one) === JSON.stringify(other);
}

function failed(name: Parameters<typeof problem>[0]): Reply {
  const { status, body } = problem(name);
  return { status, body: (body?.() ?? {}) as Fields };
}
