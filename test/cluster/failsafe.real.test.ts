/** Failsafe mode on a real cluster of three whose etcd goes away (contract 5.4; field D16, D22). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, Lab, type Node, SteadyWriter, waitFor } from '../../scripts/lab/index.ts';

const DEADLINE_MS = 25_000;
const TTL_MS = 5000;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  const dcs = { ttl: 5, loop_wait: 1, retry_timeout: 1, failsafe_mode: true };
  cluster = await Cluster.start(lab, { scope: 'failsafe', dcs });
}, 90_000);
afterAll(() => lab.close());

const failsafeActive = async (node: Node): Promise<boolean> => {
  const { json } = await node.rest('/patroni');
  return (json as { failsafe_mode_is_active?: boolean }).failsafe_mode_is_active === true;
};

const takesWrites = (node: Node): Promise<boolean> =>
  node.query<{ recovery: boolean }>('SELECT pg_is_in_recovery() AS recovery').then(
    ([row]) => row?.recovery === false,
    () => false,
  );

/** The leader sees all members, and has them in /failsafe: only then does it know whom to ask. */
async function listed(primary: Node): Promise<void> {
  await waitFor('/failsafe to name all members', DEADLINE_MS, async (seen) => {
    const [members, { json }] = [
      await cluster.membersSeenBy(primary),
      await primary.rest('/failsafe'),
    ];
    seen(`${members.map(({ name }) => name).join()} in ${JSON.stringify(json)}`);
    return members.length === 3 && Object.keys(json as object).join() === 'n1,n2,n3';
  });
}

describe('without etcd', () => {
  it('the primary goes on while all others agree, and leads again when etcd is back', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    await listed(primary);
    const port = cluster.haproxy.ports.primary;
    const writer = await SteadyWriter.start({ port, table: 'agreed' });
    const postmaster = primary.postmaster();
    const [member] = cluster.etcd.members;
    member?.pause();
    try {
      // Nothing but the members' word carries it beyond the end of the lease.
      const until = performance.now() + 2.5 * TTL_MS;
      await waitFor('writes long after the lease is over', DEADLINE_MS, () =>
        Promise.resolve(writer.acknowledged.some(({ at }) => at > until)),
      );
      expect(writer.acknowledged.at(-1)?.server).toBe(primary.postgresPort);
      const active = await Promise.all(cluster.nodes.map(failsafeActive));
      expect(active).toEqual([true, true, true]);
      expect((await primary.rest('/primary')).status).toBe(200);
    } finally {
      member?.resume();
    }
    const again = await cluster.healthy(DEADLINE_MS);
    expect(again.name).toBe(primary.name);
    expect(again.postmaster()).toEqual(postmaster);
    await waitFor('the mode to be over on the leader', DEADLINE_MS, async () => {
      return !(await failsafeActive(primary));
    });
    await writer.stop();
    const client = await primary.connect();
    expect(await writer.missing(client)).toEqual([]);
    await client.end();
  });

  it('it stops when one of them is silent, and nobody takes its place', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    await listed(primary);
    const [silent] = cluster.others(primary.name);
    const [member] = cluster.etcd.members;
    member?.pause();
    try {
      silent?.pause();
      await waitFor('the primary to stop', DEADLINE_MS, async () => !(await takesWrites(primary)));
      const others = await Promise.all(cluster.others(primary.name).map(takesWrites));
      expect(others).toEqual([false, false]);
    } finally {
      silent?.resume();
      member?.resume();
    }
    await cluster.healthy(DEADLINE_MS);
  });

  it('a member that has agreed holds to it when its daemon was started again', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    await listed(primary);
    const [one] = cluster.others(primary.name);
    if (one === undefined) throw new Error('there is no other node');
    const body = { name: primary.name, conn_url: '', api_url: '', slots: {} };
    const answer = await one.rest('/failsafe', { method: 'POST', body });
    expect([answer.status, answer.text]).toEqual([200, 'Accepted']);
    // A leader that says no ttl is Patroni's: 20 s.
    await one.kill();
    await one.start();
    await waitFor('its promise', DEADLINE_MS, async () => failsafeActive(one).catch(() => false));
    const refused = await primary.rest('/failsafe', {
      method: 'POST',
      body: { ...body, name: one.name },
    });
    expect(refused.status).toBe(500);
  });
});
