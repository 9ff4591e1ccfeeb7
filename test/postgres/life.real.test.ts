/** The life of two servers: bootstrap, clone, stream, promote, rewind, follow. */
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  caughtUp,
  granted,
  Lab,
  never,
  noProgress,
  primary,
  settings,
  standby,
  streaming,
} from './lab.ts';

const lab = new Lab();
afterAll(async () => await lab.close());

test('bootstrap, clone, stream, promote, rewind, follow', async () => {
  const a = await primary(lab, 'a');
  const first = await a.postgres.observe({ searchWalEnd: false });
  expect(first).toMatchObject({
    dataDirectory: { kind: 'cluster' },
    standbySignal: false,
    postmaster: { kind: 'alive', adopted: false },
    orphans: 0,
    ready: 'accepting',
    interrupted: null,
    sql: { known: true, value: { inRecovery: false, timeline: 1 } },
    control: {
      known: true,
      value: { state: 'in production', dataChecksums: true, walLogHints: true },
    },
  });
  expect(first.incarnation).not.toBeNull();
  const b = await standby(lab, 'b', a);
  await lab.ask(a, 'CREATE TABLE t AS SELECT 1 AS x');
  await caughtUp(b, a);
  const second = await b.postgres.observe({ searchWalEnd: false });
  expect(second).toMatchObject({
    standbySignal: true,
    sql: {
      known: true,
      value: { inRecovery: true, timeline: 1, walReceiver: { slotName: 'b', timeline: 1 } },
    },
  });

  // Planned hand-over: what onShutDown says is where the candidate has to be.
  await a.postgres.checkpoint(5000);
  const ends: { timeline: number; lsn: number }[] = [];
  await a.postgres.stop('fast', {
    becomeStandby: true,
    timeoutMs: 20_000,
    onShutDown: (end) => ends.push(end),
  });
  expect(ends).toHaveLength(1);
  expect(existsSync(join(a.dataDir, 'standby.signal'))).toBe(true);
  const after = await b.postgres.observe({ searchWalEnd: false });
  expect(after.sql).toMatchObject({ known: true, value: { receiveLsn: ends[0]?.lsn } });

  expect(await b.postgres.promote(2, 10_000, granted)).toBe(2);
  const promoted = await b.postgres.observe({ searchWalEnd: false });
  expect(promoted.sql).toMatchObject({ known: true, value: { inRecovery: false, timeline: 2 } });
  expect((await b.postgres.history(2)).entries).toEqual([
    { timeline: 1, switchLsn: ends[0]?.lsn, reason: expect.any(String) as string },
  ]);

  // The old primary has nothing that the new one lacks: it follows as it is.
  await a.postgres.start('standby', b.upstream, 20_000, noProgress, never);
  await streaming(a);
  await lab.ask(b, 'INSERT INTO t VALUES (2)');
  await caughtUp(a, b);

  // Diverged: both were primaries from the same point.
  await b.postgres.stop('immediate', { becomeStandby: false, timeoutMs: 20_000 });
  expect(await a.postgres.promote(3, 10_000, granted)).toBe(3);
  await lab.ask(a, 'INSERT INTO t VALUES (3)');
  await a.postgres.checkpoint(5000);
  await b.postgres.start('primary', null, 20_000, noProgress, never);
  await lab.ask(b, 'INSERT INTO t SELECT generate_series(100, 300)');
  await b.postgres.stop('immediate', { becomeStandby: true, timeoutMs: 20_000 });
  await b.postgres.rewind(a.upstream, noProgress);
  expect((await b.postgres.observe({ searchWalEnd: false })).interrupted).toBeNull();
  await b.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(b);
  await caughtUp(b, a);
  expect(await lab.ask(b, 'SELECT x FROM t ORDER BY x')).toEqual([{ x: 1 }, { x: 2 }, { x: 3 }]);

  // A third one is followed after a change of primary, by reload alone.
  const c = await standby(lab, 'c', a);
  const { upstream } = c;
  expect(await b.postgres.follow(upstream)).toBe(true);
  await streaming(b);
  const moved = await b.postgres.observe({ searchWalEnd: false });
  expect(moved.sql).toMatchObject({ known: true, value: { walReceiver: { port: c.port } } });
  expect(await b.postgres.follow(upstream)).toBe(false);
});

test('D49: a rewind gets WAL that it needs and that is gone from the archive', async () => {
  const archive = join(lab.folder, 'archive');
  mkdirSync(archive);
  const old = await primary(lab, 'd');
  const heir = await standby(lab, 'e', old);
  await caughtUp(heir, old);
  expect(await heir.postgres.promote(2, 10_000, granted)).toBe(2);
  await heir.postgres.checkpoint(5000);
  // The old primary goes on for some segments, as one that was cut off would.
  for (let round = 0; round < 3; round += 1) {
    await lab.ask(old, `CREATE TABLE lost_${round} AS SELECT generate_series(1, 1000)`);
    await lab.ask(old, 'SELECT pg_switch_wal()');
  }
  await old.postgres.checkpoint(5000);
  await old.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  const wal = join(old.dataDir, 'pg_wal');
  const segments = readdirSync(wal).filter((name) => /^[0-9A-F]{24}$/.test(name));
  const { control } = await old.postgres.observe({ searchWalEnd: false });
  const redo = control.known ? control.value.redoLsn : 0;
  const last = `00000001${'0'.repeat(8)}${Math.floor(redo / 2 ** 24)
    .toString(16)
    .toUpperCase()
    .padStart(8, '0')}`;
  for (const segment of segments.filter((name) => name < last)) {
    renameSync(join(wal, segment), join(archive, segment));
  }
  // Without an archive nothing can be done, and nothing is touched.
  await expect(old.postgres.rewind(heir.upstream, noProgress)).rejects.toThrow(
    /could not (?:open|find).*(?:WAL|pg_wal|file)/,
  );
  expect((await old.postgres.observe({ searchWalEnd: false })).interrupted).toBeNull();
  await old.postgres.configure(
    settings({ recoveryConf: { restore_command: `cp '${archive}/%f' '%p'` } }),
  );
  await old.postgres.rewind(heir.upstream, noProgress);
  await old.postgres.start('standby', heir.upstream, 20_000, noProgress, never);
  await streaming(old);
  await caughtUp(old, heir);
  expect(await lab.ask(old, "SELECT FROM pg_class WHERE relname LIKE 'lost%'")).toEqual([]);
});
