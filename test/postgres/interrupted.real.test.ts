/** Clones and rewinds that do not come to their end (S7, S8, field D48). */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Markers } from '../../src/postgres/markers.ts';
import { allProcesses, processArguments } from '../../src/postgres/proc.ts';
import {
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
let a: Node;
beforeAll(async () => {
  a = await primary(lab, 'a');
});
afterAll(async () => await lab.close());

/** Another agent on the same server, whose clones take long enough to be interrupted. */
function slow(node: Node): Node {
  return lab.restarted({
    ...node,
    options: { ...node.options, basebackup: [{ 'max-rate': '2M' }] },
  });
}

const look = async (of: Node) => await of.postgres.observe({ searchWalEnd: false });
const leftovers = (node: Node): string[] =>
  readdirSync(`${node.dataDir}.tenure`).filter((name) => /^(?:clone|old)\./.test(name));

/** Kills an agent of its own process when its work says `phase`. */
async function killedAgent(node: Node, work: 'clone' | 'rewind', phase: RegExp): Promise<void> {
  const { clock: _clock, log: _log, ...options } = node.options;
  const script = new URL('./crashing-agent.ts', import.meta.url).pathname;
  const child: ChildProcess = spawn(
    process.execPath,
    [script, JSON.stringify(options), work, JSON.stringify(a.upstream)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (phase.test(said)) child.kill('SIGKILL');
    });
    child.once('exit', (_code, signal) => {
      if (signal === 'SIGKILL') resolve();
      else reject(new Error(`the agent ended by itself: ${said}`));
    });
  });
}

function toolsAtWork(node: Node): number {
  return allProcesses().filter(
    ({ command, pid }) =>
      command === 'pg_basebackup' &&
      processArguments(pid).some((text) => text.includes(node.dataDir)),
  ).length;
}

test('a cancelled clone leaves the old directory as it was, and nothing else', async () => {
  const b = await standby(lab, 'b', a);
  await b.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  const before = await look(b);
  const control = new AbortController();
  const cloning = slow(b).postgres.clone(
    a.upstream,
    (phase) => {
      if (phase.startsWith('copying')) control.abort();
    },
    control.signal,
  );
  await expect(cloning).rejects.toThrow('cancelled');
  expect(toolsAtWork(b)).toBe(0);
  expect(leftovers(b)).toEqual([]);
  const after = await look(b);
  expect(after).toMatchObject({ interrupted: null, incarnation: before.incarnation });
  await b.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(b);
});

test('an agent killed while it clones beside: the next one ends the tool and keeps the old directory', async () => {
  const b = await standby(lab, 'c', a);
  await b.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  await killedAgent(slow(b), 'clone', /copying: /);
  expect(toolsAtWork(b)).toBeGreaterThan(0);
  const next = lab.restarted(b);
  const facts = await look(next);
  expect(toolsAtWork(b)).toBe(0);
  expect(facts).toMatchObject({ interrupted: null, dataDirectory: { kind: 'cluster' } });
  await until('the unfinished copy is removed', () => leftovers(b).length === 0);
  await next.postgres.configure(settings());
  await next.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(next);
});

test('an agent killed while it clones in place: the directory is known to be in pieces', async () => {
  const b = await standby(lab, 'd', a);
  await b.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  // A part of it elsewhere makes a second copy impossible.
  mkdirSync(join(lab.folder, 'wal'));
  renameSync(join(b.dataDir, 'pg_wal'), join(lab.folder, 'wal', 'pg_wal'));
  symlinkSync(join(lab.folder, 'wal', 'pg_wal'), join(b.dataDir, 'pg_wal'));
  await killedAgent(slow(b), 'clone', /copying: /);
  const next = lab.restarted(b);
  expect((await look(next)).interrupted).toBe('clone');
  expect(toolsAtWork(b)).toBe(0);
  await next.postgres.configure(settings());
  const start = next.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await expect(start).rejects.toThrow(/clone was begun at .* and never finished/);
  await next.postgres.clone(a.upstream, noProgress, never);
  expect((await look(next)).interrupted).toBeNull();
  await next.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(next);
});

test('an agent killed while it rewinds: the directory is known, not started, and cloned (D48)', async () => {
  const b = await standby(lab, 'e', a);
  await b.postgres.promote(7, 10_000, granted);
  await lab.ask(b, 'CREATE TABLE lost AS SELECT generate_series(1, 10000) x');
  await b.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  await killedAgent(b, 'rewind', /pg_rewind/);
  const next = lab.restarted(b);
  expect((await look(next)).interrupted).toBe('rewind');
  await next.postgres.configure(settings());
  const start = next.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await expect(start).rejects.toThrow('never finished');
  await expect(next.postgres.rewind(a.upstream, noProgress)).rejects.toThrow('never finished');
  await next.postgres.clone(a.upstream, noProgress, never);
  await next.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(next);
});

test('a rewind that changed nothing leaves no marker, and a standby', async () => {
  const b = await standby(lab, 'f', a);
  await b.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  const nobody = { name: 'nobody', host: '127.0.0.1', port: 1 };
  await expect(b.postgres.rewind(nobody, noProgress)).rejects.toThrow(
    /pg_rewind failed with exit code 1: .*onnection/,
  );
  expect(await look(b)).toMatchObject({ interrupted: null, standbySignal: true });
  await b.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(b);
});

test('a copy that fails is tried again at once', async () => {
  const b = await lab.node('g', { basebackup: { 'max-rate': '20M' } });
  await b.postgres.configure(settings());
  let killed = false;
  await b.postgres.clone(
    a.upstream,
    (phase) => {
      if (killed || !phase.startsWith('copying: ')) return;
      for (const { command, pid } of allProcesses()) {
        const ours = processArguments(pid).some((text) => text.includes(b.dataDir));
        if (command !== 'pg_basebackup' || !ours) continue;
        process.kill(pid, 'SIGKILL');
        killed = true;
      }
    },
    never,
  );
  expect(killed).toBe(true);
  expect(b.said.some((line) => line.includes('trying again'))).toBe(true);
  expect(existsSync(join(b.dataDir, 'standby.signal'))).toBe(true);
});

test('another cluster’s data directory is never given up for a copy', async () => {
  const other = await primary(lab, 'other');
  await other.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  const clone = other.postgres.clone(a.upstream, noProgress, never);
  await expect(clone).rejects.toThrow('system identifier');
  const rewind = other.postgres.rewind(a.upstream, noProgress);
  await expect(rewind).rejects.toThrow('different systems');
  await other.postgres.start('primary', null, 20_000, noProgress, never);
  expect((await look(other)).ready).toBe('accepting');
});

test('what an own bootstrap left is replaced by a clone, also after one that failed', async () => {
  const b = await primary(lab, 'i');
  await b.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  const markers = new Markers(`${b.dataDir}.tenure`);
  await markers.begin({
    kind: 'bootstrap',
    startedAt: '2026-07-01T00:00:00.000Z',
    from: null,
    folder: null,
    swapping: false,
    incarnation: null,
    replaces: null,
  });
  const control = new AbortController();
  const cancelled = slow(b).postgres.clone(
    a.upstream,
    (phase) => {
      if (phase.startsWith('copying')) control.abort();
    },
    control.signal,
  );
  await expect(cancelled).rejects.toThrow('cancelled');
  expect((await look(b)).interrupted).toBe('bootstrap');
  await killedAgent(slow(b), 'clone', /copying: /);
  const next = lab.restarted(b);
  expect((await look(next)).interrupted).toBe('bootstrap');
  await next.postgres.configure(settings());
  await next.postgres.clone(a.upstream, noProgress, never);
  expect((await look(next)).interrupted).toBeNull();
  await next.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(next);
});

test('a clone replaces the directory as a whole, and is another life', async () => {
  const b = await standby(lab, 'h', a);
  const before = await look(b);
  await expect(b.postgres.clone(a.upstream, noProgress, never)).rejects.toThrow(
    'runs in the data directory',
  );
  await b.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  await b.postgres.clone(a.upstream, noProgress, never);
  const after = await look(b);
  expect(after.incarnation).not.toBe(before.incarnation);
  expect(after).toMatchObject({ interrupted: null, standbySignal: true });
  expect(leftovers(b)).toEqual([]);
  const pgpass = readFileSync(b.options.pgpassPath, 'utf8');
  expect(pgpass).toBe(`127.0.0.1:${a.port}:*:replicator:rep'l\\:\\\\secret`);
});
