/** What of PostgreSQL's life operators are told by their callbacks (contract 5.18). */
import type { JobState } from './model.ts';
import type { PostgresFacts } from './server.ts';

export type CallbackAction = 'on_start' | 'on_stop' | 'on_restart' | 'on_role_change' | 'on_reload';

export interface CallbackEvent {
  readonly action: CallbackAction;
  readonly role: 'primary' | 'replica';
}

/** The server as operators were last told of it. */
export interface Told {
  /** Null: it does not run, for all that they know. */
  readonly running: { readonly pid: number; readonly startTicks: number } | null;
  /** As it last ran; null: they were told nothing yet. */
  readonly role: 'primary' | 'replica' | null;
}

export const TOLD_NOTHING: Told = { running: null, role: null };

export interface Telling {
  readonly told: Told;
  /** Null: nothing new. */
  readonly event: CallbackEvent | null;
}

/**
 * One event at most: a change of role takes the place of the start that it came with, as a callback
 * would otherwise end the one before it.
 * @param job the one in progress, or the last
 */
export function tell(before: Told, facts: PostgresFacts, job: JobState | null): Telling {
  const { postmaster, sql } = facts;
  const bootstrapping = job?.kind === 'bootstrap' && job.outcome === null;
  if (bootstrapping) return { told: before, event: null };
  if (postmaster.kind === 'none') {
    const { running, role } = before;
    const event = running === null || role === null ? null : ({ action: 'on_stop', role } as const);
    return { told: { ...before, running: null }, event };
  }
  if (postmaster.kind !== 'alive' || !sql.known) return { told: before, event: null };
  const { pid, startTicks } = postmaster;
  const role = sql.value.inRecovery ? 'replica' : 'primary';
  const same = before.running?.pid === pid && before.running.startTicks === startTicks;
  const told: Told = { running: { pid, startTicks }, role };
  if (same && before.role === role) return { told: before, event: null };
  if (before.role !== null && before.role !== role)
    return { told, event: { action: 'on_role_change', role } };
  const restarted = job?.kind === 'restart' && job.outcome?.ok !== false;
  return { told, event: { action: restarted ? 'on_restart' : 'on_start', role } };
}
