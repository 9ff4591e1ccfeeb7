/** Timelines: reserved numbers, crash recovery, the end of the WAL, and how fast a standby looks again. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseLsn } from '../../src/core/lsn.ts';
import { writeStubs } from '../../src/postgres/history.ts';
import {
  caughtUp,
  granted,
  Lab,
  type Node,
  never,
  noProgress,
  primary,
  settings,
  standby,
  streaming,
  until,
} from './lab.ts';

const lab = new Lab();
afterAll(async () => await lab.close());

const look = async (of: Node, searchWalEnd = false) => await of.postgres.observe({ searchWalEnd });

async function stop(node: Node, mode: 'fast' | 'immediate'): Promise<void> {
  await node.postgres.stop(mode, { becomeStandby: true, timeoutMs: 20_000 });
}

test('a second promotion from the same point takes another timeline, and a standby follows it (S6)', async () => {
  const a = await primary(lab, 'a');
  const b = await standby(lab, 'b', a);
  const c = await standby(lab, 'c', a);
  await lab.ask(a, 'CREATE TABLE t (x int)');
  await caughtUp(b, a);
  await caughtUp(c, a);
  await stop(a, 'fast');

  // b claims 2, promotes, writes, and dies before anybody follows.
  expect(await b.postgres.promote(2, 10_000, granted)).toBe(2);
  await lab.ask(b, 'INSERT INTO t SELECT generate_series(1, 10)');
  await stop(b, 'immediate');
  // c claims 4, as 3 was claimed too and never promoted.
  expect(await c.postgres.promote(4, 10_000, granted)).toBe(4);
  await lab.ask(c, 'INSERT INTO t SELECT generate_series(11, 20)');
  const history = (await c.postgres.history(4)).entries;
  expect(history.map(({ timeline }) => timeline)).toEqual([1]);

  // a, on timeline 1, follows over all of it.
  await a.postgres.start('standby', c.upstream, 20_000, noProgress, never);
  await streaming(a);
  await caughtUp(a, c);
  expect((await look(a)).sql).toMatchObject({ known: true, value: { timeline: 4 } });
  expect(await lab.ask(a, 'SELECT count(*)::int AS n, min(x) AS least FROM t')).toEqual([
    { n: 10, least: 11 },
  ]);

  // b diverged at the end of timeline 1, which pg_rewind can now see.
  await c.postgres.checkpoint(5000);
  const upstream = await b.postgres.askUpstream(c.upstream, 3000);
  expect(upstream).toMatchObject({ name: 'c', timeline: 4, inRecovery: false, history });
  await b.postgres.rewind(c.upstream, noProgress);
  await b.postgres.start('standby', c.upstream, 20_000, noProgress, never);
  await streaming(b);
  await caughtUp(b, c);
  expect(await lab.ask(b, 'SELECT count(*)::int AS n, min(x) AS least FROM t')).toEqual([
    { n: 10, least: 11 },
  ]);

  // A standby of a standby is asked too, and says what it is.
  expect(await a.postgres.askUpstream(b.upstream, 3000)).toMatchObject({
    timeline: 4,
    inRecovery: true,
  });
  // A standby on its own still knows its timeline, which pg_control alone need not.
  await b.postgres.follow(null);
  await until('b follows nobody', async () => {
    const { sql } = await look(b);
    return sql.known && sql.value.walReceiver === null;
  });
  expect((await look(b)).sql).toMatchObject({ known: true, value: { timeline: 4 } });
});

test('stubs of a promotion that never happened do not keep a standby from its upstream (D51)', async () => {
  const a = await primary(lab, 'd');
  const b = await standby(lab, 'e', a);
  await caughtUp(b, a);
  const [row] = await lab.ask(b, 'SELECT pg_last_wal_replay_lsn()::text AS lsn');
  const places = { dataDir: b.dataDir, wal: join(b.dataDir, 'pg_wal') };
  await writeStubs(places, 1, parseLsn(row?.lsn as string), 4);
  await stop(b, 'fast');
  await b.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await lab.ask(a, 'CREATE TABLE t AS SELECT 1 AS x');
  await caughtUp(b, a);
  expect(readdirSync(places.wal).filter((name) => name.endsWith('.history'))).toEqual([]);
});

test('stubs are no ancestors: a standby that still streams promotes to a child of its own timeline', async () => {
  // On the way out of streaming PostgreSQL looks for newer timelines, and reads the stubs.
  const a = await primary(lab, 'f');
  const b = await standby(lab, 'g', a);
  await caughtUp(b, a);
  expect(await b.postgres.promote(5, 10_000, granted)).toBe(5);
  const { entries } = await b.postgres.history(5);
  expect(entries.map(({ timeline }) => timeline)).toEqual([1]);
});

test('stubs do not lead a running standby astray when its upstream was away (D51)', async () => {
  const a = await primary(lab, 'o');
  const b = await standby(lab, 'p', a);
  await caughtUp(b, a);
  const [row] = await lab.ask(b, 'SELECT pg_last_wal_replay_lsn()::text AS lsn');
  const places = { dataDir: b.dataDir, wal: join(b.dataDir, 'pg_wal') };
  await writeStubs(places, 1, parseLsn(row?.lsn as string), 4);
  a.postgres.killEverything();
  await until('b has noticed', async () => {
    const { sql } = await look(b);
    return sql.known && sql.value.walReceiver === null;
  });
  await a.postgres.killOrphans(5000);
  await a.postgres.start('primary', null, 20_000, noProgress, never);
  await streaming(b);
  await lab.ask(a, 'CREATE TABLE t AS SELECT 1 AS x');
  await caughtUp(b, a);
  expect((await look(b)).sql).toMatchObject({ known: true, value: { timeline: 1 } });
});

test('crash recovery of the same primary keeps its timeline; the end of its WAL is found before (D45)', async () => {
  const a = await primary(lab, 'h');
  await lab.ask(a, 'CREATE TABLE t AS SELECT generate_series(1, 5000) x');
  const before = await look(a);
  const flushed = before.sql.known ? before.sql.value.currentLsn : null;
  a.postgres.killEverything();
  await until('it is gone', async () => {
    const { postmaster, orphans } = await look(a);
    return postmaster.kind === 'none' && orphans === 0;
  });
  const dead = await look(a, true);
  expect(dead.control).toMatchObject({
    known: true,
    value: { state: 'in production', timeline: 1 },
  });
  if (!dead.walEnd.known || flushed === null) throw new Error('no end');
  expect(dead.walEnd.value.timeline).toBe(1);
  expect(dead.walEnd.value.lsn).toBeGreaterThanOrEqual(flushed);
  expect(dead.walEnd.value.lsn - flushed).toBeLessThan(8192);
  await a.postgres.start('primary', null, 20_000, noProgress, never);
  expect((await look(a)).sql).toMatchObject({ known: true, value: { timeline: 1 } });
  expect(await lab.ask(a, 'SELECT count(*)::int AS n FROM t')).toEqual([{ n: 5000 }]);
});

test('the end of the WAL of a stopped standby is behind all it replayed, on the right timeline', async () => {
  const a = await primary(lab, 'i');
  const b = await standby(lab, 'j', a);
  const c = await standby(lab, 'k', a);
  await lab.ask(a, 'CREATE TABLE t AS SELECT generate_series(1, 5000) x');
  await caughtUp(b, a);
  await caughtUp(c, a);
  for (const mode of ['fast', 'immediate'] as const) {
    const replayed = await replayOf(b);
    await stop(b, mode);
    await expectEnd(b, 1, replayed, await flushOf(a));
    await b.postgres.start('standby', a.upstream, 20_000, noProgress, never);
    await streaming(b);
    await lab.ask(a, 'INSERT INTO t VALUES (1)');
    await caughtUp(b, a);
    await caughtUp(c, a);
  }
  // Over a change of timeline, before any checkpoint on the new one.
  await stop(a, 'fast');
  await b.postgres.promote(2, 10_000, granted);
  await c.postgres.follow(b.upstream);
  await streaming(c);
  await lab.ask(b, 'INSERT INTO t VALUES (2)');
  await caughtUp(c, b);
  const flushed = await flushOf(b);
  b.postgres.killEverything();
  await until('c has lost b', async () => {
    const { sql } = await look(c);
    return sql.known && sql.value.walReceiver === null;
  });
  // pg_control knows of the new timeline only from the next checkpoint on.
  expect((await look(c)).sql).toMatchObject({ known: true, value: { timeline: 2 } });
  const replayed = await replayOf(c);
  c.postgres.killEverything();
  await until('c is gone', async () => {
    const { postmaster, orphans } = await look(c);
    return postmaster.kind === 'none' && orphans === 0;
  });
  await expectEnd(c, 2, replayed, flushed + 64 * 1024);
});

async function replayOf(node: Node): Promise<number> {
  const { sql } = await look(node);
  return (sql.known ? sql.value.replayLsn : null) ?? Number.NaN;
}

async function flushOf(node: Node): Promise<number> {
  const { sql } = await look(node);
  return (sql.known ? sql.value.currentLsn : null) ?? Number.NaN;
}

async function expectEnd(
  node: Node,
  timeline: number,
  atLeast: number,
  atMost: number,
): Promise<void> {
  const { walEnd } = await look(node, true);
  if (!walEnd.known) throw new Error(walEnd.why);
  expect(walEnd.value.timeline).toBe(timeline);
  expect(walEnd.value.lsn).toBeGreaterThanOrEqual(atLeast);
  expect(walEnd.value.lsn).toBeLessThanOrEqual(atMost);
}

test('a standby looks again after at most 500 ms, also right after its walreceiver died (F5, D70)', async () => {
  const a = await primary(lab, 'l');
  const b = await standby(lab, 'm', a);
  const setting = async (): Promise<unknown> =>
    (
      await lab.ask(
        b,
        'SELECT setting::int AS ms FROM pg_settings WHERE name = $$wal_retrieve_retry_interval$$',
      )
    )[0]?.ms;
  expect(await setting()).toBe(100);
  const [row] = await lab.ask(b, 'SELECT pid FROM pg_stat_wal_receiver');
  process.kill(row?.pid as number, 'SIGTERM');
  expect(await b.postgres.promote(null, 10_000, granted)).toBe(2);
  expect(await setting()).toBe(100);
  await b.postgres.configure(settings({ parameters: { wal_retrieve_retry_interval: '400ms' } }));
  await until('the reload is done', async () => (await setting()) === 400);
});

test('slots: created with WAL reserved, advanced but not beyond, dropped when idle', async () => {
  const a = await primary(lab, 'n');
  await a.postgres.slots({ create: ['x', 'y'], drop: [], advance: {} });
  await a.postgres.slots({ create: ['x'], drop: ['y', 'never'], advance: {} });
  const slot = async () => {
    const { sql } = await look(a);
    return sql.known ? sql.value.slots : [];
  };
  const [x] = await slot();
  expect(await slot()).toEqual([
    { name: 'x', type: 'physical', active: false, restartLsn: expect.any(Number) as number },
  ]);
  await lab.ask(a, 'CREATE TABLE t AS SELECT 1 AS x');
  const { sql } = await look(a);
  const here = sql.known ? (sql.value.currentLsn ?? 0) : 0;
  await a.postgres.slots({ create: [], drop: [], advance: { x: here + 1_000_000 } });
  expect(await slot()).toEqual([x]);
  await a.postgres.slots({ create: [], drop: [], advance: { x: here } });
  expect((await slot())[0]?.restartLsn).toBe(here);
  await expect(a.postgres.slots({ create: ['Not-A-Slot'], drop: [], advance: {} })).rejects.toThrow(
    'Not-A-Slot',
  );
});
