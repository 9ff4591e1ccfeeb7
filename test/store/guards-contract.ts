/** Rule S2, over any key-value store: who is not the leader any more changes nothing. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { ClusterStore } from '../../src/store/cluster.ts';
import type { Leadership } from '../../src/store/store.ts';
import { CALL, type Subject } from './contract.ts';
import { leadershipOf, MARKER, STATUS, sceneForEach } from './scene.ts';

export function describeGuards(name: string, subject: () => Subject, clock: () => Clock): void {
  const current = sceneForEach(subject, clock);
  let one: ClusterStore;
  let two: ClusterStore;
  beforeEach(() => {
    ({ one, two } = current());
  });

  describe(`${name}: guards (S2)`, () => {
    /** Everything that a leader writes; none of it may succeed, and none may change anything. */
    const refusesAll = async (leadership: Leadership): Promise<void> => {
      await current().put('failover', '{"member":"n2"}');
      const view = await one.read();
      const before = await current().dump();
      expect(await one.writeStatus(leadership, STATUS)).toBe(false);
      expect(await one.writeHistory(leadership, [])).toBe(false);
      expect(await one.writeInitialize(leadership, '9999999999')).toBe(false);
      expect(await one.writeConfig(leadership, { ttl: 99 })).toBe(false);
      expect(await one.clearFailover(leadership, view.failover?.modRevision ?? 0)).toBe(false);
      const seen = view.timelines?.modRevision ?? 0;
      expect(await one.claimTimeline('n1', leadership, 50, seen)).toBe(false);
      const sync = { leader: 'n1', standbys: ['n2'], quorum: 0 };
      expect(await one.writeSync(leadership, sync, 0)).toBe(false);
      expect(await one.resign(leadership, MARKER, STATUS)).toBe(false);
      expect(await one.renew('n1', leadership)).toMatchObject({ proven: false, lost: true });
      expect(await current().dump()).toEqual(before);
    };

    test('/sync is replaced as it was seen, or not at all (C-5.15, appendix B 10)', async () => {
      const leadership = await current().lead();
      const first = { leader: 'n1', standbys: ['n3', 'n2'], quorum: 0 };
      expect(await one.writeSync(leadership, first, 0)).toBe(true);
      const written = (await current().dump()).find(({ key }) => key.endsWith('/sync'));
      expect(written?.value).toBe('{"leader":"n1","quorum":0,"sync_standby":"n2,n3"}');
      expect(await one.writeSync(leadership, { ...first, standbys: [] }, 0)).toBe(false);
      const seen = (await one.read()).sync?.modRevision ?? 0;
      await current().put('sync', '{"leader":"n1","quorum":0,"sync_standby":"n9"}');
      expect(await one.writeSync(leadership, null, seen)).toBe(false);
      const now = (await one.read()).sync?.modRevision ?? 0;
      expect(await one.writeSync(leadership, { ...first, standbys: [] }, now)).toBe(true);
      expect((await one.read()).sync).toMatchObject({ leader: 'n1', standbys: [], quorum: 0 });
      const last = (await one.read()).sync?.modRevision ?? 0;
      expect(await one.writeSync(leadership, null, last)).toBe(true);
      expect((await one.read()).sync).toBeNull();
    });

    test('an evicted leader changes nothing, though its lease lives', async () => {
      const leadership = await current().lead();
      await current().remove('leader');
      const seen = (await two.read()).timelines?.modRevision ?? 0;
      leadershipOf(await two.campaign('n2', await current().lease(two), 2, seen));
      await refusesAll(leadership);
    });

    test('a key that moved to another lease under our name is not ours (same creation)', async () => {
      const leadership = await current().lead();
      const before = (await one.read()).leader;
      const seen = { modRevision: leadership.modRevision };
      const moved = leadershipOf(await two.takeOver('n1', await current().lease(two), seen));
      const after = (await one.read()).leader;
      expect(after?.createRevision).toBe(before?.createRevision);
      expect(after?.leaseId).toBe(moved.leaseId);
      await refusesAll(leadership);
    });

    test('nor one that was put again under the very same lease', async () => {
      const leadership = await current().lead();
      const { leaseId } = leadership;
      await current().raw.transact(
        [],
        [{ put: `${current().base}/leader`, value: 'n1', leaseId }],
        [],
        CALL,
      );
      await refusesAll(leadership);
    });

    test('nor one that somebody put under another lease, whatever it says', async () => {
      const leadership = await current().lead();
      await current().put('leader', 'n1');
      const { modRevision } = (await one.read()).leader ?? { modRevision: 0 };
      await refusesAll({ ...leadership, modRevision });
    });

    test('taking over needs our name and the revision that was seen', async () => {
      const leadership = await current().lead();
      const seen = { modRevision: leadership.modRevision };
      const leaseId = await current().lease(two);
      expect(await two.takeOver('n2', leaseId, seen)).toMatchObject({ won: false });
      const other = { modRevision: leadership.modRevision + 1 };
      expect(await two.takeOver('n1', leaseId, other)).toMatchObject({ won: false });
      expect(await two.takeOver('n1', leaseId, seen)).toMatchObject({ won: true });
    });

    test('a leader writes all of it', async () => {
      const leadership = await current().lead();
      await current().put('failover', '{"member":"n2"}');
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
      const leadership = await current().lead();
      await current().put('failover', '{"member":"n2"}');
      const seen = (await one.read()).failover?.modRevision ?? 0;
      await current().put('failover', '{"member":"n3"}');
      expect(await one.clearFailover(leadership, seen)).toBe(true);
      expect((await one.read()).failover?.candidate).toBe('n3');
    });
  });
}
