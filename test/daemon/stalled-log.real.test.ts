/** A reader of the log that does not read: the daemon leads on, and counts what it drops. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Cluster, Lab, type Node, TENURE, waitFor } from '../../scripts/lab/index.ts';
import { run } from '../../scripts/lab/run.ts';
import { saidBy } from './watching.ts';

const TTL_MS = 5000;

const Answer = z.object({
  tenure: z.object({ lease: z.object({ time_left_ms: z.number() }) }),
});

let lab: Lab;
let cluster: Cluster;
let pipe: number;

beforeAll(async () => {
  lab = Lab.open();
  const fifo = join(lab.folder, 'log.fifo');
  await run(['mkfifo', '-m', '600', fifo]);
  // Both ends are held here, and nobody reads.
  pipe = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  lab.onClose(async () => closeSync(pipe));
  fill();
  cluster = await Cluster.create(lab, {
    nodes: 1,
    haproxy: false,
    daemon: ['sh', '-c', 'fifo=$1; shift; exec "$@" > "$fifo"', 'sh', fifo, ...TENURE],
    config: { log: { level: 'DEBUG' } },
  });
});
afterAll(() => lab.close());

/** Writes until there is no room; gives the number of bytes that there was room for. */
function fill(): number {
  const line = Buffer.from(`${'x'.repeat(511)}\n`);
  let written = 0;
  try {
    for (;;) written += writeSync(pipe, line);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return written;
  }
}

test('it bootstraps, leads and renews while the pipe is full', async () => {
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error('no node');
  await node.start();
  await cluster.waitForPrimary();
  const key = `/service/${cluster.scope}/leader`;
  const leader = await cluster.etcd.get(key);
  const postmaster = node.postmaster();
  const begun = performance.now();

  let left = 0;
  let renewals = 0;
  await waitFor('renewals over more than two ttl', 4 * TTL_MS, async (seen) => {
    const now = await leaseLeftMs(node);
    if (now > left) renewals += 1;
    left = now;
    seen(`${renewals} renewals, ${left} ms left`);
    return renewals >= 8 && performance.now() - begun > 2.2 * TTL_MS;
  });
  expect(fill(), 'the pipe had room: nothing was tested').toBe(0);
  expect(await cluster.etcd.get(key)).toEqual(leader);
  expect(node.postmaster()).toEqual(postmaster);
  expect(node.isRunning()).toBe(true);
  expect((await node.rest('/primary')).status).toBe(200);
  expect(saidBy(node), 'standard error is free of it').not.toMatch(/Error|unhandled/);
});

/** How long its leadership is proven for: it grows with every renewal. */
async function leaseLeftMs(node: Node): Promise<number> {
  const { json } = await node.rest('/patroni');
  return Answer.parse(json).tenure.lease.time_left_ms;
}

test('SIGTERM ends it in time, with PostgreSQL stopped and the key released', async () => {
  const [node] = cluster.nodes;
  const exit = await node?.stop(15_000);
  expect(exit).toEqual({ code: 0, signal: null });
  expect(node?.postmaster()).toBeUndefined();
  expect(await cluster.etcd.get(`/service/${cluster.scope}/leader`)).toBeUndefined();
  expect(fill()).toBe(0);
});
