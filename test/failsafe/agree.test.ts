/** Whether a member agrees that a leader goes on without the store (contract 5.4). */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { Settings } from '../../src/core/settings.ts';
import { Failsafe } from '../../src/failsafe/failsafe.ts';
import type { LeaseKeeper } from '../../src/lease.ts';
import type { NodeJournal } from '../../src/node-journal.ts';
import type { Snapshot } from '../../src/status.ts';

const NOW = 50_000;
const TTL = 10_000;

interface Given {
  /** The member has promised not to race against this leader. */
  readonly promised?: string;
  /** Who leads by the store, as last read. */
  readonly leader?: string;
  /** How long ago the store was read, ms. */
  readonly readAgo?: number;
  readonly asks: string;
}

const table: readonly (Given & { readonly says: string | null; readonly because: string })[] = [
  { asks: 'n2', says: null, because: 'nothing stands against it' },
  { asks: 'n2', promised: 'n2', says: null, because: 'the promise is given for longer' },
  {
    asks: 'n3',
    promised: 'n2',
    says: 'n2 goes on without the store',
    because: 'n2 still relies on the promise, and two leaders would have one each',
  },
  {
    asks: 'n3',
    promised: 'n2',
    leader: 'n2',
    readAgo: TTL + 1,
    says: 'n2 goes on without the store',
    because: 'a view that old says nothing, the promise does',
  },
  {
    asks: 'n3',
    promised: 'n2',
    leader: 'n3',
    readAgo: 100,
    says: null,
    because: 'the store knows better than the promise who leads',
  },
  { asks: 'n3', leader: 'n2', readAgo: 100, says: 'n2 leads', because: 'the store says so' },
];

function member({ promised, leader, readAgo }: Given): Failsafe {
  const promise =
    promised === undefined
      ? null
      : { leader: promised, until: NOW + TTL / 2, forMs: TTL, boot: 'this' };
  const failsafe = new Failsafe({
    clock: { now: () => NOW } as Clock,
    journal: {
      boot: 'this',
      node: { promotedHere: [], leaseId: null, promise },
      promised: async () => undefined,
    } as unknown as NodeJournal,
    lease: { facts: () => ({ holdsLeaderKey: false }), campaigning: false } as LeaseKeeper,
    settings: () => ({ failsafeMode: true, ttlMs: TTL }) as Settings,
    snapshot: () =>
      ({
        now: NOW,
        postgres: null,
        cluster: leader === undefined ? null : { leader: { name: leader } },
        clusterReadAt: readAgo === undefined ? null : NOW - readAgo,
      }) as Snapshot,
    peers: { ask: async () => [], liveness: async () => true, failsafe: async () => [] },
    identity: { scope: 'demo', name: 'n1', connUrl: '', apiUrl: '' },
    healthy: () => true,
    hint: () => undefined,
    log: () => undefined,
  });
  failsafe.load();
  return failsafe;
}

describe('a member that is asked to let a leader go on', () => {
  it.each(table)('says $says to $asks: $because', async (given) => {
    const refusal = await member(given).agree({ leader: given.asks, ttlMs: TTL, slots: {} });
    expect(refusal?.text ?? null).toBe(given.says);
  });
});
