/** Synchronous mode with a Patroni among the members: one `/sync` for both (appendix B 10, 13). */
import { accessSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, Lab, Node, SteadyWriter, waitFor } from '../../scripts/lab/index.ts';
import { everyRow } from './rows.ts';

const PATRONI = '/usr/bin/patroni';
const DEADLINE_MS = 120_000;
let lab: Lab;
let cluster: Cluster;
let other: Node;

function installed(): boolean {
  try {
    accessSync(PATRONI);
    return true;
  } catch {
    return false;
  }
}

const key = (name: string): string => `/service/mixed/${name}`;

async function value(name: string): Promise<string | undefined> {
  return (await cluster.etcd.get(key(name)))?.value;
}

function untilSync(leader: string, named: string): Promise<unknown> {
  return waitFor(`/sync: ${leader} with ${named}`, DEADLINE_MS, async (seen) => {
    const found = JSON.parse((await value('sync')) ?? '{}') as Record<string, unknown>;
    seen(JSON.stringify(found));
    return found.leader === leader && found.sync_standby === named;
  });
}

describe.skipIf(!installed())('a Patroni in a synchronous cluster', () => {
  beforeAll(async () => {
    lab = Lab.open();
    cluster = await Cluster.start(lab, {
      scope: 'mixed',
      nodes: 1,
      haproxy: false,
      dcs: { ttl: 20, loop_wait: 1, retry_timeout: 3, synchronous_mode: true },
    });
    other = await Node.create(lab, {
      scope: 'mixed',
      name: 'p1',
      etcdHosts: cluster.etcd.hosts,
      daemon: [PATRONI],
      config: { postgresql: { parameters: { unix_socket_directories: '.' } } },
    });
    await other.start();
  }, 120_000);
  afterAll(async () => lab?.close());

  it('is named, confirms, wins alone by /sync, and gives us the same back', async () => {
    const n1 = cluster.node('n1');
    await untilSync('n1', 'p1');
    const writer = await SteadyWriter.start({ port: n1.postgresPort, table: 'ours' });
    await writer.acknowledges(30);
    await writer.stop();
    await n1.killEverything();
    await waitFor('p1 to lead', DEADLINE_MS, async () => (await value('leader')) === 'p1');
    await waitFor('p1 to be a primary', DEADLINE_MS, async () => {
      const [row] = await other.query<{ recovery: boolean }>(
        'SELECT pg_is_in_recovery() AS recovery',
      );
      return row?.recovery === false;
    });
    await everyRow(writer, other, DEADLINE_MS);

    await n1.start();
    await untilSync('p1', 'n1');
    const theirs = await SteadyWriter.start({ port: other.postgresPort, table: 'theirs' });
    await theirs.acknowledges(30);
    await theirs.stop();
    await other.killEverything();
    await cluster.waitForPrimary({ deadlineMs: DEADLINE_MS });
    await everyRow(theirs, n1, DEADLINE_MS);
    expect(JSON.parse((await value('sync')) ?? '{}')).toMatchObject({ leader: 'n1', quorum: 0 });
  }, 300_000);
});
