/** What a history shows. Pure: no clock, no processes. */
import type { Acknowledgement, History, Holding, Thaw } from './history.ts';

/** After a machine that stood still wakes up: as long as its guard may need to notice, ms of its run time. */
export const AFTER_THAW_MS = 50;
/** Two clocks of one machine are compared, of which one shows whole milliseconds. */
const CLOCK_STEP_MS = 2;
/** The watch on the leader key may be this much behind a primary that has begun. */
const TOLD_LATE_MS = 500;

export interface Overlap {
  readonly write: Acknowledgement;
  /** Who else had acknowledged, or had the leader key, before that write was begun. */
  readonly other: string;
  readonly otherAt: number;
  /** Within {@link AFTER_THAW_MS} of its machine's waking. */
  readonly afterThaw: boolean;
}

/**
 * Writes that were begun on one server after another one had acknowledged a write on a later timeline
 * (or on the same one, which no two servers may share), and were acknowledged all the same.
 */
export function twoPrimaries({ acknowledged, thaws }: History): readonly Overlap[] {
  const reigns = firstOfReigns(acknowledged);
  return acknowledged.flatMap((write) => {
    const other = reigns.find(
      (first) =>
        first.node !== write.node &&
        first.timeline >= write.timeline &&
        write.executedAt > first.at + CLOCK_STEP_MS,
    );
    if (other === undefined) return [];
    // On one timeline the later one is the wrong one only if the earlier still goes on: both are shown.
    return [overlap(write, `${other.node} on timeline ${other.timeline}`, other.at, thaws)];
  });
}

/** Writes that were begun on a node after the leader key was known to be another's, and acknowledged. */
export function withoutLease({ acknowledged, holdings, thaws }: History): readonly Overlap[] {
  return acknowledged.flatMap((write) => {
    const holding = holdings.findLast(({ at }) => at + CLOCK_STEP_MS < write.executedAt);
    if (holding === undefined || holding.holder === null || holding.holder === write.node)
      return [];
    if (nextIs(write, holdings, holding)) return [];
    return [overlap(write, `${holding.holder} has the leader key`, holding.at, thaws)];
  });
}

/** etcd may tell a little late that the key has gone on to the node that wrote. */
function nextIs(write: Acknowledgement, holdings: readonly Holding[], holding: Holding): boolean {
  const next = holdings.slice(holdings.indexOf(holding) + 1).find(({ holder }) => holder !== null);
  return next?.holder === write.node && next.at - write.executedAt <= TOLD_LATE_MS;
}

const reignOf = ({ node, timeline }: Acknowledgement): string => `${node} ${timeline}`;

function firstOfReigns(acknowledged: readonly Acknowledgement[]): readonly Acknowledgement[] {
  const first = new Map<string, Acknowledgement>();
  for (const write of acknowledged) {
    const reign = reignOf(write);
    const known = first.get(reign);
    if (known === undefined || write.at < known.at) first.set(reign, write);
  }
  return [...first.values()];
}

function overlap(
  write: Acknowledgement,
  other: string,
  otherAt: number,
  thaws: readonly Thaw[],
): Overlap {
  const afterThaw = thaws.some(
    ({ node, from, until }) =>
      node === write.node &&
      write.executedAt >= from - CLOCK_STEP_MS &&
      write.executedAt <= until + AFTER_THAW_MS,
  );
  return { write, other, otherAt, afterThaw };
}

export interface Loss {
  readonly writes: readonly Acknowledgement[];
  /** Bytes of log between the first lost write and the last one of the same server and timeline. */
  readonly bytes: number;
  /** The same in ms of clients' time. */
  readonly ms: number;
}

/** @param present whether the cluster has this write in the end */
export function lost(
  { acknowledged }: History,
  present: (writer: string, id: number) => boolean,
): Loss {
  const writes = acknowledged.filter(({ writer, id }) => !present(writer, id));
  const lastOf = new Map(acknowledged.map((write) => [reignOf(write), write]));
  let bytes = 0;
  let ms = 0;
  for (const write of writes) {
    const last = lastOf.get(reignOf(write)) ?? write;
    bytes = Math.max(bytes, last.lsn - write.lsn);
    ms = Math.max(ms, last.at - write.at);
  }
  return { writes, bytes, ms };
}
