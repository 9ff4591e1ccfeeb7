/** The leader's writes of `/sync` (contract 2.3, 5.15; rules S2, S5). */
import type { SyncContent } from '../core/model.ts';
import type { Budget, Calls } from './calls.ts';
import { encodeSync } from './codecs.ts';
import { guard } from './renewal.ts';
import { settled } from './settled.ts';
import type { Leadership } from './store.ts';

/**
 * Replaces what was seen, or deletes it, as leader; always by compare-and-set, also where the key was
 * not there (stricter than Patroni, appendix B 10).
 * @throws StoreUnavailable when the outcome stays unknown: then nothing may be built on it
 */
export async function writeSync(
  calls: Calls,
  leadership: Leadership,
  content: SyncContent | null,
  modRevision: number,
  budget: Budget,
): Promise<boolean> {
  const { leader, sync } = calls.keys;
  const value = content === null ? null : encodeSync(content);
  const guards = guard(leader, leadership);
  const then = value === null ? [{ delete: sync }] : [{ put: sync, value }];
  return settled(budget, async (repeated) => {
    const compare = [...guards, { key: sync, modRevision }];
    const answer = await calls.transact(compare, then, [{ get: sync }, { get: leader }], budget);
    if (answer.succeeded || !repeated) return answer.succeeded;
    // The first try may have done it; that counts only while the leader key is still ours.
    const [found = null, holder = null] = answer.reads;
    const ours =
      holder?.leaseId === leadership.leaseId && holder.modRevision === leadership.modRevision;
    return ours && (found?.value ?? null) === value;
  });
}
