/** The sum of many runs. */
import type { Violation } from './checks.ts';
import type { Schedule } from './schedule.ts';
import type { Outcome } from './simulation.ts';

export interface Totals {
  schedules: number;
  virtualMs: number;
  events: number;
  faults: Record<string, number>;
  rules: Record<string, number>;
  promotions: number;
  acknowledged: number;
  lost: number;
  unguarded: number;
  unfencedMs: number;
  shots: number;
  slowestHealMs: number;
  readonly found: { readonly schedule: Schedule; readonly violation: Violation }[];
}

export function newTotals(): Totals {
  return {
    schedules: 0,
    virtualMs: 0,
    events: 0,
    faults: {},
    rules: {},
    promotions: 0,
    acknowledged: 0,
    lost: 0,
    unguarded: 0,
    unfencedMs: 0,
    shots: 0,
    slowestHealMs: 0,
    found: [],
  };
}

export function count(totals: Totals, schedule: Schedule, outcome: Outcome): void {
  const { virtualMs, events, promotions, acknowledged, lost, unguarded, unfencedMs, shots } =
    outcome;
  const sum = { schedules: 1, virtualMs, events, promotions, acknowledged, lost, unguarded };
  add(totals, {
    ...newTotals(),
    ...sum,
    unfencedMs,
    shots,
    faults: { ...outcome.faults },
    rules: { ...outcome.rules },
  });
  totals.slowestHealMs = Math.max(totals.slowestHealMs, outcome.healedMs ?? 0);
  for (const violation of outcome.violations.slice(0, 1))
    totals.found.push({ schedule, violation });
}

export function add(totals: Totals, more: Totals): void {
  for (const key of NUMBERS) totals[key] += more[key];
  for (const [kind, number] of Object.entries(more.faults))
    totals.faults[kind] = (totals.faults[kind] ?? 0) + number;
  for (const [rule, number] of Object.entries(more.rules))
    totals.rules[rule] = (totals.rules[rule] ?? 0) + number;
  totals.slowestHealMs = Math.max(totals.slowestHealMs, more.slowestHealMs);
  totals.found.push(...more.found);
}

const NUMBERS = [
  'schedules',
  'virtualMs',
  'events',
  'promotions',
  'acknowledged',
  'lost',
  'unguarded',
  'unfencedMs',
  'shots',
] as const;
