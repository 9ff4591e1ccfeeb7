/** When a round of the drill has failed for the rows it lost. */
import type { Fault } from './faults.ts';

export interface Counts {
  /** Acknowledged rows that the cluster does not have in the end. */
  readonly lost: number;
  /** Those of them that a living standby had received right after the fault. */
  readonly lostThoughReceived: number;
  /** Living standbys that could not tell what they had received, with the reason. */
  readonly unknown: readonly string[];
}

/** @param stayed the node that was primary before the fault is primary after it */
export function judge(
  planned: Fault['planned'],
  stayed: boolean,
  counts: Counts,
): readonly string[] {
  if (counts.lost === 0) return [];
  if (planned === 'yes' || (planned === 'unless failed over' && stayed)) {
    return [`a planned fault lost ${counts.lost} acknowledged rows`];
  }
  if (counts.lostThoughReceived > 0) {
    return [`${counts.lostThoughReceived} lost rows had been received by a living standby`];
  }
  // Lost rows are excused only by knowing that no living standby had them.
  return counts.unknown.map(
    (why) => `${counts.lost} rows lost, and a standby did not tell what it had: ${why}`,
  );
}
