/** Parts of what is published, in Patroni's fields (contract 2.5, 3.3, 6.6), and back. */
import type { RestartFilter, ScheduledRestart } from './asked.ts';
import { parseInstant } from './schedule.ts';
import type { PendingSetting } from './server.ts';

type Fields = Readonly<Record<string, unknown>>;

/** `{setting: {old_value, new_value}}` (contract 2.5, 6.6); null when there is nothing to say. */
export function pendingReasons(pending: readonly PendingSetting[]): Fields | null {
  if (pending.length === 0) return null;
  return Object.fromEntries(
    pending.map(({ name, oldValue, newValue }) => [
      name,
      { old_value: oldValue, new_value: newValue },
    ]),
  );
}

/** As Patroni publishes it (contract 2.5): only the conditions that were given. */
export function scheduledFields(plan: ScheduledRestart): Fields {
  const { filter, timeoutMs, at, postmasterStartTime } = plan;
  return {
    schedule: at,
    postmaster_start_time: postmasterStartTime,
    ...(filter.role !== null && { role: filter.role }),
    ...(filter.olderThan !== null && { postgres_version: versionText(filter.olderThan) }),
    ...(filter.pendingOnly && { restart_pending: true }),
    ...(timeoutMs !== null && { timeout: Math.round(timeoutMs / 1000) }),
  };
}

/** `150020` → `15.20` */
function versionText(version: number): string {
  return `${Math.floor(version / 10_000)}.${version % 10_000}`;
}

/** What an earlier life of this agent published; null when it is not what that would write. */
export function parseScheduled(fields: Fields): ScheduledRestart | null {
  const { schedule, postmaster_start_time: started, role, postgres_version, timeout } = fields;
  if (typeof schedule !== 'string' || parseInstant(schedule).kind !== 'instant') return null;
  const roles: readonly RestartFilter['role'][] = ['primary', 'standby_leader', 'replica'];
  const version = /^(\d+)\.(\d+)$/.exec(String(postgres_version ?? ''));
  if (postgres_version !== undefined && version === null) return null;
  return {
    at: schedule,
    postmasterStartTime: typeof started === 'string' ? started : null,
    timeoutMs: typeof timeout === 'number' ? timeout * 1000 : null,
    filter: {
      role: roles.find((known) => known === role) ?? null,
      olderThan: version === null ? null : Number(version[1]) * 10_000 + Number(version[2]),
      pendingOnly: 'restart_pending' in fields,
    },
  };
}
