/**
 * What docs/operations.md says of the first weeks: another release of the daemon, a full etcd, and a
 * data directory that an interrupted rewind has left.
 */
import { chmodSync, existsSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster, Lab, type Node, SteadyWriter, TENURE, waitFor } from '../../scripts/lab/index.ts';
import { logged, logMark, pair, replicates, tellOnFailure } from '../daemon/watching.ts';
import { guardIs } from './guarded.ts';
import { everyRow } from './rows.ts';

const DEADLINE_MS = 45_000;
const TTL = 10;
const MARK = 'this is the second release';
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  install(TENURE[0] as string);
  cluster = await Cluster.start(lab, {
    nodes: 2,
    haproxy: false,
    daemon: [current()],
    dcs: { ttl: TTL },
  });
}, 90_000);
afterAll(() => lab.close());

const current = (): string => join(lab.folder, 'tenure');

/** As packages do: the name leads to another file from one moment to the next. */
function install(program: string): void {
  symlinkSync(program, `${current()}.new`);
  renameSync(`${current()}.new`, current());
}

async function pause(on: boolean): Promise<void> {
  const { primary } = await pair(cluster);
  await primary.rest('/config', { method: 'PATCH', body: { pause: on || null } });
  for (const node of cluster.nodes) {
    await waitFor(`${node.name} to ${on ? 'pause' : 'go on'}`, DEADLINE_MS, async () => {
      const shown = (await node.rest('/patroni')).json as { pause?: boolean };
      return (shown.pause ?? false) === on;
    });
  }
}

async function upgrade(node: Node): Promise<void> {
  const postmaster = node.postmaster();
  expect(await node.stop()).toEqual({ code: 0, signal: null });
  expect(node.postmaster(), 'PostgreSQL goes on without its daemon').toEqual(postmaster);
  const mark = logMark(node);
  await node.start();
  await waitFor(`${node.name} to answer again`, DEADLINE_MS, async (seen) => {
    const answer = await node.rest('/patroni').catch(() => undefined);
    seen(answer?.text ?? 'no answer');
    return (answer?.json as { state?: string } | undefined)?.state === 'running';
  });
  expect(mark.since()).toContain(MARK);
}

it('an upgrade of all daemons in pause stops no PostgreSQL and moves no leader', async () => {
  tellOnFailure(cluster.nodes);
  const { primary, replica } = await pair(cluster);
  const writer = await SteadyWriter.start({ port: primary.postgresPort });
  lab.onClose(() => writer.stop());
  const before = cluster.nodes.map((node) => node.postmaster());
  const from = performance.now();

  const second = join(lab.folder, 'second-release');
  writeFileSync(second, `#!/bin/sh\necho '${MARK}'\nexec ${TENURE.join(' ')} "$@"\n`);
  chmodSync(second, 0o755);
  install(second);
  await pause(true);
  await upgrade(replica);
  await upgrade(primary);
  await pause(false);

  expect((await cluster.healthy(DEADLINE_MS)).name).toBe(primary.name);
  expect(cluster.nodes.map((node) => node.postmaster())).toEqual(before);
  await guardIs(primary, 'armed');
  await writer.acknowledges(20);
  expect(writer.unknown).toEqual([]);
  expect(writer.longestGap(from).ms).toBeLessThan(2000);
  await writer.stop();
  await everyRow(writer, replica, DEADLINE_MS);
  await replicates(primary, replica);
});

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

it('a full etcd is said by every daemon, costs no primary, and is over once there is room', {
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

it('what an interrupted rewind left is cloned, whatever it looks like', async () => {
  tellOnFailure(cluster.nodes);
  const { primary, replica } = await pair(cluster);
  await replica.stop();
  const marker = { kind: 'rewind', startedAt: '2026-07-01T00:00:00.000Z', from: 'n9:5432' };
  writeFileSync(join(`${replica.dataDir}.tenure`, 'work.json'), JSON.stringify(marker));
  const mark = logMark(replica);
  await replica.start();
  await logged(replica, mark, /a rewind was begun here and never finished/, DEADLINE_MS);
  await logged(replica, mark, /replica has been created from/, DEADLINE_MS);
  await cluster.healthy(DEADLINE_MS);
  await replicates(primary, replica);
  expect(existsSync(join(`${replica.dataDir}.tenure`, 'work.json'))).toBe(false);
});
