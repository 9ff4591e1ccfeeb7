/** Rule S1 on the lease keeper: what extends the deadline, what does not, and what it may cost. */
import { beforeEach, describe, expect, it } from 'vitest';
import { LeaseKeeper } from '../src/lease.ts';
import { ClusterStore } from '../src/store/cluster.ts';
import { ManualClock } from './store/manual-clock.ts';
import { MemoryStore } from './store/memory.ts';
import type { MemoryClient } from './store/memory-client.ts';

const TTL_MS = 6000;
const LEADER = '/service/test/leader';

let clock: ManualClock;
let etcd: MemoryStore;
let client: MemoryClient;
let keeper: LeaseKeeper;
let deadlines: number[];
let losses: string[];
let events: string[];

/** Lets everything that is due happen, in small steps of time. */
async function pass(ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 50) {
    clock.advance(50);
    for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

beforeEach(async () => {
  clock = new ManualClock();
  etcd = new MemoryStore(clock);
  client = etcd.client();
  deadlines = [];
  losses = [];
  events = [];
  const store = new ClusterStore(client, {
    namespace: 'service',
    scope: 'test',
    clock,
    retryTimeoutMs: 1000,
  });
  keeper = new LeaseKeeper({
    store,
    clock,
    name: 'n1',
    log: (_level, text) => {
      if (text.startsWith('lost')) losses.push(text);
    },
    onChange: () => undefined,
    onDeadline: (deadline) => deadlines.push(deadline),
    healthy: () => true,
    onMissed: () => events.push('missed'),
    onSettled: () => events.push('settled'),
  });
  keeper.begin(TTL_MS, 1000, null);
  await pass(50);
});

const lead = async (): Promise<void> => {
  const view = etcd.now().kvs.find((kv) => kv.key === '/service/test/tenure/timeline');
  const campaign = keeper.campaign(1, view?.modRevision ?? 0);
  await pass(100);
  expect((await campaign).won).toBe(true);
};

describe('the lease keeper', () => {
  it('has no deadline before leadership was proven', () => {
    expect(keeper.facts()).toMatchObject({ holdsLeaderKey: false, deadline: null });
    expect(keeper.facts().leaseId).not.toBeNull();
  });

  it('counts the deadline from the sending of the renewal, less the drift', async () => {
    client.latencyMs = 300;
    const campaign = keeper.campaign(1, 0);
    await pass(2000);
    expect((await campaign).won).toBe(true);
    const { deadline } = keeper.facts();
    // Sent at least two one-way trips before its proof was here.
    expect(deadline).not.toBeNull();
    expect((deadline as number) - clock.now()).toBeLessThan(TTL_MS - 50 - 600);
  });

  it('D25: counts on its own clock: the wall clock of the machine may jump', async () => {
    await lead();
    let jump = 0;
    clock.wall = () => new Date(clock.now() + jump);
    const sentAt = clock.now();
    for (jump of [7_200_000, -7_200_000]) await pass(2000);
    expect(losses).toEqual([]);
    for (const deadline of deadlines) expect(deadline - sentAt).toBeLessThan(4000 + TTL_MS);
    expect(deadlines.at(-1)).toBeGreaterThan(sentAt + TTL_MS);
  });

  it("D18: renews a leader's lease without being asked, and its deadline moves on", async () => {
    await lead();
    const first = keeper.facts().deadline as number;
    await pass(3 * TTL_MS);
    expect(keeper.facts().deadline).toBeGreaterThan(first + 2 * TTL_MS);
    expect(etcd.now().kvs.some((kv) => kv.key === LEADER)).toBe(true);
  });

  it('S1: a keep-alive of a member that lost leadership never makes the deadline outlive the lease', async () => {
    await lead();
    const leaseId = keeper.facts().leaseId as string;
    for (let turn = 0; turn < 60; turn += 1) {
      // Every other keep-alive is answered by the member that was in charge before.
      let stale = turn % 2 === 0;
      client.fault = (call) => {
        if (call !== 'keepAlive' || !stale) return null;
        stale = false;
        return 'deposed member';
      };
      if (turn % 7 === 0) etcd.raftTerm += 1;
      await pass(250);
      if (!keeper.facts().holdsLeaderKey) return;
      const left = etcd.timeToLive(leaseId).remainingSeconds * 1000;
      expect((keeper.facts().deadline as number) - clock.now()).toBeLessThanOrEqual(left);
    }
  });

  it('S1: with nothing but stale keep-alives the deadline stays, and then the lease ends', async () => {
    await lead();
    const before = keeper.facts().deadline;
    client.fault = (call) => {
      if (call === 'keepAlive') etcd.raftTerm += 1;
      return call === 'keepAlive' ? 'deposed member' : null;
    };
    await pass(TTL_MS / 2);
    expect(keeper.facts().deadline).toBe(before);
  });

  it('S1: the deadline stays where it was while the store does not answer', async () => {
    await lead();
    const before = keeper.facts().deadline;
    client.fault = () => 'lost request';
    await pass(TTL_MS);
    expect(keeper.facts().deadline).toBe(before);
    expect(clock.now()).toBeGreaterThan(before as number);
    client.fault = () => null;
  });

  it('knows that the key is lost when another took it', async () => {
    await lead();
    const other = etcd.client();
    await other.transact([], [{ put: LEADER, value: 'n2' }], [], { timeoutMs: 100 });
    await pass(TTL_MS / 2);
    expect(keeper.facts().holdsLeaderKey).toBe(false);
  });

  it('does not take back an answer that came after it resigned', async () => {
    await lead();
    client.latencyMs = 400;
    keeper.hurry();
    await pass(50);
    const resigning = keeper.resign(
      { leader: 'n1', floorLsn: 10, timeline: 1, candidate: null },
      null,
    );
    await pass(3000);
    expect(await resigning).toBe(true);
    expect(keeper.facts()).toMatchObject({ holdsLeaderKey: false, deadline: null });
  });

  it('gets a new lease after the old one ran out', async () => {
    const before = keeper.facts().leaseId;
    client.fault = () => 'refused connection';
    await pass(2 * TTL_MS);
    client.fault = () => null;
    await pass(2000);
    expect(keeper.facts().leaseId).not.toBe(before);
    expect(keeper.facts().leaseId).not.toBeNull();
  });

  it('moves the leader key to a new lease when ttl changes, and never lets it go', async () => {
    await lead();
    const before = keeper.facts();
    const change = keeper.configure(12_000, 1000);
    await pass(500);
    await change;
    const after = keeper.facts();
    expect(after.leaseId).not.toBe(before.leaseId);
    expect(after.deadline).toBeGreaterThan((before.deadline as number) + 5000);
    expect(etcd.now().kvs.find((kv) => kv.key === LEADER)?.leaseId).toBe(after.leaseId);
  });

  it('moves the key in the end when the answer to the move was lost', async () => {
    await lead();
    client.failOnce('transact', 'lost answer');
    const first = keeper.configure(12_000, 1000).catch((error: Error) => error);
    await pass(3000);
    await first;
    const second = keeper.configure(12_000, 1000);
    await pass(1000);
    await second;
    const { holdsLeaderKey, leaseId, deadline } = keeper.facts();
    expect(holdsLeaderKey).toBe(true);
    expect(etcd.now().kvs.find((kv) => kv.key === LEADER)?.leaseId).toBe(leaseId);
    expect(deadline).toBeGreaterThan(clock.now() + 6000);
  });

  describe('a move to a new ttl that failed once', () => {
    const configure = async (ttlMs: number, ms = 1000): Promise<unknown> => {
      const change = keeper.configure(ttlMs, 1000).catch((error: unknown) => error);
      await pass(ms);
      return change;
    };
    const leaderLease = (): string | null | undefined =>
      etcd.now().kvs.find((kv) => kv.key === LEADER)?.leaseId;
    /** The leader key is ours, on the lease in use, and stays so. */
    const expectLeading = async (): Promise<void> => {
      await pass(2 * 12_000);
      expect(keeper.facts().holdsLeaderKey).toBe(true);
      expect(leaderLease()).toBe(keeper.facts().leaseId);
      expect(losses).toEqual([]);
    };

    it('is not tried for ever with a lease that ran out meanwhile', async () => {
      await lead();
      client.failOnce('transact', 'refused connection');
      expect(await configure(12_000)).toBeInstanceOf(Error);
      await pass(13_000);
      expect(await configure(12_000)).toBeUndefined();
      expect(keeper.ttlMs).toBe(12_000);
      await expectLeading();
    });

    it('nor when only the move itself finds out', async () => {
      await lead();
      client.failOnce('transact', 'refused connection');
      await configure(12_000);
      await pass(13_000);
      client.failOnce('keepAlive', 'deposed member');
      expect(await configure(12_000)).toBeUndefined();
      await expectLeading();
    });

    it('keeps the lease alive that has waited before the key is put on it', async () => {
      await lead();
      client.failOnce('transact', 'refused connection');
      await configure(12_000);
      await pass(10_000);
      const remaining: number[] = [];
      const transact = etcd.transact.bind(etcd);
      etcd.transact = (compare, effects, otherwise) => {
        for (const one of effects) {
          if (!('put' in one) || one.put !== LEADER) continue;
          remaining.push(etcd.timeToLive(one.leaseId ?? '').remainingSeconds);
        }
        return transact(compare, effects, otherwise);
      };
      expect(await configure(12_000)).toBeUndefined();
      expect(remaining).toEqual([12]);
      await expectLeading();
    });

    it('leaves nothing behind when it is not wanted any more', async () => {
      await lead();
      client.failOnce('transact', 'refused connection');
      await configure(12_000);
      await pass(13_000);
      await configure(TTL_MS);
      const calls: string[] = [];
      client.fault = (call) => {
        calls.push(call);
        return null;
      };
      await keeper.configure(TTL_MS, 1000);
      expect(calls).toEqual([]);
      await expectLeading();
    });

    it('is no loss of the key when it arrived and nobody heard of it', async () => {
      await lead();
      const before = keeper.facts().leaseId;
      let moving = true;
      client.fault = (call) => (call === 'transact' && moving ? 'lost answer' : null);
      const change = keeper.configure(12_000, 1000).catch((error: Error) => error);
      await pass(200);
      moving = false;
      expect(await change).toBeInstanceOf(Error);
      expect(leaderLease()).not.toBe(before);
      // The renewal finds the key on the other lease, before the loop comes back with the policy.
      await expectLeading();
      expect(keeper.ttlMs).toBe(12_000);
    });

    it('is ended first when yet another ttl, or the old one, is asked for', async () => {
      for (const ttlMs of [9000, TTL_MS]) {
        if (!keeper.facts().holdsLeaderKey) await lead();
        client.fault = (call) => (call === 'transact' ? 'lost answer' : null);
        const change = keeper.configure(12_000, 1000).catch((error: Error) => error);
        await pass(100);
        client.fault = () => null;
        await change;
        expect(await configure(ttlMs)).toBeUndefined();
        expect(keeper.ttlMs).toBe(ttlMs);
        expect(etcd.ttlOf(leaderLease() ?? '')).toBe(ttlMs / 1000);
        await expectLeading();
      }
    });

    it('costs a replica nothing either', async () => {
      client.failOnce('grant', 'refused connection');
      expect(await configure(12_000)).toBeInstanceOf(Error);
      expect(await configure(12_000)).toBeUndefined();
      expect(etcd.ttlOf(keeper.facts().leaseId ?? '')).toBe(12);
    });
  });

  it('keeps the lease that the key is on, whatever a renewal has granted meanwhile (simulator, 1-75)', async () => {
    const former = keeper.facts().leaseId;
    client.latencyMs = 300;
    const keepAlive = client.keepAlive.bind(client);
    client.keepAlive = async (...call) => {
      client.keepAlive = keepAlive;
      return { ...(await keepAlive(...call)), ttlSeconds: 0 };
    };
    keeper.hurry();
    await pass(100);
    const campaign = keeper.campaign(1, 0);
    await pass(4000);
    expect((await campaign).won).toBe(true);
    expect(etcd.now().kvs.find(({ key }) => key === LEADER)?.leaseId).toBe(former);
    expect(keeper.facts()).toMatchObject({ holdsLeaderKey: true, leaseId: former });
  });

  describe('without the store (contract 5.4)', () => {
    const ours = (): NonNullable<LeaseKeeper['leadership']> => {
      if (keeper.leadership === null) throw new Error('not the leader');
      return keeper.leadership;
    };

    it('D16, D21, D22: says at the first renewal that fails that other proof is needed, and when it is over', async () => {
      await lead();
      events = [];
      client.fault = () => 'refused connection';
      await pass(3000);
      expect(events[0]).toBe('missed');
      expect(events).not.toContain('settled');
      client.fault = () => null;
      await pass(3000);
      expect(events.at(-1)).toBe('settled');
    });

    it('goes on for as long as all have agreed, from the time of asking', async () => {
      await lead();
      client.fault = () => 'refused connection';
      await pass(1000);
      const sentAt = clock.now();
      keeper.vouched(sentAt, ours());
      expect(keeper.facts().deadline).toBe(sentAt + TTL_MS - 50);
      expect(deadlines.at(-1)).toBe(sentAt + TTL_MS - 50);
      // What was asked before says less than what is known.
      keeper.vouched(sentAt - 500, ours());
      expect(keeper.facts().deadline).toBe(sentAt + TTL_MS - 50);
    });

    it('revives nothing: neither a deadline that is over nor another leadership', async () => {
      await lead();
      const { deadline } = keeper.facts();
      client.fault = () => 'refused connection';
      await pass(100);
      keeper.vouched(clock.now(), { ...ours(), modRevision: 1 });
      expect(keeper.facts().deadline).toBe(deadline);
      await pass(TTL_MS + 1000);
      keeper.vouched(clock.now(), ours());
      expect(keeper.facts().deadline).toBe(deadline);
    });
  });

  it('S8: gives a primary found at start its time to be proven, and tells the fence', () => {
    const started = new LeaseKeeper({
      store: new ClusterStore(
        etcd.client(() => 'lost request'),
        { namespace: 'service', scope: 'x', clock, retryTimeoutMs: 1000 },
      ),
      clock,
      name: 'n1',
      log: () => undefined,
      onChange: () => undefined,
      onDeadline: (deadline) => deadlines.push(deadline),
      healthy: () => true,
      onMissed: () => undefined,
      onSettled: () => undefined,
    });
    started.begin(TTL_MS, 1000, clock.now() + 1000);
    expect(deadlines.at(-1)).toBe(clock.now() + 1000);
    expect(started.facts().deadline).toBe(clock.now() + 1000);
  });
});
