/** Makes a schedule that shows a violation as small as it can be, with the same kind of violation. */
import { simulate } from './batch.ts';
import type { Schedule } from './schedule.ts';

/** Tries in all: each is a whole run. */
const MOST_TRIES = 250;

export async function shrink(
  schedule: Schedule,
  kind: string,
  onTry: (tries: number, faults: number) => void = () => undefined,
): Promise<Schedule> {
  let best = schedule;
  let tries = 0;
  const fails = async (candidate: Schedule): Promise<boolean> => {
    tries += 1;
    onTry(tries, best.faults.length);
    const { violations } = await simulate(candidate);
    return violations[0]?.kind === kind;
  };
  for (let progress = true; progress && tries < MOST_TRIES; ) {
    progress = false;
    for (const candidate of smaller(best)) {
      if (tries >= MOST_TRIES) break;
      if (!(await fails(candidate))) continue;
      best = candidate;
      progress = true;
      break;
    }
  }
  return best;
}

/** Each a step simpler, the boldest first. */
function* smaller(schedule: Schedule): Generator<Schedule> {
  const { faults, nodes, writers, narrow } = schedule;
  for (let size = faults.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= faults.length; at += size)
      yield { ...schedule, faults: [...faults.slice(0, at), ...faults.slice(at + size)] };
  }
  if (nodes > 3) yield { ...schedule, nodes: nodes - 1 };
  if (writers > 1) yield { ...schedule, writers: 1 };
  if (narrow.length > 0) yield { ...schedule, narrow: [] };
  for (const [index, fault] of faults.entries()) {
    if (fault.forMs < 1000) continue;
    const shorter = { ...fault, forMs: Math.round(fault.forMs / 2) };
    yield { ...schedule, faults: faults.with(index, shorter) };
  }
}
