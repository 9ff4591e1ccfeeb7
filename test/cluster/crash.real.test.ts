/** A real cluster of three loses parts of its primary, and what was acknowledged stays. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, Lab, type Node, SteadyWriter, waitFor } from '../../scripts/lab/index.ts';
import { LONG_TTL, leaseOf } from './guarded.ts';

const DEADLINE_MS = 45_000;
const TTL = 12;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { scope: 'crash', dcs: { ttl: TTL } });
}, 90_000);
afterAll(() => lab.close());

const key = (name: string): string => `/service/crash/${name}`;

async function timelineOf(node: Node): Promise<number> {
  const [row] = await node.query<{ timeline: number }>(
    'SELECT timeline_id AS timeline FROM pg_control_checkpoint()',
  );
  return row?.timeline ?? 0;
}

/** The writer's rows, complete on every node. */
async function nothingIsLost(writer: SteadyWriter): Promise<void> {
  await writer.stop();
  await cluster.healthy(DEADLINE_MS);
  for (const node of cluster.nodes) {
    await waitFor(`every acknowledged row on ${node.name}`, 20_000, async (seen) => {
      const client = await node.connect();
      try {
        const missing = await writer.missing(client);
        seen(`${missing.length} missing`);
        return missing.length === 0;
      } finally {
        await client.end();
      }
    });
  }
}

const write = (table: string): Promise<SteadyWriter> =>
  SteadyWriter.start({ port: cluster.haproxy.ports.primary, table });

describe('a cluster of three', () => {
  it('publishes what Patroni publishes', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const systemIdentifier = (await cluster.etcd.get(key('initialize')))?.value;
    expect(systemIdentifier).toMatch(/^\d{10,}$/);
    expect(await cluster.etcd.get(key('leader'))).toMatchObject({ value: primary.name });
    const record = JSON.parse(
      (await cluster.etcd.get(key(`members/${primary.name}`)))?.value ?? '{}',
    ) as Record<string, unknown>;
    expect(Object.keys(record)).toEqual([
      'conn_url',
      'api_url',
      'state',
      'role',
      'version',
      'xlog_location',
      'timeline',
      'tenure',
    ]);
    expect(record).toMatchObject({
      state: 'running',
      role: 'primary',
      version: '4.1.4',
      timeline: 1,
    });
    expect(JSON.parse((await cluster.etcd.get(key('config')))?.value ?? '{}')).toMatchObject({
      ttl: TTL,
      loop_wait: 1,
    });
    await waitFor('/status with a slot for every member', DEADLINE_MS, async () => {
      const status = JSON.parse((await cluster.etcd.get(key('status')))?.value ?? '{}') as {
        slots?: object;
      };
      return (
        Object.keys(status.slots ?? {})
          .sort()
          .join() === 'n1,n2,n3'
      );
    });
  });

  it('ends orphans of a killed postmaster, and restarts it in place without losing a row', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const writer = await write('in_place');
    const before = await timelineOf(primary);
    const busy = await primary.connect({ statementMs: 60_000 });
    busy.on('error', () => undefined);
    await busy.query('CREATE TABLE orphan (id int)');
    // A backend in the middle of something outlives its postmaster, and would hold up the next one.
    const orphan = busy
      .query('INSERT INTO orphan SELECT generate_series(1, 100000000)')
      .catch((error: Error) => error.message);
    await waitFor('the long insert to run', 10_000, async () => {
      const rows = await primary.query(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO orphan%' AND state = 'active'",
      );
      return rows.length > 0;
    });
    await writer.acknowledges(20);
    const killed = primary.killPostmaster();
    expect(await orphan).toMatch(/terminated|connection|unexpected/i);
    await writer.acknowledges(50, DEADLINE_MS);
    expect((await cluster.waitForPrimary()).name).toBe(primary.name);
    expect(primary.postmaster()?.pid).not.toBe(killed.pid);
    expect(await timelineOf(primary)).toBe(before);
    await nothingIsLost(writer);
  });

  it('hands over at SIGTERM without losing a row, and the old leader follows without a rewind', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const writer = await write('planned');
    await writer.acknowledges(50);
    expect((await old.stop(30_000)).code).toBe(0);
    const next = await cluster.waitForPrimary({ not: old.name, deadlineMs: DEADLINE_MS });
    await writer.acknowledges(50, DEADLINE_MS);
    await old.start();
    await nothingIsLost(writer);
    const story = readFileSync(old.log, 'utf8');
    expect(story).not.toContain('pg_rewind');
    expect(story).toMatch(/released the lease; n\d holds everything/);
    const history = await waitFor('/history with its leader', DEADLINE_MS, async () => {
      const rows = JSON.parse(
        (await cluster.etcd.get(key('history')))?.value ?? '[]',
      ) as unknown[][];
      return rows.at(-1)?.[4] === next.name ? rows : undefined;
    });
    expect(history.at(-1)).toEqual([
      expect.any(Number),
      expect.any(Number),
      expect.any(String),
      expect.stringMatching(/^\d{4}-.*\+00:00$/),
      next.name,
    ]);
  });

  it('fails over when daemon and PostgreSQL die together', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const writer = await write('node_death');
    await writer.acknowledges(50);
    await old.killEverything();
    await cluster.waitForPrimary({ not: old.name, deadlineMs: DEADLINE_MS });
    await writer.acknowledges(50, DEADLINE_MS);
    await writer.stop();
    await old.start();
    await cluster.healthy(DEADLINE_MS);
  });

  it('adopts the PostgreSQL of a daemon that died: same postmaster, same lease holder, nothing lost', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const writer = await write('adopted');
    const postmaster = primary.postmaster();
    await leaseOf(cluster, primary, LONG_TTL);
    await primary.kill();
    await primary.start();
    await writer.acknowledges(50, DEADLINE_MS);
    expect((await cluster.waitForPrimary()).name).toBe(primary.name);
    expect(primary.postmaster()).toEqual(postmaster);
    await nothingIsLost(writer);
    await leaseOf(cluster, primary, TTL);
    // The death of an adopted postmaster is an event too, though it is nobody's child.
    primary.killPostmaster();
    await waitFor('another postmaster', DEADLINE_MS, () => {
      const now = primary.postmaster();
      return now !== undefined && now.pid !== postmaster?.pid;
    });
    await cluster.healthy(DEADLINE_MS);
  });

  it('D13: stops and rewinds an old primary that the boot started before its daemon', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    await old.query('CREATE TABLE seen_twice (who text)');
    await old.killEverything();
    const next = await cluster.waitForPrimary({ not: old.name, deadlineMs: DEADLINE_MS });
    const bin = (old.config.postgresql as { bin_dir: string }).bin_dir;
    const boot = await lab.spawn([join(bin, 'postgres'), '-D', old.dataDir], {
      name: `boot-${old.name}`,
      cwd: old.folder,
      log: join(old.folder, 'boot.log'),
    });
    await waitFor('the old primary to take writes again', DEADLINE_MS, async () => {
      await old.query("INSERT INTO seen_twice VALUES ('old')");
      return true;
    });
    await next.query("INSERT INTO seen_twice VALUES ('new')");
    await old.start();
    await boot.exited;
    await cluster.healthy(DEADLINE_MS);
    expect((await cluster.waitForPrimary()).name).toBe(next.name);
    await waitFor("only the new primary's row", DEADLINE_MS, async (seen) => {
      const rows = await old.query<{ who: string }>('SELECT who FROM seen_twice');
      seen(JSON.stringify(rows));
      return rows.length === 1 && rows[0]?.who === 'new';
    });
    expect(readFileSync(old.log, 'utf8')).toMatch(
      /rewinding to n\d: the local WAL ends at .* bytes after/,
    );
  });
});
