/**
 * Renewal with proof (rule S1). A keep-alive is answered by the member that believes it leads,
 * without raft; it may be wrong for seconds. Only a linearizable read that was sent afterwards, and
 * answered in the same raft term, shows that the lease was really extended by the member in charge.
 */
import type { Budget, Calls } from './calls.ts';
import type { Compare, Header } from './keyvalue.ts';
import type { Leadership, Renewal } from './store.ts';

/** The term changes seldom twice in a row; after that the caller's next renewal goes on. */
const MOST_ROUNDS = 3;

/** Rule S2: what every write made as leader compares. */
export function guard(leaderKey: string, leadership: Leadership): readonly Compare[] {
  return [
    { key: leaderKey, leaseId: leadership.leaseId },
    { key: leaderKey, modRevision: leadership.modRevision },
  ];
}

/**
 * Keep-alive, then proof; both again, within the budget, when the raft term changed in between.
 * @throws StoreUnavailable, StoreRefused: then nothing is known, and nothing is proven
 */
export async function renew(
  calls: Calls,
  name: string,
  leadership: Leadership,
  budget: Budget,
): Promise<Renewal> {
  for (let round = 1; ; round += 1) {
    const alive = await calls.store.keepAlive(leadership.leaseId, calls.options(budget));
    const proof = await proveLeaderKey(calls, name, leadership, budget);
    const { ttlSeconds } = alive;
    if (!proof.holds) return { ttlSeconds, proven: false, lost: true, why: proof.why };
    if (ttlSeconds <= 0) {
      const why = 'the lease is gone, the leader key is about to follow';
      return { ttlSeconds: 0, proven: false, lost: false, why };
    }
    if (sameTerm(alive, proof)) {
      return { ttlSeconds, proven: true, lost: false, why: 'proven in the same raft term' };
    }
    if (round === MOST_ROUNDS || budget.leftMs === 0) {
      const why = `the keep-alive was answered in raft term ${alive.raftTerm}, the read in ${proof.raftTerm}`;
      return { ttlSeconds, proven: false, lost: false, why };
    }
  }
}

/** Whether both answers come from one reign of one leader of the store. */
export function sameTerm(one: Header, other: Header): boolean {
  return one.raftTerm === other.raftTerm && one.clusterId === other.clusterId;
}

async function proveLeaderKey(
  calls: Calls,
  name: string,
  leadership: Leadership,
  budget: Budget,
): Promise<Header & { readonly holds: boolean; readonly why: string }> {
  const { leader } = calls.keys;
  const compare = [...guard(leader, leadership), { key: leader, value: name }];
  const get = [{ get: leader }];
  const answer = await calls.transact(compare, get, get, budget);
  const found = answer.reads[0];
  const holder = found ? `held by ${found.value} with another lease or revision` : 'not there';
  return { ...answer, holds: answer.succeeded, why: `the leader key is ${holder}` };
}
