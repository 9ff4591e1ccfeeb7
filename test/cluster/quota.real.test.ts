/** An etcd whose database is full (first-week trap): it renews and reads, and takes no put. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster, Lab, SteadyWriter, waitFor } from '../../scripts/lab/index.ts';
import { logged, logMark, pair, replicates, tellOnFailure } from '../daemon/watching.ts';

const TTL = 10;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { nodes: 2, haproxy: false, dcs: { ttl: TTL } });
}, 90_000);
afterAll(() => lab.close());

async function fillUp(): Promise<void> {
  const { etcd } = cluster;
  const one = etcd.member(0);
  await one.stop();
  one.configure(`${one.name}=${one.peerUrl}`, [`--quota-backend-bytes=${2 * 1024 * 1024}`]);
  await one.start();
  await etcd.ready();
  await waitFor('etcd to be full', 20_000, async () => {
    const refused = await etcd.put('/fill', 'x'.repeat(100_000)).catch(String);
    return refused?.includes('database space exceeded');
  });
}

async function makeRoom(): Promise<void> {
  const { etcd } = cluster;
  await etcd.delete('/fill');
  const status = await etcd.etcdctl(['endpoint', 'status', '-w', 'json']);
  const revision = /"revision":(\d+)/.exec(status)?.[1] ?? '';
  await etcd.etcdctl(['compact', '--physical', revision]);
  await etcd.etcdctl(['defrag']);
  await etcd.etcdctl(['alarm', 'disarm']);
}

it('is said by every daemon, costs no primary, and is over once there is room', {
  timeout: 120_000,
}, async () => {
  tellOnFailure(cluster.nodes);
  const { primary, replica } = await pair(cluster);
  const writer = await SteadyWriter.start({ port: primary.postgresPort });
  lab.onClose(() => writer.stop());
  const marks = cluster.nodes.map((node) => ({ node, mark: logMark(node) }));
  const postmasters = cluster.nodes.map((node) => node.postmaster());
  await fillUp();
  for (const { node, mark } of marks) {
    await logged(node, mark, /ERROR: the store takes no writes, .*database space exceeded/);
  }
  const renewals = async (): Promise<number> => {
    const { text } = await primary.rest('/metrics');
    return Number(/^tenure_lease_renewal_seconds_count\{.*\} (\d+)$/m.exec(text)?.[1]);
  };
  const before = await renewals();
  // Every TTL / 6: longer than the lease would have lasted without them.
  await waitFor('renewals for more than ttl', 3 * TTL * 1000, async (seen) => {
    const now = await renewals();
    seen(`${now - before} renewals`);
    return now - before >= 7;
  });
  expect(await cluster.primaries()).toEqual([primary.name]);
  const refused = await primary.rest('/switchover', {
    method: 'POST',
    body: { leader: primary.name, candidate: replica.name },
    deadlineMs: 20_000,
  });
  expect(refused).toMatchObject({ status: 503, text: 'failed to write failover key into DCS' });

  await makeRoom();
  for (const { node, mark } of marks) await logged(node, mark, /the store takes writes again/);
  expect(await cluster.healthy()).toBe(primary);
  expect(cluster.nodes.map((node) => node.postmaster())).toEqual(postmasters);
  await replicates(primary, replica);
  await writer.acknowledges(10);
  expect(writer.unknown).toEqual([]);
});
