/** Stopping: the end of the shutdown checkpoint, lingering walsenders, standby.signal. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { formatLsn, parseLsn } from '../../src/core/lsn.ts';
import type { WalPoint } from '../../src/core/model.ts';
import { glanceAtControl } from '../../src/postgres/controlfile.ts';
import { processTitle, readProcess } from '../../src/postgres/proc.ts';
import { run } from '../../src/postgres/run.ts';
import { Tools } from '../../src/postgres/tools.ts';
import { lastRecord } from '../../src/postgres/walend.ts';
import {
  clock,
  Lab,
  type Node,
  never,
  noProgress,
  primary,
  settings,
  standby,
  until,
} from './lab.ts';

const lab = new Lab();
afterAll(async () => await lab.close());

const PAGE = 8192;

async function shutDown(node: Node, becomeStandby = false): Promise<WalPoint> {
  const ends: WalPoint[] = [];
  await node.postgres.stop('fast', {
    becomeStandby,
    timeoutMs: 20_000,
    onShutDown: (end) => ends.push(end),
  });
  expect(ends).toHaveLength(1);
  return ends[0] as WalPoint;
}

/** Where the server put the first record after the checkpoint, once it has written one. */
async function nextRecord(node: Node, timeline: number, checkpoint: number): Promise<number> {
  const { stdout } = await run({
    file: new Tools().find('pg_waldump', null),
    args: [
      `--path=${join(node.dataDir, 'pg_wal')}`,
      `--timeline=${timeline}`,
      `--start=${formatLsn(checkpoint)}`,
      '--limit=2',
    ],
    clock,
    timeoutMs: 10_000,
  });
  expect(stdout.split('\n')).toHaveLength(3);
  return lastRecord(stdout)?.lsn ?? 0;
}

test('the end of the shutdown checkpoint is where the next record begins, wherever it falls (F4)', async () => {
  const node = await primary(lab, 'a');
  await node.postgres.configure(
    settings({ parameters: { autovacuum: 'off', bgwriter_delay: '10s' } }),
  );
  await shutDown(node);
  await node.postgres.start('primary', null, 20_000, noProgress, never);
  const crossings = new Set<string>();
  // The shutdown checkpoint is put at places around the end of a page, and of a segment.
  for (const [left, newSegment] of [
    [400, false],
    [120, false],
    [112, false],
    [64, false],
    [24, false],
    [112, true],
    [120, true],
  ] as const) {
    await fillPage(node, left, newSegment);
    const end = await shutDown(node);
    const { checkpointLsn } = await glanceAtControl(node.dataDir);
    crossings.add(`${end.lsn - checkpointLsn}`);
    await node.postgres.start('primary', null, 20_000, noProgress, never);
    await node.postgres.checkpoint(5000);
    const header = end.lsn % PAGE === 0 ? (end.lsn % (16 * 1024 * 1024) === 0 ? 40 : 24) : 0;
    expect(await nextRecord(node, end.timeline, checkpointLsn)).toBe(end.lsn + header);
  }
  // Or the test would say nothing of the headers.
  expect([...crossings].sort()).toEqual(['120', '144', '160']);
});

/** Bytes of a record of pg_logical_emit_message beside the message, when that is over 229 bytes. */
const MESSAGE_OVERHEAD = 55;

/** Writes WAL until `left` bytes before the end of a page, or of a segment: what comes next begins there. */
async function fillPage(node: Node, left: number, segment: boolean): Promise<void> {
  const client = await lab.sql(node);
  const size = segment ? 16 * 1024 * 1024 : PAGE;
  const emit = async (record: number): Promise<void> => {
    const text = `repeat('x', ${record - MESSAGE_OVERHEAD})`;
    await client.query(`SELECT pg_logical_emit_message(false, 'x', ${text})`);
  };
  for (;;) {
    const { rows } = await client.query<{ lsn: string }>(
      'SELECT pg_current_wal_insert_lsn()::text AS lsn',
    );
    const here = parseLsn(rows[0]?.lsn ?? '');
    const room = size - (here % size) - left;
    if (room === 0) break;
    if (room > 1_100_000) await emit(1_000_000);
    else if (room > 110_000) await emit(100_000);
    else if (room > 20_000) await emit(8000);
    else if (room > 4000 || room < 296) await emit(1000);
    else await emit(room);
  }
  await client.end();
}

test('a frozen standby does not hold up the stop; it comes to rest after "shut down" (F4)', async () => {
  const a = await primary(lab, 'b');
  const b = await standby(lab, 'c', a);
  const receiver = await walReceiver(b);
  process.kill(receiver, 'SIGSTOP');
  try {
    const begun = clock.now();
    const end = await shutDown(a, true);
    expect(clock.now() - begun).toBeLessThan(10_000);
    expect(end.lsn).toBeGreaterThan(0);
    expect(a.said.some((line) => line.includes('walsenders'))).toBe(true);
    expect(existsSync(join(a.dataDir, 'standby.signal'))).toBe(true);
    expect(await a.postgres.observe({ searchWalEnd: true })).toMatchObject({
      control: { known: true, value: { state: 'shut down' } },
      walEnd: { known: true, value: end },
      orphans: 0,
      postmaster: { kind: 'none' },
    });
  } finally {
    process.kill(receiver, 'SIGCONT');
  }
  // It was a clean stop, not a crash.
  await a.postgres.start('primary', null, 20_000, noProgress, never);
  expect((await a.postgres.history(1)).entries).toEqual([]);
  await a.postgres.stop('immediate', { becomeStandby: false, timeoutMs: 10_000 });
});

test('a walsender that is held delivers the end to a slow standby', async () => {
  const a = await primary(lab, 'g');
  const b = await standby(lab, 'h', a);
  const receiver = await walReceiver(b);
  const ends: WalPoint[] = [];
  let held = true;
  process.kill(receiver, 'SIGSTOP');
  // More than waits on the standby's side: the rest goes down with a walsender that is ended. Not so
  // much that the walsender is stuck, which would hold up the shutdown checkpoint.
  const emit = `pg_logical_emit_message(false, 'x', repeat('x', 1000))`;
  await lab.ask(a, `SELECT count(${emit}) FROM generate_series(1, 300)`);
  const stopping = a.postgres.stop('fast', {
    becomeStandby: true,
    timeoutMs: 20_000,
    onShutDown: (end) => ends.push(end),
    holdSenders: () => held,
  });
  try {
    await until('it is shut down', () => ends.length > 0);
    // Far longer than a walsender gets that nobody needs.
    await clock.wait(1500);
  } finally {
    process.kill(receiver, 'SIGCONT');
  }
  await until('the standby has everything', async () => {
    const [row] = await lab.ask(b, 'SELECT pg_last_wal_receive_lsn()::text AS lsn');
    return parseLsn(row?.lsn as string) >= (ends[0] as WalPoint).lsn;
  });
  held = false;
  await stopping;
  expect(a.said.some((line) => line.includes('walsenders'))).toBe(false);
});

test('an archive_command that does not end does not hold up the stop', async () => {
  const node = await primary(lab, 'i');
  const parameters = { archive_mode: 'on', archive_command: 'sleep 60' };
  await node.postgres.configure(settings({ parameters }));
  await shutDown(node);
  await node.postgres.start('primary', null, 20_000, noProgress, never);
  await lab.ask(node, 'CREATE TABLE kept AS SELECT 1 AS x');
  await lab.ask(node, 'SELECT pg_switch_wal()');
  const begun = clock.now();
  await shutDown(node);
  expect(clock.now() - begun).toBeLessThan(10_000);
  expect((await glanceAtControl(node.dataDir)).state).toBe('shut down');
  await node.postgres.start('primary', null, 20_000, noProgress, never);
  expect(await lab.ask(node, 'SELECT x FROM kept')).toEqual([{ x: 1 }]);
  await node.postgres.stop('immediate', { becomeStandby: false, timeoutMs: 10_000 });
});

async function walReceiver(node: Node): Promise<number> {
  const [row] = await lab.ask(node, 'SELECT pid FROM pg_stat_wal_receiver');
  return row?.pid as number;
}

test('standby.signal is on disk before the signal is sent (S8)', async () => {
  const node = await primary(lab, 'd');
  const facts = await node.postgres.observe({ searchWalEnd: false });
  if (facts.postmaster.kind !== 'alive') throw new Error('not running');
  // A postmaster that stands still: the stop cannot get further than the signal.
  process.kill(facts.postmaster.pid, 'SIGSTOP');
  const stop = node.postgres.stop('fast', { becomeStandby: true, timeoutMs: 300 });
  await expect(stop).rejects.toThrow('did not stop');
  expect(existsSync(join(node.dataDir, 'standby.signal'))).toBe(true);
  expect(readProcess(facts.postmaster.pid)).not.toBeNull();
  // An immediate stop is carried through.
  await node.postgres.stop('immediate', { becomeStandby: true, timeoutMs: 300 });
  expect(await node.postgres.observe({ searchWalEnd: false })).toMatchObject({
    postmaster: { kind: 'none' },
    orphans: 0,
    standbySignal: true,
  });
});

test('a standby that is stopped says nothing of a shutdown checkpoint', async () => {
  const a = await primary(lab, 'e');
  const b = await standby(lab, 'f', a);
  const ends: WalPoint[] = [];
  await b.postgres.stop('fast', {
    becomeStandby: false,
    timeoutMs: 20_000,
    onShutDown: (end) => ends.push(end),
  });
  expect(ends).toEqual([]);
  expect(processTitle(1)).not.toBe('');
  await until('its control file says so', async () => {
    return (await glanceAtControl(b.dataDir)).state === 'shut down in recovery';
  });
});
