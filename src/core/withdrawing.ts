/**
 * A member leaves `/sync` before its data directory is touched or its server stopped on purpose
 * (rule S5; contract 5.12, 5.13): what it confirmed is about to be gone, so others confirm first.
 */
import { includesName } from './guarantee.ts';
import type { Decision } from './model.ts';
import { decision, memberNamed, type Situation } from './rules.ts';
import { activeSync } from './vouching.ts';

const SOON_MS = 200;

export function isNamed({ seen, cluster }: Situation): boolean {
  const sync = activeSync({ settings: seen.settings, cluster });
  return sync !== null && includesName(sync.standbys, seen.name);
}

/**
 * Asks the leader to name another, and waits; null when nothing stands in the way any more. Once the
 * store shows what was asked (or, where no data is given up, in any case) twice loop_wait at most, as Patroni's members do: in strict mode with two nodes the leader has nobody else
 * to name. Then the copy comes from the leader itself: before it is consistent it cannot lead, and
 * afterwards it holds all that was acknowledged.
 */
export function withdraw(
  s: Situation,
  rule: string,
  before: string,
  what: 'stops' | 'gives up data' = 'gives up data',
): Decision | null {
  const { seen } = s;
  const since = seen.memory.withdrawingSince;
  if (s.otherLeader === null || !isNamed(s)) return null;
  const asked = what === 'stops' || memberNamed(s.cluster, seen.name)?.tags.nosync === true;
  if (asked && since !== null && seen.now - since >= 2 * seen.settings.loopWaitMs) return null;
  return decision(
    seen,
    rule,
    `asking ${s.otherLeader.name} to name another member in /sync before ${before}`,
    [{ do: 'withdraw' }],
    SOON_MS,
  );
}
