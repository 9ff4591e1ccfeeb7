import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  Etcd,
  HAProxy,
  Lab,
  PostgresServer,
  processesIn,
  SteadyWriter,
  signalProcess,
  waitFor,
} from '../../scripts/lab/index.ts';

let lab: Lab;
beforeEach(() => {
  lab = Lab.open();
});
afterEach(() => lab.close());

describe('etcd', () => {
  test('one member: keys, leases, silence while frozen', async () => {
    const etcd = await Etcd.start(lab);
    await etcd.put('/service/demo/config', '{"ttl":5}');
    await etcd.put('/service/demo/leader', 'n1');
    expect((await etcd.list('/service/')).map((one) => [one.key, one.value])).toEqual([
      ['/service/demo/config', '{"ttl":5}'],
      ['/service/demo/leader', 'n1'],
    ]);
    expect(await etcd.get('/service/demo/leader')).toMatchObject({ value: 'n1', lease: '0' });
    await etcd.delete('/service/demo/leader');
    expect(await etcd.get('/service/demo/leader')).toBeUndefined();

    const granted = await etcd.etcdctl(['lease', 'grant', '30', '-w', 'json']);
    const lease = /"ID":(\d+)/.exec(granted)?.[1] ?? '0';
    await etcd.put('/service/demo/leader', 'n2', lease);
    expect(await etcd.get('/service/demo/leader')).toMatchObject({ value: 'n2', lease });
    expect(await etcd.leaseTimeLeftMs(lease)).toBeGreaterThan(20_000);

    etcd.member(0).pause();
    expect(await etcd.member(0).isHealthy()).toBe(false);
    etcd.member(0).resume();
    await etcd.ready();
    await etcd.member(0).kill();
    await etcd.member(0).start();
    await etcd.ready();
    expect(await etcd.get('/service/demo/config')).toMatchObject({ value: '{"ttl":5}' });
  });

  test('three members: another one leads after the leader was killed', async () => {
    const etcd = await Etcd.start(lab, 3);
    const first = await etcd.leader();
    await first.kill();
    const second = await waitFor('another leader', 10_000, async () => {
      const leader = await etcd.leader();
      return leader === first ? undefined : leader;
    });
    expect(second.name).not.toBe(first.name);
  });
});

describe('PostgreSQL', () => {
  test('a primary, its standby, and what a killed postmaster leaves', async () => {
    const primary = await PostgresServer.start(lab, { name: 'a' });
    const standby = await primary.standby('b');
    await primary.query('CREATE TABLE t (x int)');
    await primary.query('INSERT INTO t VALUES (1)');
    await standby.caughtUpWith(primary);
    expect(await standby.query('SELECT x FROM t')).toEqual([{ x: 1 }]);
    expect(await standby.query('SELECT pg_is_in_recovery() AS standby')).toEqual([
      { standby: true },
    ]);

    const client = await primary.connect();
    await primary.process?.end('SIGKILL', 5000);
    for (const orphan of processesIn(primary.dataDir)) signalProcess(orphan, 'SIGKILL');
    await expect(client.query('SELECT 1')).rejects.toThrow();
    await primary.start();
    expect(await primary.query('SELECT x FROM t')).toEqual([{ x: 1 }]);
    await primary.stop();
    expect(processesIn(primary.dataDir)).toEqual([]);
  });

  test('a copy has its template’s system identifier, unless it asks for its own', async () => {
    const identifier = 'SELECT system_identifier::text AS id FROM pg_control_system()';
    const a = await PostgresServer.start(lab, { name: 'a' });
    const b = await PostgresServer.start(lab, { name: 'b' });
    const c = await PostgresServer.start(lab, { name: 'c', ownIdentity: true });
    expect(await b.query(identifier)).toEqual(await a.query(identifier));
    expect(await c.query(identifier)).not.toEqual(await a.query(identifier));
  });
});

test('the steady writer measures an outage and finds no row missing after a clean restart', async () => {
  const server = await PostgresServer.start(lab, { name: 'a' });
  const writer = await SteadyWriter.start({ port: server.port });
  await writer.acknowledges(20);
  const from = performance.now();
  await server.stop();
  await server.start();
  await writer.acknowledges(20);
  const gap = writer.longestGap(from);
  await writer.stop();
  expect(gap.ms).toBeGreaterThan(20);
  expect(gap.from).toBeLessThan(gap.to);

  const client = await server.connect();
  expect(await writer.missing(client)).toEqual([]);
  const [lost] = writer.acknowledged;
  await client.query(`DELETE FROM ${writer.table} WHERE id = $1`, [lost?.id]);
  expect(await writer.missing(client)).toEqual([lost?.id]);
  await client.end();
});

test('HAProxy sends nothing to nodes whose daemon does not answer', async () => {
  const node = { name: 'n1', postgresPort: await lab.port(), restPort: await lab.port() };
  const haproxy = await HAProxy.start(lab, [node]);
  await waitFor('the first check', 5000, async () => (await haproxy.up('primary')).length === 0);
});

test('closing leaves no process and no folder, even of what nobody stopped', async () => {
  const etcd = await Etcd.start(lab);
  etcd.member(0).pause();
  const server = await PostgresServer.start(lab, { name: 'a' });
  server.process?.signal('SIGSTOP');
  expect(processesIn(lab.folder).length).toBeGreaterThan(2);
  writeFileSync(join(lab.path('closed'), 'file'), 'x');
  chmodSync(lab.path('closed'), 0o000);
  await lab.close();
  expect(processesIn(lab.folder)).toEqual([]);
  expect(existsSync(lab.folder)).toBe(false);
});
