/** What operators write, on any member: requests to hand over, and the dynamic configuration (contract 2.3). */
import type { FailoverRequest } from '../core/model.ts';
import type { Budget, Calls } from './calls.ts';
import { decodeFailover, encodeFailover, NO_FAILOVER } from './codecs.ts';
import { compactJson } from './json.ts';
import { settled } from './settled.ts';

/** A request before it is written. */
export type NewFailover = Omit<FailoverRequest, 'modRevision'>;

/**
 * Puts a request where none is in progress; one that is only scheduled is replaced. Stricter than
 * Patroni's plain put: of two at the same time the second must not take the first's place (D71).
 * @returns false when another one is in progress
 */
export async function writeFailover(
  calls: Calls,
  request: NewFailover,
  budget: Budget,
): Promise<boolean> {
  const { failover } = calls.keys;
  const value = encodeFailover(request);
  return settled(budget, async (repeated) => {
    const found = (await calls.get([failover], budget)).reads[0] ?? null;
    if (repeated && found?.value === value) return true;
    const pending = decodeFailover(found ?? undefined, () => undefined);
    if (pending !== null && pending.scheduledAt === null) return false;
    const unchanged = { key: failover, modRevision: found?.modRevision ?? 0 };
    return (await calls.transact([unchanged], [{ put: failover, value }], [], budget)).succeeded;
  });
}

/** Withdraws a request that is as it was seen; the key stays, as Patroni's does. */
export async function deleteFailover(
  calls: Calls,
  modRevision: number,
  budget: Budget,
): Promise<boolean> {
  const { failover } = calls.keys;
  const put = { put: failover, value: NO_FAILOVER };
  return settled(budget, async (repeated) => {
    const compare = [{ key: failover, modRevision }];
    const answer = await calls.transact(compare, [put], [{ get: failover }], budget);
    return answer.succeeded || (repeated && answer.reads[0]?.value === NO_FAILOVER);
  });
}

/** Writes `/config` if it is as it was seen. `modRevision` 0: it was not there. */
export async function replaceConfig(
  calls: Calls,
  config: Readonly<Record<string, unknown>>,
  modRevision: number,
  budget: Budget,
): Promise<boolean> {
  const { config: key } = calls.keys;
  const value = compactJson(config);
  return settled(budget, async (repeated) => {
    const compare = [{ key, modRevision }];
    const answer = await calls.transact(compare, [{ put: key, value }], [{ get: key }], budget);
    return answer.succeeded || (repeated && answer.reads[0]?.value === value);
  });
}
