/**
 * Another release of the daemon on every node, in pause, as docs/operations.md says: PostgreSQL is not
 * stopped anywhere, and the leader stays.
 */
import { chmodSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster, Lab, type Node, SteadyWriter, TENURE, waitFor } from '../../scripts/lab/index.ts';
import { logMark, pair, replicates, tellOnFailure } from '../daemon/watching.ts';
import { guardIs } from './guarded.ts';
import { everyRow } from './rows.ts';

const DEADLINE_MS = 45_000;
const MARK = 'this is the second release';
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  install(TENURE[0] as string);
  cluster = await Cluster.start(lab, { nodes: 2, haproxy: false, daemon: [current()] });
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

it('stops no PostgreSQL and moves no leader', async () => {
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
