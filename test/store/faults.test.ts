/** What {@link ClusterStore} makes of the ways in which a store fails. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ClusterStore } from '../../src/store/cluster.ts';
import {
  type Header,
  type KeyValueStore,
  StoreRefused,
  StoreUnavailable,
} from '../../src/store/keyvalue.ts';
import type { Leadership } from '../../src/store/store.ts';
import { leadershipOf, member } from './cluster-contract.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryStore } from './memory.ts';
import type { MemoryClient } from './memory-client.ts';

const STATUS = { optime: 5, slots: {}, retainSlots: [] };
const MARKER = { leader: 'n1', floorLsn: 99, timeline: 1, candidate: null };

let clock: ManualClock;
let memory: MemoryStore;
let client: MemoryClient;
let store: ClusterStore;
beforeEach(() => {
  clock = new ManualClock();
  memory = new MemoryStore(clock);
  client = memory.client();
  store = over(client);
});

function over(keyValues: KeyValueStore): ClusterStore {
  const options = { namespace: 'service', scope: 'demo', clock, retryTimeoutMs: 3000 };
  return new ClusterStore(keyValues, options);
}

async function lease(): Promise<string> {
  return (await store.grantLease(30)).leaseId;
}

async function lead(): Promise<Leadership> {
  return leadershipOf(await store.campaign('n1', await lease(), 1, 0));
}

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}

describe('a member that lost its leadership and answers keep-alives (S1)', () => {
  /** A way to the store on which every keep-alive is answered in the term before. */
  function behind(): { readonly store: KeyValueStore; readonly terms: number[] } {
    const terms: number[] = [];
    const stale: KeyValueStore = Object.create(client, {
      keepAlive: {
        value: async (): Promise<Header & { ttlSeconds: number }> => {
          const header = memory.header();
          terms.push(header.raftTerm - 1);
          return { ...header, raftTerm: header.raftTerm - 1, ttlSeconds: 30 };
        },
      },
      transact: { value: client.transact.bind(client) },
    });
    return { store: stale, terms };
  }

  test('its answer proves nothing, although the key is still there', async () => {
    const leadership = await lead();
    const { store: stale, terms } = behind();
    memory.changeLeader();
    const renewal = await over(stale).renew('n1', leadership);
    expect(renewal).toMatchObject({ proven: false, lost: false, ttlSeconds: 30 });
    expect(renewal.why).toContain('raft term 2, the read in 3');
    expect(terms.length).toBeGreaterThan(1);
  });

  test('the renewal is repeated at once, with a member that knows', async () => {
    const leadership = await lead();
    clock.advance(10_000);
    client.failOnce('keepAlive', 'deposed member');
    memory.changeLeader();
    clock.advance(20_000);
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
    // The lease was really extended: it lives longer than the new leader alone would have let it.
    clock.advance(29_000);
    expect(memory.now().kvs.map(({ key }) => key)).toContain('/service/demo/leader');
  });

  test('when the lease ended meanwhile, the key is known to be lost', async () => {
    const leadership = await lead();
    const { store: stale } = behind();
    clock.advance(31_000);
    memory.changeLeader();
    const renewal = await over(stale).renew('n1', leadership);
    expect(renewal).toMatchObject({ proven: false, lost: true });
  });

  test('its word that a lease is gone is not taken', async () => {
    const leaseId = await lease();
    memory.changeLeader();
    const fresh = memory.client();
    fresh.failOnce('timeToLive', 'deposed member');
    const other = over(fresh);
    await expect(other.leaseRemaining(leaseId)).rejects.toThrow(StoreUnavailable);
    expect(await other.leaseRemaining(leaseId)).toBeGreaterThan(0);
  });
});

describe('read your writes (S3)', () => {
  test('a member that lags behind our own write is passed over', async () => {
    const leaseId = await lease();
    await store.writeMember('n1', leaseId, member({ state: 'running' }));
    const calls: string[] = [];
    client.fault = (call) => {
      calls.push(call);
      return calls.length === 1 ? 'lagging member' : null;
    };
    expect((await store.read()).members).toHaveLength(1);
    // By the endpoints themselves, which know another one: one call.
    expect(calls).toEqual(['range']);
  });

  test('a store that shows nothing newer is unavailable', async () => {
    const leaseId = await lease();
    const past = await client.range('/service/demo/', { timeoutMs: 1000 });
    await store.writeMember('n1', leaseId, member({ state: 'running' }));
    client.range = async () => past;
    await expect(store.read()).rejects.toThrow(/revision 1 is older than 2/);
  });

  test('a member whose raft term went backwards is passed over', async () => {
    await lead();
    memory.changeLeader();
    await store.read();
    const seen: number[] = [];
    client.fault = (call) => (call === 'range' && seen.push(1) === 1 ? 'deposed member' : null);
    expect((await store.read()).leader?.name).toBe('n1');
    expect(seen).toHaveLength(1);
  });

  test('another store in the same place is another history', async () => {
    await lead();
    await store.read();
    memory.replace();
    expect(await store.read()).toMatchObject({ leader: null, revision: 1 });
  });
});

describe('a write whose answer is lost', () => {
  test('a campaign is recognised as won', async () => {
    const leaseId = await lease();
    client.failOnce('transact', 'lost answer');
    const leadership = leadershipOf(await store.campaign('n1', leaseId, 2, 0));
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
  });

  test('a campaign that never arrived stays unknown while the key is free', async () => {
    const leaseId = await lease();
    client.failOnce('transact', 'late request');
    const error = await rejection(store.campaign('n1', leaseId, 2, 0));
    expect(error).toBeInstanceOf(StoreUnavailable);
    expect(error).toMatchObject({ mayHaveHappened: true });
    client.deliverLate();
    const { leader } = await store.read();
    expect(leader).toMatchObject({ name: 'n1', leaseId });
    // Campaigning again, on the same premises, recognises the late arrival as its own.
    expect(await store.campaign('n1', leaseId, 2, 0)).toMatchObject({
      won: true,
      leadership: { leaseId, modRevision: leader?.modRevision },
    });
  });

  test('a campaign that somebody else won meanwhile is lost', async () => {
    const leaseId = await lease();
    const other = over(memory.client());
    client.failOnce('transact', 'lost request');
    leadershipOf(await other.campaign('n2', (await other.grantLease(30)).leaseId, 2, 0));
    expect(await store.campaign('n1', leaseId, 2, 0)).toMatchObject({ won: false });
  });

  test('our name under another lease is not a win', async () => {
    const leaseId = await lease();
    const namesake = over(memory.client());
    await namesake.campaign('n1', (await namesake.grantLease(30)).leaseId, 2, 0);
    client.failOnce('transact', 'lost request');
    await expect(store.campaign('n1', leaseId, 2, 0)).rejects.toThrow(StoreUnavailable);
    expect(await store.campaign('n1', leaseId, 2, 0)).toMatchObject({ won: false });
  });

  test('taking over, claiming and the end of a bootstrap are recognised', async () => {
    client.failOnce('transact', 'lost answer');
    expect(await store.raceInitialize('n1')).toBe(true);
    const first = await lease();
    client.failOnce('transact', 'lost answer');
    const done = await store.finishBootstrap('n1', first, '1234567890', {});
    const { modRevision } = leadershipOf(done);
    const second = await lease();
    client.failOnce('transact', 'lost answer');
    const moved = leadershipOf(await store.takeOver('n1', second, { modRevision }));
    expect(moved).toMatchObject({ leaseId: second });
    expect(moved.modRevision).toBeGreaterThan(modRevision);
    const { timelines } = await store.read();
    client.failOnce('transact', 'lost answer');
    const seen = timelines?.modRevision ?? 0;
    expect(await store.claimTimeline('n1', moved, 2, seen)).toBe(true);
    client.failOnce('transact', 'lost answer');
    expect(await store.resign(moved, MARKER, STATUS)).toBe(true);
    expect(await store.read()).toMatchObject({ leader: null, handover: MARKER });
  });

  test('resigning is sent again, as it can only hit our own leadership', async () => {
    const leadership = await lead();
    client.failOnce('transact', 'lost request');
    expect(await store.resign(leadership, MARKER, null)).toBe(true);
    expect((await store.read()).leader).toBeNull();
  });

  test('giving up a bootstrap is settled', async () => {
    await store.raceInitialize('n1');
    const { initialize } = await store.read();
    const revision = initialize.kind === 'bootstrapping' ? initialize.modRevision : 0;
    client.failOnce('transact', 'lost answer');
    expect(await store.releaseInitialize('n1', revision)).toBe(true);
  });

  test('the id of an ambiguous lease is not used, and the lease is revoked', async () => {
    client.failOnce('grant', 'lost answer');
    const granted: string[] = [];
    const grant = memory.grant.bind(memory);
    memory.grant = (leaseId, ttl) => {
      granted.push(leaseId);
      return grant(leaseId, ttl);
    };
    const { leaseId } = await store.grantLease(30);
    expect(granted).toHaveLength(2);
    expect(leaseId).toBe(granted[1]);
    await expect
      .poll(() => memory.timeToLive(granted[0] ?? '').remainingSeconds, { interval: 1 })
      .toBe(0);
    expect(memory.timeToLive(leaseId).remainingSeconds).toBe(30);
  });

  test('ids of leases are random and fit 63 bits', async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, lease));
    expect(new Set(ids).size).toBe(50);
    for (const id of ids) expect(BigInt(id) > 0n && BigInt(id) < 2n ** 63n).toBe(true);
  });

  test('an older record that arrives late is written over', async () => {
    const leaseId = await lease();
    const [before, after] = [member({ state: 'starting' }), member({ state: 'running' })];
    client.failOnce('transact', 'late request');
    await expect(store.writeMember('n1', leaseId, before)).rejects.toThrow(StoreUnavailable);
    await store.writeMember('n1', leaseId, after);
    client.deliverLate();
    expect((await store.read()).members[0]?.state).toBe('starting');
    await store.writeMember('n1', leaseId, after);
    expect((await store.read()).members[0]?.state).toBe('running');
  });

  test('a write that failed is not taken for written', async () => {
    const leadership = await lead();
    client.failOnce('transact', 'refused connection');
    await expect(store.writeStatus(leadership, STATUS)).rejects.toThrow(StoreUnavailable);
    expect(await store.writeStatus(leadership, STATUS)).toBe(true);
    expect((await store.read()).status.optime).toBe(5);
  });
});

describe('other failures', () => {
  test('a full store refuses puts; renewals go on', async () => {
    const leadership = await lead();
    memory.full = true;
    const record = member({ state: 'running' });
    const error = await rejection(store.writeMember('n1', leadership.leaseId, record));
    expect(error).toBeInstanceOf(StoreRefused);
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
    expect((await store.read()).leader?.name).toBe('n1');
  });

  test('nothing is proven by a store that does not answer', async () => {
    const leadership = await lead();
    client.fault = () => 'lost request';
    await expect(store.renew('n1', leadership)).rejects.toThrow(StoreUnavailable);
    client.fault = (call) => (call === 'transact' ? 'lost answer' : null);
    await expect(store.renew('n1', leadership)).rejects.toThrow(StoreUnavailable);
  });

  test('a lease that is gone before its keys', async () => {
    const leadership = await lead();
    const half: KeyValueStore = Object.create(client, {
      keepAlive: { value: async () => ({ ...memory.header(), ttlSeconds: 0 }) },
      transact: { value: client.transact.bind(client) },
    });
    const renewal = await over(half).renew('n1', leadership);
    expect(renewal).toMatchObject({ proven: false, lost: false, ttlSeconds: 0 });
  });

  test('a broken watch asks to look again', async () => {
    const hints: string[] = [];
    store.watch((why) => void hints.push(why));
    memory.breakWatches('compacted');
    expect(hints.slice(0, 2)).toEqual(['compacted', 'watch: begins']);
  });

  test('the time for operations can be changed', () => {
    store.retryTimeoutMs = 500;
    expect(store.retryTimeoutMs).toBe(500);
    expect(() => {
      store.retryTimeoutMs = 0;
    }).toThrow(RangeError);
  });
});
