/** pre_promote, before_stop and a callback of a real pair of nodes (contract 5.10, 5.13, 5.18). */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster, Lab, waitFor } from '../../scripts/lab/index.ts';

const DEADLINE_MS = 60_000;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.create(lab, { scope: 'scripts', nodes: 2, haproxy: false });
  for (const node of cluster.nodes) {
    node.configure({
      postgresql: {
        pre_promote: `test ! -e '${join(node.folder, 'veto')}'`,
        before_stop: `touch '${join(node.folder, 'before stop')}'`,
        callbacks: { on_role_change: `sh -c 'echo "$@" >> ${join(node.folder, 'told')}' x` },
      },
    });
  }
  await cluster.startDaemons();
  await cluster.healthy(DEADLINE_MS);
}, 120_000);
afterAll(() => lab.close());

it('nobody is promoted against the word of pre_promote, and the key is free for others', async () => {
  const old = await cluster.healthy(DEADLINE_MS);
  const [heir] = cluster.others(old.name);
  if (heir === undefined) throw new Error('there is no other node');
  const veto = join(heir.folder, 'veto');
  writeFileSync(veto, '');
  await old.killEverything();
  await waitFor('the refusal, and a free leader key', DEADLINE_MS, async (seen) => {
    const story = readFileSync(heir.log, 'utf8');
    const key = await cluster.etcd.get('/service/scripts/leader');
    seen(`leader ${key?.value ?? 'none'}`);
    return story.includes('[campaign.pre-promote]') && key === undefined;
  });
  const [row] = await heir.query<{ recovery: boolean }>('SELECT pg_is_in_recovery() AS recovery');
  expect(row?.recovery).toBe(true);
  expect(readFileSync(heir.log, 'utf8')).toMatch(
    /pre_promote did not allow the promotion \(pre_promote: test failed with exit code 1.*\[lead\.pre-promote\]/,
  );
  rmSync(veto);
  expect((await cluster.waitForPrimary({ deadlineMs: DEADLINE_MS })).name).toBe(heir.name);
  const told = join(heir.folder, 'told');
  await waitFor('the callback', DEADLINE_MS, () => existsSync(told));
  expect(readFileSync(told, 'utf8').trim().split('\n').at(-1)).toBe(
    'on_role_change primary scripts',
  );
  await old.start();
  await cluster.healthy(DEADLINE_MS);
}, 240_000);

it('before_stop is run before a stop, while PostgreSQL serves', async () => {
  const primary = await cluster.healthy(DEADLINE_MS);
  const mark = join(primary.folder, 'before stop');
  rmSync(mark, { force: true });
  expect((await primary.stop(30_000)).code).toBe(0);
  expect(existsSync(mark)).toBe(true);
}, 240_000);
