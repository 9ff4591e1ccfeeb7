/** What {@link ClusterStore} promises, over any key-value store. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { ClusterStore } from '../../src/store/cluster.ts';
import { LeaseGone } from '../../src/store/keyvalue.ts';
import type { Subject } from './contract.ts';
import { leadershipOf, MARKER, member, STATUS, sceneForEach } from './scene.ts';

export function describeCluster(name: string, subject: () => Subject, clock: () => Clock): void {
  const current = sceneForEach(subject, clock);
  let one: ClusterStore;
  let two: ClusterStore;
  beforeEach(() => {
    ({ one, two } = current());
  });

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
      const refused = await loser.finishBootstrap(
        other,
        await current().lease(loser),
        '1234567890',
        {},
      );
      expect(refused.won).toBe(false);
      const leaseId = await current().lease(winner);
      const done = await winner.finishBootstrap(owner, leaseId, '1234567890', { ttl: 5 });
      const view = await loser.read();
      expect(view).toMatchObject({
        initialize: { kind: 'initialized', systemIdentifier: '1234567890' },
        leader: { name: owner, leaseId, modRevision: leadershipOf(done).modRevision },
        config: { kind: 'valid', values: { ttl: 5 } },
        timelines: { claims: [[1, owner]] },
        problems: [],
      });
      expect((await current().dump()).map(({ key }) => key)).not.toContain(
        `${current().base}/tenure/bootstrap`,
      );
    });

    test('only an unfinished bootstrap of our own is given up', async () => {
      await one.raceInitialize('n1');
      const { initialize } = await one.read();
      const revision = initialize.kind === 'bootstrapping' ? initialize.modRevision : 0;
      expect(await two.releaseInitialize('n2', revision)).toBe(false);
      expect(await one.releaseInitialize('n1', revision + 1)).toBe(false);
      expect(await one.releaseInitialize('n1', revision)).toBe(true);
      expect((await one.read()).initialize.kind).toBe('absent');
      await current().lead();
      const finished = (await one.read()).initialize;
      const later = finished.kind === 'initialized' ? finished.modRevision : 0;
      expect(await one.releaseInitialize('n1', later)).toBe(false);
    });
  });

  describe(`${name}: campaign`, () => {
    test('of two, one wins; its claim and the marker go with it', async () => {
      await current().put('tenure/handover', '{"leader":"n9"}');
      const leases = [await current().lease(one), await current().lease(two)] as const;
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
      await current().put('tenure/timeline', '[[3,"n9"]]');
      const seen = (await one.read()).timelines?.modRevision ?? 0;
      const leaseId = await current().lease(one);
      expect(await one.campaign('n1', leaseId, 4, 0)).toMatchObject({ won: false });
      expect(await one.campaign('n1', leaseId, 3, seen)).toMatchObject({ won: false });
      await current().put('tenure/timeline', '[[3,"n9"],[4,"n8"]]');
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
      await current().put('tenure/timeline', '[[3,"n9"]]');
      const leaseId = await current().lease(one);
      expect(await one.campaign('n1', leaseId, null, 0)).toMatchObject({ won: false });
      const seen = (await one.read()).timelines?.modRevision ?? 0;
      expect(await one.campaign('n1', leaseId, null, seen)).toMatchObject({ won: true });
      expect((await one.read()).timelines).toEqual({ claims: [[3, 'n9']], modRevision: seen });
    });

    test('a key that somebody holds is not taken, with or without a claim', async () => {
      await current().put('leader', 'patroni');
      const leaseId = await current().lease(one);
      const lost = { won: false, why: 'the leader key is held by patroni' };
      expect(await one.campaign('n1', leaseId, 2, 0)).toEqual(lost);
      expect(await one.campaign('n1', leaseId, null, 0)).toEqual(lost);
      expect(await one.read()).toMatchObject({ leader: { name: 'patroni' }, timelines: null });
    });

    test('overwrites claims that are garbage, under the same guard', async () => {
      await current().put('tenure/timeline', 'garbage');
      const { timelines, problems } = await one.read();
      expect(problems).toHaveLength(1);
      const leaseId = await current().lease(one);
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

  describe(`${name}: renewing and resigning`, () => {
    test('a renewal is proven by the key, not by the lease', async () => {
      const leadership = await current().lead();
      expect(await one.renew('n1', leadership)).toMatchObject({ proven: true, ttlSeconds: 30 });
      await current().remove('leader');
      const renewal = await one.renew('n1', leadership);
      expect(renewal).toMatchObject({ proven: false, lost: true, ttlSeconds: 30 });
      expect(renewal.why).toContain('not there');
    });

    test('resigning frees the key and leaves the marker, once', async () => {
      const leadership = await current().lead();
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
      const [first, second] = [await current().lease(one), await current().lease(one)];
      await one.writeMember('n1', first, record);
      const before = await revision();
      await one.writeMember('n1', first, record);
      expect(await revision()).toBe(before);
      await one.writeMember('n1', second, record);
      const moved = await revision();
      expect(moved).not.toBe(before);
      await current().remove('members/n1');
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
      const leaseId = await current().lease(one);
      await one.writeMember('n1', leaseId, record);
      await current().put('status', '{"optime":1}');
      await two.writeMember('n2', leaseId, record);
      await subject().until('the member', async () => hints.length > 1);
      await two.writeMember('n2', leaseId, { ...record, position: 2 });
      await current().put('config', '{}');
      await subject().until('the configuration', async () => hints.length > 2);
      expect(hints.slice(1)).toEqual(['changed: members/n2', 'changed: config']);
      watch.stop();
    });
  });
}
