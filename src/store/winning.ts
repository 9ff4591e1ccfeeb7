/**
 * The transactions that make this agent the leader. Their answer may be lost although they took
 * effect; each can be recognised afterwards by what it leaves behind.
 */
import type { TimelineClaims } from '../core/model.ts';
import type { Budget, Calls, Transaction } from './calls.ts';
import { type Compare, type KeyValue, type Operation, StoreUnavailable } from './keyvalue.ts';
import { type Claim, decodeClaims, encodeClaims } from './ours.ts';
import { guard } from './renewal.ts';
import { settled } from './settled.ts';
import type { CampaignResult, Leadership } from './store.ts';

/** Who wants the leader key, and under which lease. */
export interface Contender {
  readonly name: string;
  readonly leaseId: string;
}

/**
 * Takes the free key, reserves `claim` and removes the marker of the vacancy, all or nothing (rule
 * S6). Claims that changed since the caller looked, or that are not below the new one, make it fail.
 * A null claim promises to promote nothing.
 * @throws StoreUnavailable when the outcome stays unknown; StoreRefused; LeaseGone
 */
export async function campaign(
  calls: Calls,
  contender: Contender,
  claim: number | null,
  seen: SeenClaims,
  budget: Budget,
): Promise<CampaignResult> {
  const { leader, timeline, handover } = calls.keys;
  const reserved = await reserve(calls, contender.name, claim, seen, budget);
  if ('why' in reserved) return { won: false, why: reserved.why };
  const { value } = reserved;
  return settle(calls, contender, budget, {
    compare: [
      { key: leader, createRevision: 0 },
      { key: timeline, modRevision: seen.revision },
    ],
    effects: [
      putLeader(leader, contender),
      { delete: handover },
      ...(value === null ? [] : [{ put: timeline, value }]),
    ],
    witness: timeline,
    didIt: (_leader, witness) => value === null || witness?.value === value,
  });
}

/** Reserves a timeline for a promotion of the leader. @returns false when a premise has changed */
export async function claimTimeline(
  calls: Calls,
  name: string,
  leadership: Leadership,
  claim: number,
  seen: SeenClaims,
  budget: Budget,
): Promise<boolean> {
  const { leader, timeline } = calls.keys;
  const reserved = await reserve(calls, name, claim, seen, budget);
  if ('why' in reserved || reserved.value === null) return false;
  const { value } = reserved;
  const compare = [...guard(leader, leadership), { key: timeline, modRevision: seen.revision }];
  return settled(budget, async (repeated) => {
    const get = [{ get: timeline }];
    const answer = await calls.transact(compare, [{ put: timeline, value }], get, budget);
    return answer.succeeded || (repeated && answer.reads[0]?.value === value);
  });
}

/** From an earlier life's lease, or from another lease of ours, to this one. The claims stay. */
export async function takeOver(
  calls: Calls,
  contender: Contender,
  seenRevision: number,
  budget: Budget,
): Promise<CampaignResult> {
  const { leader } = calls.keys;
  return settle(calls, contender, budget, {
    compare: [
      { key: leader, value: contender.name },
      { key: leader, modRevision: seenRevision },
    ],
    effects: [putLeader(leader, contender)],
    witness: leader,
    didIt: (found) => found.modRevision > seenRevision,
  });
}

/** The end of a bootstrap: system identifier, configuration, leader key, first claim. */
export async function finishBootstrap(
  calls: Calls,
  contender: Contender,
  systemIdentifier: string,
  config: string,
  budget: Budget,
): Promise<CampaignResult> {
  const { keys } = calls;
  return settle(calls, contender, budget, {
    compare: [
      { key: keys.initialize, value: '' },
      { key: keys.bootstrap, value: contender.name },
      { key: keys.leader, createRevision: 0 },
    ],
    effects: [
      { put: keys.initialize, value: systemIdentifier },
      { put: keys.config, value: config },
      putLeader(keys.leader, contender),
      { put: keys.timeline, value: encodeClaims([[1, contender.name]]) },
      { delete: keys.handover },
      { delete: keys.bootstrap },
    ],
    witness: keys.initialize,
    didIt: (_leader, witness) => witness?.value === systemIdentifier,
  });
}

function putLeader(key: string, { name, leaseId }: Contender): Operation {
  return { put: key, value: name, leaseId };
}

/** What the caller knew of the claims when it decided. */
export interface SeenClaims {
  /** mod_revision of `tenure/timeline`; 0: absent. */
  readonly revision: number;
  /** Those of the last read, which saves asking again. */
  readonly remembered: TimelineClaims | null;
}

/** The new content of `tenure/timeline`, null for no change; or why there can be none. */
async function reserve(
  calls: Calls,
  name: string,
  claim: number | null,
  seen: SeenClaims,
  budget: Budget,
): Promise<{ readonly value: string | null } | { readonly why: string }> {
  if (claim === null) return { value: null };
  const claims = await claimsAt(calls, seen, budget);
  if (claims === null) return { why: 'somebody claimed a timeline meanwhile' };
  const highest = Math.max(0, ...claims.map(([claimed]) => claimed));
  if (claim <= highest)
    return { why: `timeline ${claim} is not above ${highest}, already claimed` };
  return { value: encodeClaims([...claims, [claim, name]]) };
}

/** The claims at the revision that the caller decided on; null when they have changed. */
async function claimsAt(
  calls: Calls,
  { revision, remembered }: SeenClaims,
  budget: Budget,
): Promise<readonly Claim[] | null> {
  if (revision === 0) return [];
  if (remembered?.modRevision === revision) return remembered.claims;
  const found = (await calls.get([calls.keys.timeline], budget)).reads[0] ?? undefined;
  const claims = decodeClaims(found, () => undefined);
  return claims?.modRevision === revision ? claims.claims : null;
}

interface Attempt {
  readonly compare: readonly Compare[];
  readonly effects: readonly Operation[];
  /** A key that the transaction writes and `didIt` recognises it by. */
  readonly witness: string;
  /** Given that the leader key shows our name and lease: was it this very transaction? */
  readonly didIt: (leader: KeyValue, witness: KeyValue | null) => boolean;
}

async function settle(
  calls: Calls,
  contender: Contender,
  budget: Budget,
  attempt: Attempt,
): Promise<CampaignResult> {
  const { leader } = calls.keys;
  const look = leader === attempt.witness ? [leader] : [leader, attempt.witness];
  const gets = look.map((key) => ({ get: key }));
  try {
    const answer = await calls.transact(attempt.compare, attempt.effects, gets, budget);
    if (answer.succeeded) return won(contender, answer, answer.revision);
    return judge(contender, attempt, answer) ?? lost(answer);
  } catch (error) {
    if (!(error instanceof StoreUnavailable && error.mayHaveHappened)) throw error;
    // What cannot be read is as unknown as before: the first error says more than the second.
    const answer = await calls.get(look, budget).catch(() => null);
    if (answer === null) throw error;
    const verdict = judge(contender, attempt, answer);
    if (verdict) return verdict;
    // Held by somebody else: settled. Free: the transaction may still be on its way.
    if (answer.reads[0] && answer.reads[0].value !== contender.name) return lost(answer);
    throw error;
  }
}

/** Won, when the leader key shows name and lease and this transaction put them there. */
function judge(contender: Contender, attempt: Attempt, answer: Transaction): CampaignResult | null {
  const [leader, witness = null] = answer.reads;
  if (!leader || leader.value !== contender.name || leader.leaseId !== contender.leaseId) {
    return null;
  }
  return attempt.didIt(leader, witness) ? won(contender, answer, leader.modRevision) : null;
}

function won(contender: Contender, answer: Transaction, modRevision: number): CampaignResult {
  const { raftTerm, revision } = answer;
  return { won: true, leadership: { leaseId: contender.leaseId, modRevision }, raftTerm, revision };
}

function lost(answer: Transaction): CampaignResult {
  const [leader] = answer.reads;
  return {
    won: false,
    why: leader
      ? `the leader key is held by ${leader.value}`
      : 'the leader key is free, but what the transaction relied on has changed',
  };
}
