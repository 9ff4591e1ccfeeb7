/** Hand-made histories for the checker. */
import type { Acknowledgement, History, Holding, Thaw } from '../../scripts/chaos/history.ts';

let nextId = 1;

/** Acknowledged by `node` on `timeline` at `at`, begun a millisecond before unless told otherwise. */
export function write(
  node: string,
  timeline: number,
  at: number,
  more: Partial<Acknowledgement> = {},
): Acknowledgement {
  nextId += 1;
  const lsn = at * 100;
  return { writer: 'w', id: nextId, node, timeline, lsn, executedAt: at - 1, at, ...more };
}

export const history = (
  acknowledged: readonly Acknowledgement[],
  holdings: readonly Holding[] = [],
  thaws: readonly Thaw[] = [],
): History => ({ acknowledged, holdings, thaws });
