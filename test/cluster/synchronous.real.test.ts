/** Synchronous replication on three real nodes (contract 5.15; rule S5; field D36, D37, D39, D40). */

import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Cluster,
  connect,
  HAProxy,
  Lab,
  type Node,
  SteadyWriter,
  waitFor,
} from '../../scripts/lab/index.ts';
import { everyRow } from './rows.ts';

const DEADLINE_MS = 60_000;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { scope: 'sync', dcs: { ttl: 8, synchronous_mode: true } });
}, 90_000);
afterAll(() => lab.close());

interface Sync {
  readonly leader: string | null;
  readonly quorum: number;
  readonly sync_standby: string | null;
}

async function sync(): Promise<Sync | undefined> {
  const found = await cluster.etcd.get('/service/sync/sync');
  return found === undefined ? undefined : (JSON.parse(found.value) as Sync);
}

function untilSync(
  what: string,
  right: (found: Sync | undefined) => boolean,
): Promise<Sync | undefined> {
  return waitFor(`/sync: ${what}`, DEADLINE_MS, async (seen) => {
    const found = await sync();
    seen(JSON.stringify(found));
    return right(found) ? { found } : undefined;
  }).then(({ found }) => found);
}

async function namesOf(node: Node): Promise<string> {
  const [row] = await node.query<{ names: string }>(
    "SELECT current_setting('synchronous_standby_names') AS names",
  );
  return row?.names ?? '';
}

async function configure(values: Readonly<Record<string, unknown>>): Promise<void> {
  const node = await cluster.waitForPrimary();
  const { status, text } = await node.rest('/config', { method: 'PATCH', body: values });
  expect(status, text).toBe(200);
}

const write = (table: string): Promise<SteadyWriter> =>
  SteadyWriter.start({ port: cluster.haproxy.ports.primary, table });

/** One commit, given up after `ms`; true when it was acknowledged. */
async function commits(node: Node, ms: number): Promise<boolean> {
  const client = await node.connect({ statementMs: ms });
  client.on('error', () => undefined);
  try {
    await client.query(
      'CREATE TABLE IF NOT EXISTS probes (at timestamptz); INSERT INTO probes VALUES (now())',
    );
    return true;
  } catch {
    return false;
  } finally {
    // A backend that waits for a standby does not hear that its client goes.
    client.end().catch(() => undefined);
  }
}

/** What the store has of commits that were given up while they waited (field D38). */
async function unconfirmed(): Promise<number | undefined> {
  const found = await cluster.etcd.get('/service/sync/tenure/unconfirmed');
  return found && (JSON.parse(found.value) as { count?: number }).count;
}

/** As PQcancel does it; returns when the connection is closed, which PostgreSQL does after the signal. */
async function cancel(port: number, pid: number, secret: number): Promise<void> {
  const request = Buffer.alloc(16);
  for (const [at, word] of [16, 80_877_102, pid, secret].entries())
    request.writeInt32BE(word, at * 4);
  const socket = createConnection({ port, host: '127.0.0.1' }, () => socket.write(request));
  socket.on('error', () => undefined);
  socket.resume();
  await new Promise((resolve) => socket.on('close', resolve));
}

/** The commits that wait are cancelled, and the store hears of each. */
async function givenUp(primary: Node): Promise<void> {
  const waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  const cancelled = await waitFor('commits to cancel', DEADLINE_MS, async () => {
    // Longer than two looks, so that all of them have been seen.
    const rows = await primary.query<{ pid: number }>(
      `SELECT pid ${waiting} AND state_change < now() - interval '2 s'`,
    );
    return rows.length > 0 ? rows : undefined;
  });
  for (const { pid } of cancelled) await primary.query('SELECT pg_cancel_backend($1)', [pid]);
  await waitFor('the store to have them', DEADLINE_MS, async (seen) => {
    const found = await unconfirmed();
    seen(`${found} of ${cancelled.length}`);
    return found !== undefined && found >= cancelled.length;
  });
}

describe('priority mode', () => {
  it('names a standby as soon as one streams, and PostgreSQL waits for it', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const found = await untilSync('one standby', (one) => (one?.sync_standby ?? '') !== '');
    expect(found).toEqual({ leader: primary.name, quorum: 0, sync_standby: found?.sync_standby });
    const named = found?.sync_standby ?? '';
    await waitFor(
      'the names in force',
      DEADLINE_MS,
      async () => (await namesOf(primary)) === `"${named}"`,
    );
    await waitFor('the role in GET /cluster', DEADLINE_MS, async () =>
      (await cluster.members())?.some((one) => one.name === named && one.role === 'sync_standby'),
    );
    const standby = cluster.node(named);
    const other = cluster.others(primary.name).find((one) => one.name !== named) as Node;
    expect((await standby.rest('/sync')).status).toBe(200);
    expect((await standby.rest('/async')).status).toBe(503);
    expect((await other.rest('/sync')).status).toBe(503);
    expect((await other.rest('/asynchronous')).status).toBe(200);
    expect((await primary.rest('/read-only-sync')).status).toBe(200);
    expect((await standby.rest('/patroni')).json).toMatchObject({ sync_standby: true });
    expect(await commits(primary, 10_000)).toBe(true);
  });

  it('D43: replaces a lost standby at once by the other, without an empty /sync between', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const lost = cluster.node((await sync())?.sync_standby ?? '');
    const writer = await write('replaced');
    await writer.acknowledges(20);
    await lost.killEverything();
    const found = await untilSync('the other', (one) => one?.sync_standby !== lost.name);
    expect(found?.sync_standby).toBe(
      cluster.nodes.find((one) => one !== lost && one !== primary)?.name,
    );
    await writer.acknowledges(50, DEADLINE_MS);
    await writer.stop();
    await lost.start();
    await cluster.healthy(DEADLINE_MS);
  });

  it('kill of the primary: only the standby of /sync wins, and no acknowledged row is lost', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const { sync_standby: named } = (await untilSync('one', (one) => !!one?.sync_standby)) ?? {};
    const writer = await write('failover');
    await writer.acknowledges(30);
    await primary.killEverything();
    const next = await cluster.waitForPrimary({ not: primary.name });
    expect(next.name).toBe(named);
    await writer.acknowledges(50, DEADLINE_MS);
    await writer.stop();
    await everyRow(writer, next, DEADLINE_MS);
    await primary.start();
    await cluster.healthy(DEADLINE_MS);
    await untilSync(
      'the new leader and one standby',
      (one) => one?.leader === named && !!one?.sync_standby,
    );
    for (const node of cluster.nodes) await everyRow(writer, node, DEADLINE_MS);
  });

  it('D39: a crashed postmaster is not started in place: the standby takes over', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const { sync_standby: named } = (await untilSync('one', (one) => !!one?.sync_standby)) ?? {};
    const writer = await write('crashed');
    await writer.acknowledges(30);
    primary.killPostmaster();
    const next = await cluster.waitForPrimary({ not: primary.name });
    expect(next.name).toBe(named);
    await writer.acknowledges(50, DEADLINE_MS);
    await writer.stop();
    await everyRow(writer, next, DEADLINE_MS);
    await cluster.healthy(DEADLINE_MS);
  });

  it('D38: HAProxy lets no cancel request through, where it is told to', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const proxy = await HAProxy.start(lab, cluster.nodes, { dropCancels: true });
    await waitFor('the primary to be up', DEADLINE_MS, async () =>
      (await proxy.up('primary')).includes(primary.name),
    );
    const client = await connect({ port: proxy.ports.primary, statementMs: DEADLINE_MS });
    client.on('error', () => undefined);
    const outcome = client.query('SELECT pg_sleep(60)').then(
      () => 'done',
      (error: Error) => error.message,
    );
    const { processID, secretKey } = client as unknown as Record<string, number>;
    const active = async (): Promise<boolean> =>
      (
        await primary.query(
          "SELECT FROM pg_stat_activity WHERE query LIKE '%sleep(60)' AND state = 'active' AND pid = $1",
          [processID],
        )
      ).length > 0;
    await waitFor('the query to run', DEADLINE_MS, active);
    await cancel(proxy.ports.primary, processID as number, secretKey as number);
    expect(await active()).toBe(true);
    await cancel(primary.postgresPort, processID as number, secretKey as number);
    expect(await outcome).toContain('canceling statement due to user request');
    await client.end();
  });

  it('a switchover goes to the standby of /sync only, and nothing is lost', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const { sync_standby: named = '' } =
      (await untilSync('one', (one) => one?.leader === primary.name && !!one.sync_standby)) ?? {};
    const other = cluster.others(primary.name).find((one) => one.name !== named) as Node;
    const ask = (candidate: string) =>
      primary.rest('/switchover', {
        method: 'POST',
        body: { leader: primary.name, candidate },
        deadlineMs: DEADLINE_MS,
      });
    expect(await ask(other.name)).toMatchObject({
      status: 412,
      text: 'candidate name does not match with sync_standby',
    });
    const writer = await write('switched');
    await writer.acknowledges(20);
    expect(await ask(named ?? '')).toMatchObject({ status: 200 });
    const next = await cluster.waitForPrimary({ not: primary.name });
    expect(next.name).toBe(named);
    await writer.acknowledges(50, DEADLINE_MS);
    await writer.stop();
    await everyRow(writer, next, DEADLINE_MS);
    await cluster.healthy(DEADLINE_MS);
    await untilSync('the new leader', (one) => one?.leader === named && !!one?.sync_standby);
  });

  it('without any standby: acknowledged again after a while, in strict mode never', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    await configure({ synchronous_mode_strict: true });
    await untilSync('one', (one) => one?.leader === primary.name && !!one.sync_standby);
    const before = await sync();
    const others = cluster.others(primary.name);
    for (const node of others) await node.killEverything();
    // Longer than anything that a mode that is not strict waits for.
    await waitFor('both member keys to be gone', DEADLINE_MS, async () => {
      const members = await cluster.members();
      return members?.length === 1;
    });
    expect(await commits(primary, 3000)).toBe(false);
    expect((await sync())?.sync_standby).toBe(before?.sync_standby);
    await givenUp(primary);
    await configure({ synchronous_mode_strict: null });
    await untilSync('nobody', (one) => one?.leader === primary.name && one.sync_standby === null);
    await waitFor('commits', DEADLINE_MS, () => commits(primary, 5000));
    for (const node of others) await node.start();
    await cluster.healthy(DEADLINE_MS);
    await untilSync('one again', (one) => !!one?.sync_standby);
    await waitFor(
      'D38: standbys to hold what was given up',
      DEADLINE_MS,
      async () => (await unconfirmed()) === undefined,
    );
  });
});

describe('quorum mode', () => {
  it('asks any of the standbys, and after a kill the votes of the others decide', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    await configure({ synchronous_mode: 'quorum' });
    const names = cluster
      .others(primary.name)
      .map(({ name }) => name)
      .sort();
    const all = names.join(',');
    await untilSync('both', (one) => one?.sync_standby === all && one.quorum === 1);
    const expected = `ANY 1 (${names.map((name) => `"${name}"`).join(',')})`;
    await waitFor('ANY 1 of both', DEADLINE_MS, async () => (await namesOf(primary)) === expected);
    expect((await cluster.node(names[0] ?? '').rest('/quorum')).status).toBe(200);
    expect((await cluster.node(names[0] ?? '').rest('/sync')).status).toBe(503);
    expect((await primary.rest('/read-only-quorum')).status).toBe(200);
    const writer = await write('quorum');
    await writer.acknowledges(30);
    await primary.killEverything();
    const next = await cluster.waitForPrimary({ not: primary.name });
    await writer.acknowledges(50, DEADLINE_MS);
    await writer.stop();
    await everyRow(writer, next, DEADLINE_MS);
    await primary.start();
    await cluster.healthy(DEADLINE_MS);
    await untilSync(
      'both under the new leader',
      (one) => one?.leader === next.name && one.quorum === 1,
    );
    for (const node of cluster.nodes) await everyRow(writer, node, DEADLINE_MS);
  });
});

describe('switched off again', () => {
  it('/sync goes first, then the names, and the user has their own again', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    await configure({ synchronous_mode: 'off' });
    await untilSync('gone', (one) => one === undefined);
    await waitFor('no names', DEADLINE_MS, async () => (await namesOf(primary)) === '');
    await configure({ postgresql: { parameters: { synchronous_standby_names: 'mine' } } });
    await waitFor("the user's names", DEADLINE_MS, async () => (await namesOf(primary)) === 'mine');
    await configure({ postgresql: { parameters: { synchronous_standby_names: null } } });
    await waitFor('no names again', DEADLINE_MS, async () => (await namesOf(primary)) === '');
    expect((await primary.rest('/async')).status).toBe(503);
  });
});
