/** synchronous_standby_names on real servers: in force when it says so, weakened by nothing else (S2). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PLACEHOLDER } from '../../src/core/guarantee.ts';
import { Lab, type Node, primary, settings, standby, streaming, until } from './lab.ts';

const lab = new Lab();
let a: Node;
let b: Node;
const on = settings({ synchronous: true });
/** By itself the standby says nothing; only new WAL makes it. */
const silent = settings({
  synchronous: true,
  parameters: { wal_receiver_status_interval: '3600' },
});

beforeAll(async () => {
  a = await primary(lab, 'a');
  b = await standby(lab, 'b', a);
  await b.postgres.configure(silent);
  await a.postgres.configure(on);
  await lab.ask(a, 'CREATE TABLE t (x int)');
}, 60_000);
afterAll(async () => await lab.close());

async function facts(node: Node) {
  const { sql } = await node.postgres.observe({ searchWalEnd: false });
  if (!sql.known) throw new Error(sql.why);
  return sql.value;
}

/** One commit; its promise, and whether it is acknowledged so far. */
async function commit(
  node: Node,
): Promise<{ readonly acknowledged: () => boolean; done: Promise<unknown> }> {
  const client = await lab.sql(node);
  let acknowledged = false;
  const done = client.query('INSERT INTO t VALUES (1)').then(() => {
    acknowledged = true;
  });
  done.catch(() => undefined);
  return { acknowledged: () => acknowledged, done };
}

const waits = (node: Node): Promise<void> =>
  until('a commit waits', async () => (await facts(node)).commitsWait);

test('a standby has a name that nobody bears, a primary what the leader sets', async () => {
  await until('the placeholder', async () =>
    (await facts(b)).synchronousStandbyNames.includes(PLACEHOLDER),
  );
  const before = (await facts(a)).currentLsn ?? 0;
  const set = await a.postgres.setSynchronousNames('"b"', 60_000);
  expect(set.names).toBe('"b"');
  expect(set.flushedLsn).toBeGreaterThanOrEqual(before);
  const seen = await facts(a);
  expect(seen).toMatchObject({ synchronousStandbyNames: '"b"', follows: false });
  expect(seen.walSenders).toMatchObject([
    { applicationName: 'b', slotName: 'b', state: 'streaming' },
  ]);
  await (await commit(a)).done;
});

test('from none to some: the very next commit waits', async () => {
  await a.postgres.setSynchronousNames('', 60_000);
  await a.postgres.setSynchronousNames('"nobody"', 60_000);
  const waiting = await commit(a);
  await waits(a);
  expect(waiting.acknowledged()).toBe(false);
  const set = await a.postgres.setSynchronousNames('"b"', 60_000);
  // New WAL: without it the standby would confirm what it has only at its next status message.
  expect((await facts(a)).currentLsn ?? 0).toBeGreaterThan(set.flushedLsn ?? 0);
  await until('the commit to be acknowledged', waiting.acknowledged, 30_000);
});

test('S2: neither new settings nor a new agent let a waiting commit go', async () => {
  await a.postgres.setSynchronousNames('"nobody"', 60_000);
  const waiting = await commit(a);
  await waits(a);
  await a.postgres.configure(settings({ synchronous: true, parameters: { work_mem: '5MB' } }));
  const off = settings({ parameters: { synchronous_standby_names: '', work_mem: '6MB' } });
  await a.postgres.configure(off);
  const another = lab.restarted(a);
  await another.postgres.configure(off);
  await until('the reload', async () => {
    const [row] = await lab.ask(a, 'SHOW work_mem');
    return row?.work_mem === '6MB';
  });
  expect((await facts(a)).synchronousStandbyNames).toBe('"nobody"');
  expect(waiting.acknowledged()).toBe(false);
  await another.postgres.setSynchronousNames(null, 60_000);
  await waiting.done;
  expect((await facts(a)).synchronousStandbyNames).toBe('');
  await a.postgres.configure(on);
});

test('what stands above is named, and nothing is taken for in force', async () => {
  await lab.ask(a, "ALTER SYSTEM SET synchronous_standby_names = 'mine'");
  await lab.ask(a, 'SELECT pg_reload_conf()');
  await expect(a.postgres.setSynchronousNames('"b"', 300)).rejects.toThrow('ALTER SYSTEM');
  expect(await a.postgres.setSynchronousNames(null, 300)).toMatchObject({ names: 'mine' });
  expect(await a.postgres.setSynchronousNames(null, 60_000)).toMatchObject({ names: 'mine' });
  await lab.ask(a, 'ALTER SYSTEM RESET synchronous_standby_names');
  expect(await a.postgres.setSynchronousNames('"b"', 60_000)).toMatchObject({ names: '"b"' });
});

test('a connection is ended only while it is the one that was seen', async () => {
  await a.postgres.setSynchronousNames('', 60_000);
  const sender = async () => (await facts(a)).walSenders[0];
  const before = await sender();
  if (before === undefined) throw new Error('no walsender');
  await a.postgres.endSender(before.pid, '2001-01-01 00:00:00.000000+00:00');
  expect((await sender())?.pid).toBe(before.pid);
  await a.postgres.endSender(before.pid, before.startedAt);
  await until('another connection', async () => {
    const now = await sender();
    return now !== undefined && now.pid !== before.pid;
  });
  await streaming(b);
});

test('a standby that is pointed at nobody receives nothing more, paused replay or not', async () => {
  await lab.ask(b, 'SELECT pg_wal_replay_pause()');
  await b.postgres.follow(null);
  await until('no walreceiver', async () => {
    const { follows, walReceiver } = await facts(b);
    return !follows && walReceiver === null;
  });
  await b.postgres.follow(a.upstream);
  await lab.ask(b, 'SELECT pg_wal_replay_resume()');
  await streaming(b);
});
