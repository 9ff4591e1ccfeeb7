/** etcd cannot be reached when the daemon starts (rule S8): what runs is proven in time or stopped. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Cluster, Lab, waitFor } from '../../scripts/lab/index.ts';
import { LONG_TTL, leaseOf } from '../cluster/guarded.ts';
import { logged, logMark, pair, replicates, tellOnFailure } from './watching.ts';

/** Of the lab's clusters, seconds. */
const TTL = 5;

let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { nodes: 2, haproxy: false });
});
afterAll(() => lab.close());
beforeEach(() => tellOnFailure(cluster.nodes));

/** When its postmaster began to serve: another one after every restart and every crash recovery. */
const STARTED = 'SELECT pg_postmaster_start_time()::text AS at, pg_is_in_recovery() AS standby';

test('a primary, and etcd comes back in time: proven, without an outage', async () => {
  const { primary, replica } = await pair(cluster);
  const postmaster = primary.postmaster();
  const [serving] = await primary.query(STARTED);
  const etcd = cluster.etcd.member(0);
  // The guard gives it no more time than the lease had.
  await leaseOf(cluster, primary, LONG_TTL);
  await primary.kill();
  etcd.pause();
  const mark = logMark(primary);
  await primary.start();
  // The REST interface opens when the grace period has begun.
  await waitFor('the daemon to be up without a view', 20_000, async () => {
    const answer = await primary.rest('/primary', { deadlineMs: 200 });
    expect(answer.status, 'leadership is not proven').toBe(503);
    return true;
  });
  etcd.resume();
  await logged(primary, mark, /moving it to the new lease|I am \(n\d\), the leader with the lock/);
  await cluster.healthy();
  await replicates(primary, replica);
  expect(primary.postmaster()).toEqual(postmaster);
  expect(await primary.query(STARTED)).toEqual([serving]);
  expect(mark.since()).not.toMatch(/demot|stopping PostgreSQL|automatic recovery/i);
  await leaseOf(cluster, primary, TTL);
});

test('both, and etcd stays away: the replica is readable, the primary stops in time; then all heals', async () => {
  const { primary, replica } = await pair(cluster);
  const standby = replica.postmaster();
  const killed = performance.now();
  await Promise.all([primary.kill(), replica.kill()]);
  await cluster.etcd.member(0).stop();
  const writing = await primary.connect();
  await writing.query('CREATE TABLE IF NOT EXISTS blind (at timestamptz)');
  const marks = { primary: logMark(primary), replica: logMark(replica) };

  await Promise.all([primary.start(), replica.start()]);
  await logged(primary, marks.primary, /INFO: Tenure .* process \d+/);
  let lastWrite = 0;
  await waitFor('the primary to refuse writes', 15_000, async () => {
    const answered = writing.query('INSERT INTO blind VALUES (now())').then(
      () => true,
      () => false,
    );
    if (!(await answered)) return true;
    lastWrite = performance.now();
    return false;
  });
  // The guard has kept what the last renewal gave, and nothing was added.
  expect(lastWrite - killed).toBeLessThan(TTL * 1000);
  await waitFor('no PostgreSQL that could take writes', 5000, async (seen) => {
    if (primary.postmaster() === undefined) return true;
    const [row] = await primary.query<{ standby: boolean }>(STARTED);
    seen(`in recovery: ${row?.standby}`);
    return row?.standby;
  });
  await logged(primary, marks.primary, /the store cannot be read/);

  await logged(replica, marks.replica, /the store cannot be read: .*left as it is/);
  expect(replica.postmaster(), 'the replica was touched').toEqual(standby);
  expect(await replica.query(STARTED)).toMatchObject([{ standby: true }]);
  expect((await replica.rest('/liveness')).status).toBe(200);

  await cluster.etcd.member(0).start();
  const winner = await cluster.healthy();
  expect(await cluster.primaries()).toEqual([winner.name]);
  const [other] = cluster.others(winner.name);
  if (other !== undefined) await replicates(winner, other);
});
