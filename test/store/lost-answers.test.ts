/** Writes whose outcome is unknown. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ClusterStore } from '../../src/store/cluster.ts';
import { StoreUnavailable } from '../../src/store/keyvalue.ts';
import { Faulty, rejection } from './faulty.ts';
import type { MemoryStore } from './memory.ts';
import type { MemoryClient } from './memory-client.ts';
import { leadershipOf, member } from './scene.ts';

const STATUS = { optime: 5, slots: {}, retainSlots: [] };
const MARKER = { leader: 'n1', floorLsn: 99, timeline: 1, candidate: null };

let faulty: Faulty;
let memory: MemoryStore;
let client: MemoryClient;
let store: ClusterStore;
beforeEach(() => {
  faulty = new Faulty();
  ({ memory, client, store } = faulty);
});

describe('a write whose answer is lost', () => {
  test('a campaign is recognised as won', async () => {
    const leaseId = await faulty.lease();
    client.failOnce('transact', 'lost answer');
    const leadership = leadershipOf(await store.campaign('n1', leaseId, 2, 0));
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
  });

  test('a campaign that never arrived stays unknown while the key is free', async () => {
    const leaseId = await faulty.lease();
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

  test('a write of /sync is recognised, and its absence never taken for done', async () => {
    const leadership = leadershipOf(await store.campaign('n1', await faulty.lease(), 2, 0));
    const content = { leader: 'n1', standbys: ['n2'], quorum: 0 };
    client.failOnce('transact', 'lost answer');
    expect(await store.writeSync(leadership, content, 0)).toBe(true);
    const { sync } = await store.read();
    client.failOnce('transact', 'lost request');
    expect(await store.writeSync(leadership, null, sync?.modRevision ?? 0)).toBe(true);
    expect((await store.read()).sync).toBeNull();
  });

  test('a campaign that somebody else won meanwhile is lost', async () => {
    const leaseId = await faulty.lease();
    const other = faulty.over(memory.client());
    client.failOnce('transact', 'lost request');
    leadershipOf(await other.campaign('n2', (await other.grantLease(30)).leaseId, 2, 0));
    expect(await store.campaign('n1', leaseId, 2, 0)).toMatchObject({ won: false });
  });

  test('our name under another lease is not a win', async () => {
    const leaseId = await faulty.lease();
    const namesake = faulty.over(memory.client());
    await namesake.campaign('n1', (await namesake.grantLease(30)).leaseId, 2, 0);
    client.failOnce('transact', 'lost request');
    await expect(store.campaign('n1', leaseId, 2, 0)).rejects.toThrow(StoreUnavailable);
    expect(await store.campaign('n1', leaseId, 2, 0)).toMatchObject({ won: false });
  });

  test('taking over, claiming and the end of a bootstrap are recognised', async () => {
    client.failOnce('transact', 'lost answer');
    expect(await store.raceInitialize('n1')).toBe(true);
    const first = await faulty.lease();
    client.failOnce('transact', 'lost answer');
    const done = await store.finishBootstrap('n1', first, '1234567890', {});
    const { modRevision } = leadershipOf(done);
    const second = await faulty.lease();
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
    const leadership = await faulty.lead();
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
    const ids = await Promise.all(Array.from({ length: 50 }, () => faulty.lease()));
    expect(new Set(ids).size).toBe(50);
    for (const id of ids) expect(BigInt(id) > 0n && BigInt(id) < 2n ** 63n).toBe(true);
  });

  test('an older record that arrives late is written over', async () => {
    const leaseId = await faulty.lease();
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
    const leadership = await faulty.lead();
    client.failOnce('transact', 'refused connection');
    await expect(store.writeStatus(leadership, STATUS)).rejects.toThrow(StoreUnavailable);
    expect(await store.writeStatus(leadership, STATUS)).toBe(true);
    expect((await store.read()).status.optime).toBe(5);
  });
});
