/** What the cluster store makes of the ways in which a store fails. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ClusterStore } from '../../src/store/cluster.ts';
import {
  type Header,
  type KeyValueStore,
  StoreRefused,
  StoreUnavailable,
} from '../../src/store/keyvalue.ts';
import { Faulty, rejection } from './faulty.ts';
import type { MemoryStore } from './memory.ts';
import type { MemoryClient } from './memory-client.ts';
import { member } from './scene.ts';

let faulty: Faulty;
let memory: MemoryStore;
let client: MemoryClient;
let store: ClusterStore;
beforeEach(() => {
  faulty = new Faulty();
  ({ memory, client, store } = faulty);
});

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

  test('D24: its answer proves nothing, although the key is still there', async () => {
    const leadership = await faulty.lead();
    const { store: stale, terms } = behind();
    memory.changeLeader();
    const renewal = await faulty.over(stale).renew('n1', leadership);
    expect(renewal).toMatchObject({ proven: false, lost: false, ttlSeconds: 30 });
    expect(renewal.why).toContain('raft term 2, the read in 3');
    expect(terms.length).toBeGreaterThan(1);
  });

  test('the renewal is repeated at once, with a member that knows', async () => {
    const leadership = await faulty.lead();
    faulty.clock.advance(10_000);
    client.failOnce('keepAlive', 'deposed member');
    memory.changeLeader();
    faulty.clock.advance(20_000);
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
    // The lease was really extended: it lives longer than the new leader alone would have let it.
    faulty.clock.advance(29_000);
    expect(memory.now().kvs.map(({ key }) => key)).toContain('/service/demo/leader');
  });

  test('when the lease ended meanwhile, the key is known to be lost', async () => {
    const leadership = await faulty.lead();
    const { store: stale } = behind();
    faulty.clock.advance(31_000);
    memory.changeLeader();
    const renewal = await faulty.over(stale).renew('n1', leadership);
    expect(renewal).toMatchObject({ proven: false, lost: true });
  });

  test('its word that a lease is gone is not taken', async () => {
    const leaseId = await faulty.lease();
    memory.changeLeader();
    const fresh = memory.client();
    fresh.failOnce('timeToLive', 'deposed member');
    const other = faulty.over(fresh);
    await expect(other.leaseRemaining(leaseId)).rejects.toThrow(StoreUnavailable);
    expect(await other.leaseRemaining(leaseId)).toBeGreaterThan(0);
  });
});

describe('read your writes (S3)', () => {
  test('a member that lags behind our own write is passed over', async () => {
    const leaseId = await faulty.lease();
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
    const leaseId = await faulty.lease();
    const past = await client.range('/service/demo/', { timeoutMs: 1000 });
    await store.writeMember('n1', leaseId, member({ state: 'running' }));
    client.range = async () => past;
    await expect(store.read()).rejects.toThrow(/revision 1 is older than 2/);
  });

  test('a member whose raft term went backwards is passed over', async () => {
    await faulty.lead();
    memory.changeLeader();
    await store.read();
    const seen: number[] = [];
    client.fault = (call) => (call === 'range' && seen.push(1) === 1 ? 'deposed member' : null);
    expect((await store.read()).leader?.name).toBe('n1');
    expect(seen).toHaveLength(1);
  });

  test('another store in the same place is another history', async () => {
    await faulty.lead();
    await store.read();
    memory.replace();
    expect(await store.read()).toMatchObject({ leader: null, revision: 1 });
  });
});

describe('a store that was wiped and kept its cluster id (D20)', () => {
  const FORGET_MS = 40_000;
  const status = { optime: 5, slots: {}, retainSlots: [] };

  test('is refused until every proven deadline is over, and accepted then', async () => {
    const leadership = await faulty.lead();
    await store.writeStatus(leadership, status);
    store.forgetAfterMs = FORGET_MS;
    memory.changeLeader();
    await store.read();
    memory.wipe();
    for (let gone = 0; gone <= FORGET_MS; gone += 2000) {
      await expect(store.read()).rejects.toThrow(StoreUnavailable);
      await expect(store.renew('n1', leadership)).rejects.toThrow(StoreUnavailable);
      faulty.clock.advance(2000);
    }
    await expect(store.read()).rejects.toThrow(StoreUnavailable);
    const view = await store.read();
    expect(view).toMatchObject({ leader: null, revision: 1 });
    expect(view.problems).toEqual([
      'the store went back from revision 3 to 1: it was restored or wiped',
    ]);
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: false, lost: true });
    faulty.clock.advance(FORGET_MS);
    expect((await store.read()).problems).toEqual([]);
  });

  test('what was written to the old one is written again', async () => {
    const record = member({ state: 'running' });
    const leaseId = await faulty.lease();
    await store.writeMember('n1', leaseId, record);
    await store.read();
    // The same lease id, as a backup that was restored may show it.
    memory.wipe();
    memory.grant(leaseId, 300);
    await expect(store.read()).rejects.toThrow(StoreUnavailable);
    faulty.clock.advance(store.forgetAfterMs + 1);
    await expect(store.read()).rejects.toThrow(StoreUnavailable);
    expect((await store.read()).members).toEqual([]);
    await store.writeMember('n1', leaseId, record);
    expect((await store.read()).members).toHaveLength(1);
  });

  test('a member that lags, beside good ones, changes nothing for however long', async () => {
    await faulty.lead();
    await store.writeMember('n1', await faulty.lease(), member({ state: 'running' }));
    client.fault = (call) => (call === 'range' ? 'lagging member' : null);
    for (let gone = 0; gone < 200_000; gone += 10_000) {
      expect((await store.read()).problems).toEqual([]);
      faulty.clock.advance(10_000);
    }
  });

  test('the time to forget can be changed, to anything but nothing', () => {
    expect(store.forgetAfterMs).toBe(60_000);
    expect(() => {
      store.forgetAfterMs = 0;
    }).toThrow(RangeError);
  });
});

describe('other failures', () => {
  test('a read is not starved by looks of our own at a store that others keep busy', async () => {
    const leadership = await faulty.lead();
    const range = client.range.bind(client);
    let reads = 0;
    client.range = async (prefix, options) => {
      const answer = await range(prefix, options);
      reads += 1;
      memory.transact([], [{ put: '/elsewhere', value: String(reads) }], []);
      expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
      return answer;
    };
    expect((await store.read()).leader?.name).toBe('n1');
    expect(reads).toBe(1);
  });

  test('a read that was overtaken by a write of our own is repeated', async () => {
    const leadership = await faulty.lead();
    const range = client.range.bind(client);
    let reads = 0;
    client.range = async (prefix, options) => {
      const answer = await range(prefix, options);
      reads += 1;
      await store.writeStatus(leadership, { optime: 5, slots: {}, retainSlots: [] });
      return answer;
    };
    expect((await store.read()).status.optime).toBe(5);
    expect(reads).toBe(2);
  });

  test('a full store refuses puts; renewals go on', async () => {
    const leadership = await faulty.lead();
    memory.full = true;
    const record = member({ state: 'running' });
    const error = await rejection(store.writeMember('n1', leadership.leaseId, record));
    expect(error).toBeInstanceOf(StoreRefused);
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
    expect((await store.read()).leader?.name).toBe('n1');
  });

  test('nothing is proven by a store that does not answer', async () => {
    const leadership = await faulty.lead();
    client.fault = () => 'lost request';
    await expect(store.renew('n1', leadership)).rejects.toThrow(StoreUnavailable);
    client.fault = (call) => (call === 'transact' ? 'lost answer' : null);
    await expect(store.renew('n1', leadership)).rejects.toThrow(StoreUnavailable);
  });

  test('a lease that is gone before its keys', async () => {
    const leadership = await faulty.lead();
    const half: KeyValueStore = Object.create(client, {
      keepAlive: { value: async () => ({ ...memory.header(), ttlSeconds: 0 }) },
      transact: { value: client.transact.bind(client) },
    });
    const renewal = await faulty.over(half).renew('n1', leadership);
    expect(renewal).toMatchObject({ proven: false, lost: false, ttlSeconds: 0 });
  });

  test('D15: a broken watch asks to look again', async () => {
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
