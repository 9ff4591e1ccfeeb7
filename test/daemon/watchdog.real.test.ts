/** The watchdog of a daemon that leads: opened, kept alive and turned off (contract 5.18; field D4). */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, Lab, type Node, waitFor } from '../../scripts/lab/index.ts';

const DEADLINE_MS = 30_000;
let lab: Lab;
let cluster: Cluster;
let node: Node;
let reader: number;
/** Everything that the device was told so far. */
let told = '';

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.create(lab, { nodes: 1, haproxy: false, dcs: { ttl: 5 } });
  node = cluster.nodes[0] as Node;
  const device = join(node.folder, 'watchdog');
  execFileSync('mkfifo', [device]);
  reader = openSync(device, constants.O_RDONLY | constants.O_NONBLOCK);
  node.configure({ watchdog: { mode: 'required', device, driver: 'testing', safety_margin: 1 } });
  await node.start();
  await cluster.healthy(DEADLINE_MS);
}, 60_000);
afterAll(async () => {
  closeSync(reader);
  await lab.close();
});

const buffer = Buffer.alloc(4096);
function listen(): string {
  try {
    told += buffer.toString('latin1', 0, readSync(reader, buffer));
  } catch {
    // Nothing new has been said.
  }
  return told;
}

const hears = (what: RegExp): Promise<unknown> =>
  waitFor(`the device to be told ${what}`, DEADLINE_MS, (seen) => {
    seen(listen());
    return what.test(told);
  });

const watchdog = async (): Promise<unknown> => {
  const { json } = await node.rest('/patroni');
  return (json as { tenure: { watchdog: string } }).tenure.watchdog;
};

describe('the watchdog', () => {
  it('is active from the bootstrap on, and kept alive', async () => {
    await hears(/^Ctimeout=3\n.*111/s);
    expect(await watchdog()).toBe('active');
    expect(told).not.toContain('V');
  });

  it('D4: is turned off in an outage of etcd, once PostgreSQL is stopped', async () => {
    told = '';
    const [etcd] = cluster.etcd.members;
    etcd?.pause();
    await hears(/V$/);
    expect(node.postgresProcesses()).toEqual([]);
    etcd?.resume();
    await hears(/VCtimeout=3\n1/);
    await cluster.healthy(DEADLINE_MS);
  });

  it('gets another timeout with another ttl', async () => {
    await node.rest('/config', { method: 'PATCH', body: { ttl: 20 } });
    await hears(/Ctimeout=18\n.*1/s);
  });

  it('is off in pause, and active after it', async () => {
    told = '';
    await node.rest('/config', { method: 'PATCH', body: { pause: true } });
    await hears(/V$/);
    expect(await watchdog()).toBe('idle');
    await node.rest('/config', { method: 'PATCH', body: { pause: null } });
    await hears(/VCtimeout=18\n1+$/);
  });

  it('D4: goes on counting when the daemon is killed, and is kept alive by the next one', async () => {
    told = '';
    const before = node.postmaster();
    await node.kill();
    await node.start();
    await hears(/Ctimeout=18\n1/);
    expect(told).not.toContain('V');
    expect(node.postmaster()).toEqual(before);
  });

  it('is turned off once PostgreSQL is stopped with the daemon', async () => {
    told = '';
    await node.stop();
    expect(listen()).toMatch(/^1*V$/);
  });

  it('that is required and missing keeps its node from leading', async () => {
    node.configure({ watchdog: { device: join(node.folder, 'nothing') } });
    await node.start();
    await waitFor('the node to say so', DEADLINE_MS, async (seen) => {
      const { json } = await node.rest('/patroni');
      seen(JSON.stringify(json));
      const { watchdog_failed, tenure } = json as {
        watchdog_failed?: boolean;
        tenure: { why: string };
      };
      return watchdog_failed === true && tenure.why.includes('watchdog.mode is required');
    });
    expect((await node.rest('/primary')).status).toBe(503);
  });
});
