/** What {@link ClusterStore} promises, over any key-value store. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { MemberRecord } from '../../src/core/model.ts';
import { ClusterStore } from '../../src/store/cluster.ts';
import { type KeyValueStore, LeaseGone } from '../../src/store/keyvalue.ts';
import { decodeMember } from '../../src/store/members.ts';
import type { CampaignResult, Leadership } from '../../src/store/store.ts';
import { CALL, type Subject } from './contract.ts';

export function member(fields: object): MemberRecord {
  return decodeMember(JSON.stringify(fields), () => undefined);
}

/** The leadership of a campaign that has to have been won. */
export function leadershipOf(result: CampaignResult): Leadership {
  if (!result.won) throw new Error(`not won: ${result.why}`);
  return result.leadership;
}

const STATUS = { optime: 5, slots: {}, retainSlots: [] };
const MARKER = { leader: 'n1', floorLsn: 99, timeline: 1, candidate: null };

export function describeCluster(name: string, subject: () => Subject, clock: () => Clock): void {
  let raw: KeyValueStore;
  let one: ClusterStore;
  let two: ClusterStore;
  let scope = 0;
  let base: string;
  beforeEach(() => {
    scope += 1;
    base = `/cluster/s${scope}`;
    const options = {
      namespace: 'cluster',
      scope: `s${scope}`,
      clock: clock(),
      retryTimeoutMs: 5000,
    };
    raw = subject().client();
    one = new ClusterStore(subject().client(), options);
    two = new ClusterStore(subject().client(), options);
  });
  afterEach(() => {
    for (const store of [raw, one, two]) store.close();
  });
  const put = (key: string, value: string) =>
    raw.transact([], [{ put: `${base}/${key}`, value }], [], CALL);
  const remove = (key: string) => raw.transact([], [{ delete: `${base}/${key}` }], [], CALL);
  const dump = async () => (await raw.range(`${base}/`, CALL)).kvs;
  const lease = async (store: ClusterStore, ttl = 30) => (await store.grantLease(ttl)).leaseId;
  /** Bootstraps as n1. */
  const lead = async (): Promise<Leadership> => {
    await one.raceInitialize('n1');
    const leaseId = await lease(one);
    return leadershipOf(
      await one.finishBootstrap('n1', leaseId, '7710215941031662088', { ttl: 30 }),
    );
  };

  describe(`${name}: bootstrap`, () => {
    test('one wins the race, and only the winner finishes', async () => {
      expect(await Promise.all([one.raceInitialize('n1'), two.raceInitialize('n2')])).toContain(
        true,
      );
      const { initialize } = await one.read();
      if (initialize.kind !== 'bootstrapping') throw new Error(initialize.kind);
      const [winner, loser] = initialize.owner === 'n1' ? [one, two] : [two, one];
      const other = initialize.owner === 'n1' ? 'n2' : 'n1';
      const owner = initialize.owner ?? '';
      expect(await loser.raceInitialize(other)).toBe(false);
      const refused = await loser.finishBootstrap(other, await lease(loser), '1234567890', {});
      expect(refused.won).toBe(false);
      const leaseId = await lease(winner);
      const done = await winner.finishBootstrap(owner, leaseId, '1234567890', { ttl: 5 });
      const view = await loser.read();
      expect(view).toMatchObject({
        initialize: { kind: 'initialized', systemIdentifier: '1234567890' },
        leader: { name: owner, leaseId, modRevision: leadershipOf(done).modRevision },
        config: { kind: 'valid', values: { ttl: 5 } },
        timelines: { claims: [[1, owner]] },
        problems: [],
      });
      expect((await dump()).map(({ key }) => key)).not.toContain(`${base}/tenure/bootstrap`);
    });

    test('only an unfinished bootstrap of our own is given up', async () => {
      await one.raceInitialize('n1');
      const { initialize } = await one.read();
      const revision = initialize.kind === 'bootstrapping' ? initialize.modRevision : 0;
      expect(await two.releaseInitialize('n2', revision)).toBe(false);
      expect(await one.releaseInitialize('n1', revision + 1)).toBe(false);
      expect(await one.releaseInitialize('n1', revision)).toBe(true);
      expect((await one.read()).initialize.kind).toBe('absent');
      await lead();
      const finished = (await one.read()).initialize;
      const later = finished.kind === 'initialized' ? finished.modRevision : 0;
      expect(await one.releaseInitialize('n1', later)).toBe(false);
    });
  });

  describe(`${name}: campaign`, () => {
    test('of two, one wins; its claim and the marker go with it', async () => {
      await put('tenure/handover', '{"leader":"n9"}');
      const leases = [await lease(one), await lease(two)] as const;
      const results = await Promise.all([
        one.campaign('n1', leases[0], 4, 0),
        two.campaign('n2', leases[1], 4, 0),
      ]);
      expect(results.filter(({ won }) => won)).toHaveLength(1);
      const view = await one.read();
      const winner = results[0].won ? 'n1' : 'n2';
      expect(view.leader?.name).toBe(winner);
      expect(view.timelines?.claims).toEqual([[4, winner]]);
      expect(view.handover).toBeNull();
      const loser = results.find(({ won }) => !won);
      expect(loser).toMatchObject({ why: `the leader key is held by ${winner}` });
    });

    test('fails when claims changed since, and when the claim is not above them', async () => {
      await put('tenure/timeline', '[[3,"n9"]]');
      const seen = (await one.read()).timelines?.modRevision ?? 0;
      const leaseId = await lease(one);
      expect(await one.campaign('n1', leaseId, 4, 0)).toMatchObject({ won: false });
      expect(await one.campaign('n1', leaseId, 3, seen)).toMatchObject({ won: false });
      await put('tenure/timeline', '[[3,"n9"],[4,"n8"]]');
      expect(await one.campaign('n1', leaseId, 4, seen)).toMatchObject({ won: false });
      expect((await one.read()).leader).toBeNull();
      const now = (await two.read()).timelines?.modRevision ?? 0;
      // The claims were not read by this one: it looks them up.
      expect(await one.campaign('n1', leaseId, 5, now)).toMatchObject({ won: true });
      expect((await one.read()).timelines?.claims).toEqual([
        [3, 'n9'],
        [4, 'n8'],
        [5, 'n1'],
      ]);
    });

    test('without a claim the claims stay, and still have to be those that were seen', async () => {
      await put('tenure/timeline', '[[3,"n9"]]');
      const leaseId = await lease(one);
      expect(await one.campaign('n1', leaseId, null, 0)).toMatchObject({ won: false });
      const seen = (await one.read()).timelines?.modRevision ?? 0;
      expect(await one.campaign('n1', leaseId, null, seen)).toMatchObject({ won: true });
      expect((await one.read()).timelines).toEqual({ claims: [[3, 'n9']], modRevision: seen });
    });

    test('a key that somebody holds is not taken, with or without a claim', async () => {
      await put('leader', 'patroni');
      const leaseId = await lease(one);
      const lost = { won: false, why: 'the leader key is held by patroni' };
      expect(await one.campaign('n1', leaseId, 2, 0)).toEqual(lost);
      expect(await one.campaign('n1', leaseId, null, 0)).toEqual(lost);
      expect(await one.read()).toMatchObject({ leader: { name: 'patroni' }, timelines: null });
    });

    test('overwrites claims that are garbage, under the same guard', async () => {
      await put('tenure/timeline', 'garbage');
      const { timelines, problems } = await one.read();
      expect(problems).toHaveLength(1);
      const leaseId = await lease(one);
      expect(await one.campaign('n1', leaseId, 7, 0)).toMatchObject({ won: false });
      expect(await one.campaign('n1', leaseId, 7, timelines?.modRevision ?? 0)).toMatchObject({
        won: true,
      });
      expect(await one.read()).toMatchObject({ timelines: { claims: [[7, 'n1']] }, problems: [] });
    });

    test('needs a lease that lives', async () => {
      await expect(one.campaign('n1', '4711', 2, 0)).rejects.toThrow(LeaseGone);
    });
  });

  describe(`${name}: guards (S2)`, () => {
    /** Everything that a leader writes; none of it may succeed, and none may change anything. */
    const refusesAll = async (leadership: Leadership): Promise<void> => {
      await put('failover', '{"member":"n2"}');
      const view = await one.read();
      const before = await dump();
      expect(await one.writeStatus(leadership, STATUS)).toBe(false);
      expect(await one.writeHistory(leadership, [])).toBe(false);
      expect(await one.writeInitialize(leadership, '9999999999')).toBe(false);
      expect(await one.writeConfig(leadership, { ttl: 99 })).toBe(false);
      expect(await one.clearFailover(leadership, view.failover?.modRevision ?? 0)).toBe(false);
      const seen = view.timelines?.modRevision ?? 0;
      expect(await one.claimTimeline('n1', leadership, 50, seen)).toBe(false);
      expect(await one.resign(leadership, MARKER, STATUS)).toBe(false);
      expect(await one.renew('n1', leadership)).toMatchObject({ proven: false, lost: true });
      expect(await dump()).toEqual(before);
    };

    test('an evicted leader changes nothing, though its lease lives', async () => {
      const leadership = await lead();
      await remove('leader');
      const seen = (await two.read()).timelines?.modRevision ?? 0;
      leadershipOf(await two.campaign('n2', await lease(two), 2, seen));
      await refusesAll(leadership);
    });

    test('a key that moved to another lease under our name is not ours (same creation)', async () => {
      const leadership = await lead();
      const before = (await one.read()).leader;
      const seen = { modRevision: leadership.modRevision };
      const moved = leadershipOf(await two.takeOver('n1', await lease(two), seen));
      const after = (await one.read()).leader;
      expect(after?.createRevision).toBe(before?.createRevision);
      expect(after?.leaseId).toBe(moved.leaseId);
      await refusesAll(leadership);
    });

    test('nor one that was put again under the very same lease', async () => {
      const leadership = await lead();
      const { leaseId } = leadership;
      await raw.transact([], [{ put: `${base}/leader`, value: 'n1', leaseId }], [], CALL);
      await refusesAll(leadership);
    });

    test('nor one that somebody put under another lease, whatever it says', async () => {
      const leadership = await lead();
      await put('leader', 'n1');
      const { modRevision } = (await one.read()).leader ?? { modRevision: 0 };
      await refusesAll({ ...leadership, modRevision });
    });

    test('taking over needs our name and the revision that was seen', async () => {
      const leadership = await lead();
      const seen = { modRevision: leadership.modRevision };
      const leaseId = await lease(two);
      expect(await two.takeOver('n2', leaseId, seen)).toMatchObject({ won: false });
      const other = { modRevision: leadership.modRevision + 1 };
      expect(await two.takeOver('n1', leaseId, other)).toMatchObject({ won: false });
      expect(await two.takeOver('n1', leaseId, seen)).toMatchObject({ won: true });
    });

    test('a leader writes all of it', async () => {
      const leadership = await lead();
      await put('failover', '{"member":"n2"}');
      const { failover, timelines } = await one.read();
      expect(await one.writeStatus(leadership, STATUS)).toBe(true);
      expect(await one.writeHistory(leadership, [])).toBe(true);
      expect(await one.writeInitialize(leadership, '9999999999')).toBe(true);
      expect(await one.writeConfig(leadership, { ttl: 99 })).toBe(true);
      expect(await one.clearFailover(leadership, failover?.modRevision ?? 0)).toBe(true);
      const seen = timelines?.modRevision ?? 0;
      expect(await one.claimTimeline('n1', leadership, 1, seen)).toBe(false);
      expect(await one.claimTimeline('n1', leadership, 2, seen)).toBe(true);
      expect(await one.claimTimeline('n1', leadership, 3, seen)).toBe(false);
      expect(await two.read()).toMatchObject({
        status: STATUS,
        history: [],
        initialize: { systemIdentifier: '9999999999' },
        config: { values: { ttl: 99 } },
        failover: null,
        timelines: {
          claims: [
            [1, 'n1'],
            [2, 'n1'],
          ],
        },
      });
    });

    test('a request that came meanwhile is not cleared', async () => {
      const leadership = await lead();
      await put('failover', '{"member":"n2"}');
      const seen = (await one.read()).failover?.modRevision ?? 0;
      await put('failover', '{"member":"n3"}');
      expect(await one.clearFailover(leadership, seen)).toBe(true);
      expect((await one.read()).failover?.candidate).toBe('n3');
    });
  });

  describe(`${name}: renewing and resigning`, () => {
    test('a renewal is proven by the key, not by the lease', async () => {
      const leadership = await lead();
      expect(await one.renew('n1', leadership)).toMatchObject({ proven: true, ttlSeconds: 30 });
      await remove('leader');
      const renewal = await one.renew('n1', leadership);
      expect(renewal).toMatchObject({ proven: false, lost: true, ttlSeconds: 30 });
      expect(renewal.why).toContain('not there');
    });

    test('resigning frees the key and leaves the marker, once', async () => {
      const leadership = await lead();
      expect(await one.resign(leadership, MARKER, STATUS)).toBe(true);
      expect(await two.read()).toMatchObject({ leader: null, handover: MARKER, status: STATUS });
      expect(await one.resign(leadership, MARKER, null)).toBe(false);
      expect(await one.leaseRemaining(leadership.leaseId)).toBeGreaterThan(0);
    });

    test('the remaining life of a lease', async () => {
      const { leaseId, ttlSeconds } = await one.grantLease(30);
      expect(await two.leaseRemaining(leaseId)).toBeLessThanOrEqual(ttlSeconds * 1000);
      expect(await two.leaseRemaining(leaseId)).toBeGreaterThan((ttlSeconds - 5) * 1000);
      expect(await two.leaseRemaining('4711')).toBe(0);
      expect(await one.keepAlive(leaseId)).toEqual({ ttlSeconds });
      expect(await one.keepAlive('4711')).toEqual({ ttlSeconds: 0 });
    });
  });

  describe(`${name}: what is written`, () => {
    const record = member({ state: 'running', role: 'replica', xlog_location: 1 });
    const revision = async () => (await two.read()).members[0]?.modRevision;

    test('an unchanged member is not written again; another lease, or a lost key, is', async () => {
      const [first, second] = [await lease(one), await lease(one)];
      await one.writeMember('n1', first, record);
      const before = await revision();
      await one.writeMember('n1', first, record);
      expect(await revision()).toBe(before);
      await one.writeMember('n1', second, record);
      const moved = await revision();
      expect(moved).not.toBe(before);
      await remove('members/n1');
      expect((await one.read()).members).toEqual([]);
      await one.writeMember('n1', second, record);
      expect((await one.read()).members).toMatchObject([{ name: 'n1', leaseId: second }]);
      await one.writeMember('n1', second, { ...record, position: 2 });
      expect((await one.read()).members).toMatchObject([{ position: 2 }]);
    });

    test('a member needs a lease that lives', async () => {
      await expect(one.writeMember('n1', '4711', record)).rejects.toThrow(LeaseGone);
    });

    test('hints: what others change, but neither positions nor our own writes', async () => {
      const hints: string[] = [];
      const watch = one.watch((why) => void hints.push(why));
      await subject().until('the watch to begin', async () => hints.length === 1);
      const leaseId = await lease(one);
      await one.writeMember('n1', leaseId, record);
      await put('status', '{"optime":1}');
      await two.writeMember('n2', leaseId, record);
      await subject().until('the member', async () => hints.length > 1);
      await two.writeMember('n2', leaseId, { ...record, position: 2 });
      await put('config', '{}');
      await subject().until('the configuration', async () => hints.length > 2);
      expect(hints.slice(1)).toEqual(['changed: members/n2', 'changed: config']);
      watch.stop();
    });
  });
}
