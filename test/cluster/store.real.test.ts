/** A real cluster of two whose etcd stalls, goes away, or is changed by hand. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, Lab, SteadyWriter, waitFor } from '../../scripts/lab/index.ts';

const DEADLINE_MS = 45_000;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { scope: 'store', nodes: 2, etcd: 3, dcs: { ttl: 6 } });
}, 90_000);
afterAll(() => lab.close());

const leaderKey = (): ReturnType<Cluster['etcd']['get']> =>
  cluster.etcd.get('/service/store/leader');
const timeLeft = async (name: string): Promise<number> => {
  const { json } = await cluster.node(name).rest('/patroni');
  return (
    (json as { tenure: { lease: { time_left_ms: number | null } } }).tenure.lease.time_left_ms ?? 0
  );
};

describe('etcd of three members', () => {
  it('may lose its leader to a stall: the primary stays, the key is never let go', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const postmaster = primary.postmaster();
    const before = await leaderKey();
    const stalled = await cluster.etcd.leader();
    stalled.pause();
    try {
      await waitFor('another etcd leader', 20_000, async () => {
        const others = cluster.etcd.members.filter((member) => member !== stalled);
        const healthy = await Promise.all(others.map((member) => member.isHealthy()));
        return healthy.every(Boolean);
      });
    } finally {
      stalled.resume();
    }
    // The member that was in charge wakes up and answers keep-alives: its word is no proof.
    await waitFor('a lease that is proven anew', DEADLINE_MS, async (seen) => {
      const left = await timeLeft(primary.name);
      seen(`${left} ms left`);
      return left > 4500;
    });
    expect((await leaderKey())?.modRevision).toBe(before?.modRevision);
    expect(primary.postmaster()).toEqual(postmaster);
    expect((await cluster.waitForPrimary()).name).toBe(primary.name);
  });

  it('may go silent: writes end before the lease does, and come back with it', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const writer = await SteadyWriter.start({ port: primary.postgresPort, table: 'silence' });
    const left = await timeLeft(primary.name);
    const paused = performance.now();
    for (const member of cluster.etcd.members) member.pause();
    const postmaster = primary.postmaster();
    try {
      await waitFor(
        'the primary to stop',
        DEADLINE_MS,
        () => primary.postmaster()?.pid !== postmaster?.pid,
      );
      const last = writer.acknowledged.at(-1)?.at ?? 0;
      // A renewal may have been proven just before the pause; none can have been sent after it.
      expect(last).toBeLessThan(paused + Math.max(left, 6000) + 50);
      await waitFor(
        '/primary to say no',
        10_000,
        async () => (await primary.rest('/primary')).status === 503,
      );
    } finally {
      for (const member of cluster.etcd.members) member.resume();
    }
    const next = await cluster.healthy(DEADLINE_MS);
    await writer.stop();
    const client = await next.connect();
    try {
      expect(await writer.missing(client)).toEqual([]);
    } finally {
      await client.end();
    }
  });

  it('may lose the leader key to an operator: its holder takes it back, nobody else does', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const postmaster = primary.postmaster();
    const before = await leaderKey();
    await cluster.etcd.delete('/service/store/leader');
    const after = await waitFor('the leader key', DEADLINE_MS, leaderKey);
    expect(after.value).toBe(primary.name);
    expect(after.modRevision).not.toBe(before?.modRevision);
    expect(primary.postmaster()).toEqual(postmaster);
    expect((await cluster.healthy(DEADLINE_MS)).name).toBe(primary.name);
  });

  it('D20: may be wiped: the primary restores it, no replica does', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const postmaster = primary.postmaster();
    const initialize = await cluster.etcd.get('/service/store/initialize');
    await cluster.etcd.etcdctl(['del', '--prefix', '/service/store/']);
    await waitFor('/initialize and /config to be there again', DEADLINE_MS, async () => {
      const config = await cluster.etcd.get('/service/store/config');
      return (
        (await cluster.etcd.get('/service/store/initialize'))?.value === initialize?.value &&
        config !== undefined
      );
    });
    expect((await cluster.healthy(DEADLINE_MS)).name).toBe(primary.name);
    expect(primary.postmaster()).toEqual(postmaster);
  });
});
