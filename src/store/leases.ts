/** Leases: a new one for this agent, and the remaining life of somebody else's. */
import { randomBytes } from 'node:crypto';
import type { Calls } from './calls.ts';
import { StoreUnavailable } from './keyvalue.ts';
import { sameTerm } from './renewal.ts';

const MOST_GRANTS = 5;

/**
 * An id whose grant is ambiguous is not used: the lease may begin, and end, at any time. Another is
 * asked for within the time of the operation.
 * @throws StoreUnavailable, StoreRefused
 */
export async function grantLease(
  calls: Calls,
  ttlSeconds: number,
): Promise<{ readonly leaseId: string; readonly ttlSeconds: number }> {
  const budget = calls.budget();
  const ambiguous: string[] = [];
  try {
    for (;;) {
      const leaseId = randomLeaseId();
      try {
        const answer = await calls.store.grant(leaseId, ttlSeconds, calls.options(budget));
        return { leaseId, ttlSeconds: answer.ttlSeconds };
      } catch (error) {
        if (!(error instanceof StoreUnavailable && error.mayHaveHappened)) throw error;
        ambiguous.push(leaseId);
        if (budget.leftMs === 0 || ambiguous.length === MOST_GRANTS) throw error;
      }
    }
  } finally {
    for (const leaseId of ambiguous) void revokeUnused(calls, leaseId);
  }
}

/**
 * Milliseconds, rounded up to seconds; 0: gone. That answer alone is confirmed by a linearizable
 * read in the same raft term, as a member that lost leadership may be wrong about it (rule S3).
 * @throws StoreUnavailable, StoreRefused
 */
export async function leaseRemaining(calls: Calls, leaseId: string): Promise<number> {
  const budget = calls.budget();
  const answer = await calls.store.timeToLive(leaseId, calls.options(budget));
  if (answer.remainingSeconds > 0) return answer.remainingSeconds * 1000;
  const read = await calls.get([calls.keys.leader], budget);
  if (sameTerm(answer, read)) return 0;
  throw new StoreUnavailable('lease time to live: the store changed its leader meanwhile', false);
}

/** Never rejects. What cannot be revoked ends by itself: nobody keeps it alive. */
async function revokeUnused(calls: Calls, leaseId: string): Promise<void> {
  await calls.store.revokeUnused(leaseId, calls.options(calls.budget())).catch(() => undefined);
}

/** 63 bits, never 0; by chance, so that no two processes of one name ever share a lease. */
function randomLeaseId(): string {
  const id = randomBytes(8).readBigUInt64BE() & 0x7fff_ffff_ffff_ffffn;
  return (id === 0n ? 1n : id).toString();
}
