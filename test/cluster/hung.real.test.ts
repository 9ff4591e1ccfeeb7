/**
 * A primary that runs and serves nobody, in synchronous mode: another leads, nothing that was
 * acknowledged is lost, and the old one comes back (rule F2; contract section 9, issue 10).
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, Lab, type Node, SteadyWriter } from '../../scripts/lab/index.ts';
import { everyRow } from './rows.ts';

const DEADLINE_MS = 90_000;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { scope: 'hung', dcs: { ttl: 5, synchronous_mode: true } });
}, 120_000);
afterAll(() => lab.close());

function signal(node: Node, whom: 'postmaster' | 'all'): void {
  const postmaster = node.postmaster();
  if (postmaster === undefined) throw new Error(`${node.name} has no PostgreSQL`);
  process.kill(postmaster.pid, 'SIGSTOP');
  if (whom === 'postmaster') return;
  for (const { pid } of node.postgresProcesses()) process.kill(pid, 'SIGSTOP');
}

describe('a primary that hangs', () => {
  it.each<[string, 'postmaster' | 'all', RegExp]>([
    [
      'with every process of it',
      'all',
      /PostgreSQL hangs: no sign of life for \d+ s \(it answers nothing\)/,
    ],
    [
      'with its postmaster alone: sessions go on',
      'postmaster',
      /PostgreSQL hangs: no sign of life for \d+ s \(it takes no connections\)/,
    ],
  ])(
    '%s: another leads, nothing is lost, and the old one follows',
    async (_what, whom, reason) => {
      const old = await cluster.healthy(DEADLINE_MS);
      const writer = await SteadyWriter.start({
        port: cluster.haproxy.ports.primary,
        table: `hung_${whom}`,
      });
      await writer.acknowledges(20, DEADLINE_MS);
      const before = old.postmaster();
      signal(old, whom);
      const next = await cluster.waitForPrimary({ not: old.name, deadlineMs: DEADLINE_MS });
      expect(readFileSync(old.log, 'utf8')).toMatch(reason);
      await writer.acknowledges(20, DEADLINE_MS);
      await writer.stop();
      await cluster.healthy(DEADLINE_MS);
      expect((await cluster.waitForPrimary()).name).toBe(next.name);
      expect(old.postmaster()?.pid).not.toBe(before?.pid);
      for (const node of cluster.nodes) await everyRow(writer, node, DEADLINE_MS);
    },
    300_000,
  );

  it('D67: with its disk, while it answers from memory', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const version = join(old.dataDir, 'PG_VERSION');
    const [kept, hung] = [`${version}.kept`, `${version}.hung`];
    // What opens a FIFO waits for ever, as on a disk that hangs; PostgreSQL itself does not open this one.
    execFileSync('mkfifo', [hung]);
    renameSync(version, kept);
    renameSync(hung, version);
    await cluster.waitForPrimary({ not: old.name, deadlineMs: DEADLINE_MS });
    expect(readFileSync(old.log, 'utf8')).toMatch(/the data disk hangs: .* for \d+ s/);
    expect(old.postgresProcesses()).toEqual([]);
    renameSync(version, hung);
    renameSync(kept, version);
    closeSync(openSync(hung, constants.O_WRONLY | constants.O_NONBLOCK));
    rmSync(hung);
    await cluster.healthy(DEADLINE_MS);
  }, 300_000);
});
