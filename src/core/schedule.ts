/**
 * Times of day that people schedule something for (contract 3.6, 5.11). They are wall time by
 * nature, and the only place where a decision looks at it.
 */
import type { Observation } from './model.ts';

export type Instant =
  | { readonly kind: 'instant'; readonly epochMs: number; readonly iso: string }
  | { readonly kind: 'no zone' }
  | { readonly kind: 'unreadable' };

const FORM =
  /^\s*(\d{4})-(\d{2})-(\d{2})(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?\s*$/i;
const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const MINUTE_MS = 60_000;

/** ISO 8601, with a blank for the T and names for UTC where people write them. Never throws. */
export function parseInstant(text: string): Instant {
  const match = FORM.exec(text);
  if (match === null) return { kind: 'unreadable' };
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((part) =>
    Number(match[part] ?? 0),
  ) as [number, number, number, number, number, number];
  const inRange =
    month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month) && hour < 24 && minute < 60;
  if (!inRange || second > 59) return { kind: 'unreadable' };
  if (match[8] === undefined) return { kind: 'no zone' };
  const offset = offsetMinutes(match[8]);
  if (offset === null) return { kind: 'unreadable' };
  const fraction = match[7] ?? '';
  const milliseconds = Number(`0.${fraction || '0'}`) * 1000;
  const seconds = daysSinceEpoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
  return {
    kind: 'instant',
    epochMs: seconds * 1000 + milliseconds - offset * MINUTE_MS,
    iso: `${match[1]}-${match[2]}-${match[3]}T${two(hour)}:${two(minute)}:${two(second)}${fraction === '' ? '' : `.${fraction.padEnd(6, '0').slice(0, 6)}`}${zone(offset)}`,
  };
}

function daysIn(year: number, month: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 && !leap ? 28 : (DAYS_IN_MONTH[month - 1] ?? 0);
}

/** Minutes east of UTC; null when no place on earth has that. */
function offsetMinutes(text: string): number | null {
  const match = /^([+-])(\d{2}):?(\d{2})?$/.exec(text);
  if (match === null) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0);
  if (minutes >= 24 * 60 || Number(match[3] ?? 0) > 59) return null;
  return match[1] === '-' ? -minutes : minutes;
}

/** The calendar's arithmetic, with years that begin in March. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  return era * 146_097 + yearOfEra * 365 + leapDays + dayOfYear - 719_468;
}

const two = (number: number): string => String(number).padStart(2, '0');

function zone(offset: number): string {
  const minutes = Math.abs(offset);
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

export type Due =
  | { readonly when: 'now' }
  | { readonly when: 'later'; readonly inMs: number }
  /** Too long ago to be what anybody still wants (contract 5.11), or not to be understood. */
  | { readonly when: 'never'; readonly why: string };

/** Where `at` stands against the wall clock: a schedule missed by more than 1.5 loop_wait is void. */
export function due(
  at: string,
  { wallNow, settings }: Pick<Observation, 'wallNow' | 'settings'>,
): Due {
  const instant = parseInstant(at);
  if (instant.kind !== 'instant') return { when: 'never', why: `${at} cannot be read as a time` };
  const inMs = instant.epochMs - wallNow;
  if (inMs > 0) return { when: 'later', inMs };
  if (inMs < -1.5 * settings.loopWaitMs)
    return { when: 'never', why: `its time, ${at}, went by ${Math.round(-inMs / 1000)} s ago` };
  return { when: 'now' };
}
