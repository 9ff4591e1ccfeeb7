/** Several endpoints, some of which are frozen, dead, full or behind a login: with real etcd. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Etcd, Lab, waitFor, within } from '../../scripts/lab/index.ts';
import { RealClock } from '../../src/clock.ts';
import { ClusterStore } from '../../src/store/cluster.ts';
import { EtcdKeyValueStore, type EtcdOptions } from '../../src/store/etcd.ts';
import {
  type Change,
  type Header,
  type KeyValueStore,
  StoreRefused,
  StoreUnavailable,
} from '../../src/store/keyvalue.ts';
import type { Leadership } from '../../src/store/store.ts';
import { rejection } from './faulty.ts';
import { leadershipOf, member } from './scene.ts';

const CALL = { timeoutMs: 5000 };
const clock = new RealClock();
let lab: Lab;
let opened: { close(): void }[];
beforeEach(() => {
  lab = Lab.open();
  opened = [];
});
afterEach(async () => {
  for (const one of opened) one.close();
  await lab.close();
});

function connect(options: EtcdOptions): EtcdKeyValueStore {
  const store = new EtcdKeyValueStore(options, clock);
  opened.push(store);
  return store;
}

function cluster(store: KeyValueStore, retryTimeoutMs = 5000): ClusterStore {
  return new ClusterStore(store, { namespace: 'service', scope: 'demo', clock, retryTimeoutMs });
}

async function lead(store: ClusterStore, ttlSeconds = 60): Promise<Leadership> {
  const { leaseId } = await store.grantLease(ttlSeconds);
  return leadershipOf(await store.campaign('n1', leaseId, 1, 0));
}

describe('three members', () => {
  test('with the preferred one frozen, every operation succeeds elsewhere', async () => {
    const etcd = await Etcd.start(lab, 3);
    const leader = await etcd.leader();
    const follower = etcd.members.find((one) => one !== leader);
    if (!follower) throw new Error('no follower');
    const others = etcd.urls.filter((url) => url !== follower.url);
    const urls = [follower.url, ...others];
    const start = async (): Promise<ClusterStore> => {
      const store = cluster(connect({ urls }));
      await store.read();
      return store;
    };
    const stores = await Promise.all(Array.from({ length: 4 }, start));
    const [first, second, third, fourth] = stores as [
      ClusterStore,
      ClusterStore,
      ClusterStore,
      ClusterStore,
    ];
    const leadership = await lead(first);
    follower.pause();
    await Promise.all([
      first.renew('n1', leadership).then((renewal) => expect(renewal.proven).toBe(true)),
      second.read().then((view) => expect(view.leader?.name).toBe('n1')),
      third.grantLease(30).then(({ ttlSeconds }) => expect(ttlSeconds).toBe(30)),
      fourth.leaseRemaining(leadership.leaseId).then((left) => expect(left).toBeGreaterThan(0)),
    ]);
    // The ambiguous write is reported; the next one goes elsewhere.
    const write = (): Promise<boolean> =>
      second.writeStatus(leadership, { optime: 7, slots: {}, retainSlots: [] });
    await write().catch((error: unknown) => expect(error).toBeInstanceOf(StoreUnavailable));
    expect(await write()).toBe(true);
    follower.resume();
    await etcd.ready();
    expect((await first.read()).status.optime).toBe(7);
  });

  test('a campaign through a frozen member is settled elsewhere, or known to be unknown', async () => {
    const etcd = await Etcd.start(lab, 3);
    const leader = await etcd.leader();
    const follower = etcd.members.find((one) => one !== leader) ?? leader;
    const urls = [follower.url, ...etcd.urls.filter((url) => url !== follower.url)];
    const store = cluster(connect({ urls }));
    await store.read();
    const { leaseId } = await store.grantLease(60);
    follower.pause();
    const campaign = (): ReturnType<ClusterStore['campaign']> =>
      store.campaign('n1', leaseId, 1, 0);
    const first = await campaign().catch((error: unknown) => error);
    if (first instanceof Error) expect(first).toMatchObject({ mayHaveHappened: true });
    leadershipOf(await campaign());
    follower.resume();
    await etcd.ready();
    const { leader: holder, timelines } = await store.read();
    expect(holder).toMatchObject({ name: 'n1', leaseId });
    expect(timelines?.claims).toEqual([[1, 'n1']]);
  });

  test('a leader of the store that was frozen through an election proves nothing', async () => {
    const etcd = await Etcd.start(lab, 3);
    // Nearly every round shows the answer of a deposed leader; one has to, or nothing was tested.
    let stale = 0;
    for (let round = 0; round < 8 && stale === 0; round += 1) {
      const frozen = await etcd.leader();
      const others = etcd.members.filter((one) => one !== frozen);
      stale += (await renewThroughFrozenLeader(etcd, frozen, others)).stale;
    }
    expect(stale).toBeGreaterThan(0);
  });

  /** Keep-alives go to the frozen member alone, proofs to the others. */
  async function renewThroughFrozenLeader(
    etcd: Etcd,
    frozen: Etcd['members'][number],
    others: Etcd['members'],
  ): Promise<{ readonly stale: number }> {
    const old = connect({ urls: [frozen.url] });
    const rest = connect({ urls: others.map(({ url }) => url) });
    const terms: [keepAlive: number, proof: number][] = [];
    let lastKeepAlive: Header | null = null;
    const patient = { timeoutMs: 20_000, attemptMs: 20_000 };
    const split: KeyValueStore = Object.create(rest, {
      range: { value: rest.range.bind(rest) },
      grant: { value: rest.grant.bind(rest) },
      keepAlive: {
        value: async (leaseId: string) => {
          const answer = await old.keepAlive(leaseId, patient);
          lastKeepAlive = answer;
          return answer;
        },
      },
      transact: {
        value: async (...call: Parameters<KeyValueStore['transact']>) => {
          const answer = await rest.transact(...call);
          if (lastKeepAlive) terms.push([lastKeepAlive.raftTerm, answer.raftTerm]);
          return answer;
        },
      },
    });
    const store = cluster(split, 25_000);
    const { leader, timelines } = await store.read();
    if (leader) await etcd.delete('/service/demo/leader');
    const { leaseId } = await store.grantLease(60);
    const claim = (timelines?.claims.at(-1)?.[0] ?? 0) + 1;
    const seen = timelines?.modRevision ?? 0;
    const leadership = leadershipOf(await store.campaign('n1', leaseId, claim, seen));
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
    terms.length = 0;

    frozen.pause();
    const pending = store.renew('n1', leadership);
    const elected = await waitFor('another leader of the store', 20_000, async () => {
      const now = await rest
        .transact([], [{ get: '/x' }], [], { timeoutMs: 1000 })
        .catch(() => null);
      return now && lastKeepAlive && now.raftTerm > lastKeepAlive.raftTerm ? now : undefined;
    });
    frozen.resume();
    const renewal = await pending.catch((error: unknown) => error);
    if (!(renewal instanceof Error)) {
      const [keepAlive, proof] = terms.at(-1) ?? [0, 0];
      const { proven } = renewal as { proven: boolean };
      expect(proven).toBe(keepAlive === proof);
      if (proven) expect(keepAlive).toBeGreaterThanOrEqual(elected.raftTerm);
    } else {
      expect(renewal).toBeInstanceOf(StoreUnavailable);
    }
    await etcd.ready();
    return { stale: terms.filter(([keepAlive, proof]) => keepAlive < proof).length };
  }

  test('with all frozen nothing succeeds; afterwards everything does', async () => {
    const etcd = await Etcd.start(lab, 3);
    const store = cluster(connect({ urls: etcd.urls }), 1500);
    const leadership = await lead(store);
    for (const one of etcd.members) one.pause();
    const calls = [
      store.read(),
      store.renew('n1', leadership),
      store.grantLease(30),
      store.writeMember('n1', leadership.leaseId, member({ state: 'running' })),
      store.leaseRemaining(leadership.leaseId),
    ];
    const errors = await within(4000, Promise.all(calls.map(rejection)));
    expect(errors).toHaveLength(5);
    for (const error of errors ?? []) expect(error).toBeInstanceOf(StoreUnavailable);
    for (const one of etcd.members) one.resume();
    const view = await waitFor('the store', 20_000, () => store.read().catch(() => undefined));
    expect(view.leader?.name).toBe('n1');
    await waitFor('a proof', 20_000, async () => {
      const renewal = await store.renew('n1', leadership).catch(() => null);
      return renewal?.proven || undefined;
    });
  });

  test('the watch moves on when its member freezes, when it dies, and over a compaction', async () => {
    const etcd = await Etcd.start(lab, 3);
    const store = connect({ urls: etcd.urls });
    const put = (key: string): Promise<unknown> =>
      store.transact([], [{ put: `/w/${key}`, value: '' }], [], CALL);
    await put('before');
    const changes: Change[] = [];
    const gaps: string[] = [];
    const watch = store.watch(
      '/w/',
      (more) => void changes.push(...more),
      (why) => void gaps.push(why),
    );
    await waitFor('the watch', 10_000, async () => gaps.includes('watch: begins') || undefined);
    const stillSeen = async (key: string): Promise<void> => {
      await waitFor(`a change (${key}) to be seen`, 20_000, async () => {
        await put(key).catch(() => undefined); // also tells which endpoint does not answer
        return changes.some((change) => change.key === `/w/${key}`) || undefined;
      });
    };
    etcd.member(0).pause();
    await stillSeen('frozen');
    // While a member is away, all that it has not told the watch becomes history that nobody keeps.
    const { revision } = await store.range('/w/', CALL);
    await etcd.etcdctl(['compact', '--physical', String(revision)], etcd.member(2));
    await stillSeen('compacted');
    etcd.member(0).resume();
    await etcd.ready();
    await etcd.etcdctl(['defrag']);
    await stillSeen('defragmented');
    await etcd.member(1).kill();
    await stillSeen('dead');
    watch.stop();
  });
});

describe('one member', () => {
  test('killed and started again: unavailable meanwhile, then as before', async () => {
    const etcd = await Etcd.start(lab);
    const store = cluster(connect({ urls: etcd.urls }), 1000);
    const leadership = await lead(store);
    await etcd.member(0).kill();
    const error = await rejection(store.renew('n1', leadership));
    expect(error).toBeInstanceOf(StoreUnavailable);
    expect(error).toMatchObject({ mayHaveHappened: false });
    await etcd.member(0).start();
    await waitFor('a proof', 20_000, async () => {
      const renewal = await store.renew('n1', leadership).catch(() => null);
      return renewal?.proven || undefined;
    });
  });

  test('full: puts are refused at once, renewals and reads go on', async () => {
    const etcd = await Etcd.start(lab);
    const one = etcd.member(0);
    const kv = connect({ urls: etcd.urls });
    const store = cluster(kv);
    const leadership = await lead(store);
    await one.stop();
    one.configure(`${one.name}=${one.peerUrl}`, [`--quota-backend-bytes=${2 * 1024 * 1024}`]);
    await one.start();
    await etcd.ready();
    const value = 'x'.repeat(500_000);
    const error = await waitFor('the store to be full', 20_000, async () => {
      return (await rejection(kv.transact([], [{ put: '/fill', value }], [], CALL))) ?? undefined;
    });
    expect(error).toBeInstanceOf(StoreRefused);
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    const written = rejection(store.writeMember('n1', leadership.leaseId, member({})));
    expect(await written).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await store.renew('n1', leadership)).toMatchObject({ proven: true });
    expect((await store.read()).leader?.name).toBe('n1');
  });

  test('with users: the right password, a wrong one, none, one that nobody asked for', async () => {
    const etcd = await Etcd.start(lab);
    const named = { urls: etcd.urls, username: 'root', password: 'secret' };
    const early = connect(named);
    expect((await early.range('/a/', CALL)).kvs).toEqual([]);
    await etcd.etcdctl(['user', 'add', 'root:secret']);
    await etcd.etcdctl(['user', 'grant-role', 'root', 'root']);
    await etcd.etcdctl(['auth', 'enable']);
    // One that has done without goes on with a login.
    for (const store of [early, connect(named)]) {
      expect((await store.range('/a/', CALL)).kvs).toEqual([]);
      await store.grant('77', 30, CALL).catch(() => undefined);
      expect(await store.keepAlive('77', CALL)).toMatchObject({ ttlSeconds: 30 });
    }
    for (const options of [{ ...named, password: 'wrong' }, { urls: etcd.urls }]) {
      const error = await rejection(connect(options).range('/a/', CALL));
      expect(error).toBeInstanceOf(StoreRefused);
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    }
  });
});
