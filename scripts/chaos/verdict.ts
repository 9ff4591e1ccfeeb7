/** When a round of chaos has failed. Pure. */
import { type Loss, lost, type Overlap, twoPrimaries, withoutLease } from './checker.ts';
import type { History } from './history.ts';
import { isSynchronous, MAXIMUM_LAG, type Mode, TTL } from './modes.ts';
import type { Kind } from './schedule.ts';

/** A cluster is whole this long after the end of a fault, ms. */
const HEALS_IN_MS = 2 * TTL * 1000 + 10_000;
/** Some have more to do: start a node from nothing, recover after a crash for want of space. */
const MORE_MS: Partial<Record<Kind, number>> = { 'node killed': 10_000, 'disk full': 20_000 };

/** Processes that want to run, for each processor: above it everything takes longer, a daemon's start first of all. */
const BUSY = 2;

/** @param load load average of the last minute, for each processor */
export const healsWithinMs = (kind: Kind, load: number): number =>
  (HEALS_IN_MS + (MORE_MS[kind] ?? 0)) * Math.max(1, load / BUSY);

/** Asynchronous: behind the last published position, and what is written until the next is published, bytes. */
const LOSS_BOUND = 2 * MAXIMUM_LAG;

export interface Evidence {
  readonly mode: Mode;
  readonly kind: Kind;
  readonly history: History;
  readonly present: (writer: string, id: number) => boolean;
  /** ms from the end of the fault; null: it was not whole when nobody waited any longer. */
  readonly healedMs: number | null;
  /** Load average of the last minute, for each processor. */
  readonly load: number;
}

export interface Verdict {
  readonly loss: Loss;
  /** Writes that a second node acknowledged right after a pause. */
  readonly afterThaw: number;
  readonly violations: readonly string[];
}

export function judge({ mode, kind, history, present, healedMs, load }: Evidence): Verdict {
  const loss = lost(history, present);
  const overlaps = [...twoPrimaries(history), ...withoutLease(history)];
  const violations = [
    ...losses(mode, loss),
    ...doubles(mode, overlaps),
    ...healing(kind, healedMs, load),
  ];
  const afterThaw = new Set(overlaps.filter((one) => one.afterThaw).map(({ write }) => write)).size;
  return { loss, afterThaw, violations };
}

function losses(mode: Mode, { writes, bytes, ms }: Loss): readonly string[] {
  const [first] = writes;
  if (first === undefined) return [];
  const shown = `${writes.length} acknowledged writes lost, the first ${first.writer} ${first.id} on ${first.node}, timeline ${first.timeline}`;
  if (isSynchronous(mode)) return [shown];
  return bytes <= LOSS_BOUND ? [] : [`${shown}: ${bytes} bytes, ${Math.round(ms)} ms of log`];
}

/** In synchronous modes not even the first moments after a pause of the whole machine are excused. */
function doubles(mode: Mode, overlaps: readonly Overlap[]): readonly string[] {
  return overlaps
    .filter(({ afterThaw }) => isSynchronous(mode) || !afterThaw)
    .slice(0, 3)
    .map(
      ({ write, other, otherAt }) =>
        `${write.node} on timeline ${write.timeline} acknowledged ${write.writer} ${write.id}, begun ${Math.round(write.executedAt - otherAt)} ms after ${other}`,
    );
}

function healing(kind: Kind, healedMs: number | null, load: number): readonly string[] {
  const bound = Math.round(healsWithinMs(kind, load));
  if (healedMs === null) return ['the cluster did not heal'];
  return healedMs <= bound ? [] : [`healed after ${Math.round(healedMs)} ms, allowed: ${bound} ms`];
}
