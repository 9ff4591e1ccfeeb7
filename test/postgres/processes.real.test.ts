/** The server's processes: orphans, adoption, stale pid files, early exits. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pidOf } from '../../src/postgres/postmaster.ts';
import { readProcess } from '../../src/postgres/proc.ts';
import { Lab, type Node, never, noProgress, primary, settings, until } from './lab.ts';

const lab = new Lab();
let node: Node;
beforeAll(async () => {
  node = await primary(lab, 'p');
});
afterAll(async () => await lab.close());

const look = async (of: Node) => await of.postgres.observe({ searchWalEnd: false });

async function start(of: Node): Promise<void> {
  await of.postgres.start('primary', null, 20_000, noProgress, never);
}

function postmasterPid(): number {
  return pidOf(readFileSync(join(node.dataDir, 'postmaster.pid'), 'utf8')) as number;
}

/** A backend that does not notice the death of its postmaster. Returns its pid. */
async function busyBackend(): Promise<number> {
  const client = await lab.sql(node);
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const pid = rows[0]?.pid as number;
  client
    .query('CREATE TEMP TABLE busy AS SELECT sum(i) FROM generate_series(1, 1000000000000) i')
    .catch(() => undefined);
  await until('the backend works', async () => {
    const [row] = await lab.ask(node, `SELECT state FROM pg_stat_activity WHERE pid = ${pid}`);
    return row?.state === 'active';
  });
  return pid;
}

test('kill -9 of the postmaster: the orphan is seen and ended, and a start works (protocol E)', async () => {
  const backend = await busyBackend();
  const before = await look(node);
  expect(before.orphans).toBe(0);
  process.kill(postmasterPid(), 'SIGKILL');
  await until('the death is hinted', () => node.hints.some((why) => why.startsWith('postmaster')));
  // The last word of the session's own backend may still come first.
  await until('nobody answers', async () => (await look(node)).ready === 'no answer');
  const after = await look(node);
  expect(after).toMatchObject({
    postmaster: { kind: 'none' },
    ready: 'no answer',
    sql: { known: false },
  });
  expect(after.orphans).toBeGreaterThan(0);
  expect(readProcess(backend)).not.toBeNull();
  await start(node);
  expect(readProcess(backend)).toBeNull();
  expect((await look(node)).ready).toBe('accepting');
});

test('killOrphans ends them and says how many; a living postmaster has none', async () => {
  expect(await node.postgres.killOrphans(5000)).toBe(0);
  const backend = await busyBackend();
  process.kill(postmasterPid(), 'SIGKILL');
  await until('the death is seen', async () => (await look(node)).postmaster.kind === 'none');
  expect(await node.postgres.killOrphans(5000)).toBeGreaterThan(0);
  expect(readProcess(backend)).toBeNull();
  expect((await look(node)).orphans).toBe(0);
  await start(node);
});

test('freezeEverything stops every process, killEverything ends every process (S1)', async () => {
  const backend = await busyBackend();
  const pid = postmasterPid();
  expect(node.postgres.freezeEverything().signalled).toBeGreaterThan(3);
  expect(readProcess(pid)?.state).toBe('T');
  await until('the backend stands still', () => readProcess(backend)?.state === 'T');
  const seen = node.postgres.killEverything();
  expect(seen.signalled).toBeGreaterThan(3);
  await until('all are gone', async () => {
    const facts = await look(node);
    return facts.postmaster.kind === 'none' && facts.orphans === 0;
  });
  expect(readProcess(backend)).toBeNull();
  await start(node);
});

test('killEverything of an agent that has just begun finds a server and its orphans', async () => {
  const backend = await busyBackend();
  process.kill(postmasterPid(), 'SIGKILL');
  const fresh = lab.restarted(node);
  expect(fresh.postgres.killEverything().signalled).toBeGreaterThan(0);
  await until('the orphan is gone', () => readProcess(backend) === null);
  await start(node);
  const late = lab.restarted(node);
  expect(late.postgres.killEverything().signalled).toBeGreaterThan(3);
  await until('the server is gone', async () => (await look(late)).postmaster.kind === 'none');
  await start(node);
});

test('a new agent adopts the running server, and its death is a hint without any look', async () => {
  const fresh = lab.restarted(node);
  const facts = await look(fresh);
  expect(facts.postmaster).toMatchObject({ kind: 'alive', pid: postmasterPid(), adopted: true });
  expect(facts.sql.known).toBe(true);
  expect(fresh.hints).toEqual([]);
  process.kill(postmasterPid(), 'SIGKILL');
  await until('the end of the session is hinted', () => fresh.hints.length > 0, 5000);
  await until('it is seen', async () => (await look(fresh)).postmaster.kind === 'none');
  await start(node);
});

test('a server whose postmaster.pid is gone is still found, and is no orphan', async () => {
  const path = join(node.dataDir, 'postmaster.pid');
  const text = readFileSync(path, 'utf8');
  const { unlinkSync } = await import('node:fs');
  unlinkSync(path);
  const facts = await look(lab.restarted(node));
  writeFileSync(path, text, { mode: 0o600 });
  expect(facts).toMatchObject({ postmaster: { kind: 'alive', pid: pidOf(text) }, orphans: 0 });
});

test('a stale postmaster.pid that names a foreign process: not adopted, not signalled, no obstacle', async () => {
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  const foreign = spawn('sleep', ['600'], { stdio: 'ignore' });
  const pid = foreign.pid as number;
  try {
    const now = Math.floor(Date.now() / 1000);
    const text = `${pid}\n${node.dataDir}\n${now}\n${node.port}\n\n127.0.0.1\n  1 2\nready   \n`;
    writeFileSync(join(node.dataDir, 'postmaster.pid'), text, { mode: 0o600 });
    const fresh = lab.restarted(node);
    expect(await look(fresh)).toMatchObject({ postmaster: { kind: 'none' }, orphans: 0 });
    expect(fresh.postgres.killEverything().signalled).toBe(0);
    fresh.postgres.signalStop('immediate');
    await start(fresh);
    expect(readProcess(pid)).not.toBeNull();
    expect((await look(fresh)).ready).toBe('accepting');
  } finally {
    foreign.kill('SIGKILL');
  }
});

test('another server on our port is not taken for ours', async () => {
  const other = await primary(lab, 'other');
  const mistaken = await lab.node('mistaken', {
    listen: `127.0.0.1:${other.port}`,
    dataDir: node.dataDir,
  });
  expect((await look(mistaken)).sql).toEqual({
    known: false,
    why: expect.stringContaining(other.dataDir) as string,
  });
  await other.postgres.stop('immediate', { becomeStandby: false, timeoutMs: 10_000 });
});

test('a server that ends at once fails the start at once, with what it said (D61)', async () => {
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  await node.postgres.configure(
    settings({ parameters: { shared_preload_libraries: 'no_such_library' } }),
  );
  await expect(start(node)).rejects.toThrow(
    /ended while starting with exit code 1.*no_such_library/s,
  );
  await node.postgres.configure(settings());
});

test('a port that is taken fails the start at once', async () => {
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  const squatter = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => squatter.listen(node.port, '127.0.0.1', resolve));
  await expect(start(node)).rejects.toThrow('ended while starting with exit code 1');
  await new Promise<void>((resolve) => squatter.close(() => resolve()));
});

test('a cancelled start leaves nothing running', async () => {
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  const control = new AbortController();
  const cancel = (phase: string): void => {
    if (phase === 'starting') control.abort();
  };
  const starting = node.postgres.start('primary', null, 20_000, cancel, control.signal);
  await expect(starting).rejects.toThrow('cancelled');
  expect(await look(node)).toMatchObject({ postmaster: { kind: 'none' }, orphans: 0 });
});

test('the server outlives its agent, in a session of its own', async () => {
  if ((await look(node)).postmaster.kind === 'none') await start(node);
  const pid = postmasterPid();
  expect(readProcess(pid)).toMatchObject({ session: pid });
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
  expect(environment).not.toMatch(/(^|\0)(TENURE_|PATRONI_|KUBERNETES_|NOTIFY_SOCKET)/);
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, 4)).toEqual([
    '-D',
    node.dataDir,
    `--config-file=${join(node.dataDir, 'postgresql.conf')}`,
  ]);
});

test('too many clients is a sign of life; a session that is kept still gets answers (53300)', async () => {
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  await node.postgres.configure(
    settings({ parameters: { max_connections: '25', max_wal_senders: '3' } }),
  );
  await start(node);
  const clients: { end(): Promise<void> }[] = [];
  for (let full = false; !full; ) {
    await lab.sql(node).then(
      (client) => clients.push(client),
      () => {
        full = true;
      },
    );
  }
  expect((await look(node)).sql.known).toBe(true);
  expect(await look(lab.restarted(node))).toMatchObject({
    ready: 'accepting',
    sql: { known: false },
  });
  await Promise.all(clients.map(async (client) => await client.end()));
  await node.postgres.configure(settings());
});

test('applications cannot take the last connections: an agent that has just begun gets in', async () => {
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  await node.postgres.configure(settings({ parameters: { max_connections: '25' } }));
  await start(node);
  await lab.ask(node, 'CREATE ROLE app LOGIN');
  const clients: Client[] = [];
  for (let full = false; !full; ) {
    const client = new Client({
      port: node.port,
      host: '127.0.0.1',
      user: 'app',
      database: 'postgres',
    });
    client.on('error', () => undefined);
    await client.connect().then(
      () => clients.push(client),
      (error: { code?: string }) => {
        expect(error.code).toBe('53300');
        full = true;
      },
    );
  }
  expect((await look(lab.restarted(node))).sql.known).toBe(true);
  await Promise.all(clients.map(async (client) => await client.end()));
  await lab.ask(node, 'DROP ROLE app');
  await node.postgres.configure(settings());
});

test('D65: a statement_timeout of the superuser does not reach our questions', async () => {
  await lab.ask(node, "ALTER ROLE postgres SET statement_timeout = '1ms'");
  try {
    expect((await look(lab.restarted(node))).sql.known).toBe(true);
  } finally {
    await lab.ask(node, 'ALTER ROLE postgres RESET statement_timeout');
  }
});

test('out of memory: the postmaster keeps its score, its children get the one that was asked for', async () => {
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  const asked = { PG_OOM_ADJUST_FILE: '/proc/self/oom_score_adj', PG_OOM_ADJUST_VALUE: '321' };
  Object.assign(process.env, asked);
  try {
    await start(node);
  } finally {
    for (const name of Object.keys(asked)) delete process.env[name];
  }
  const score = (pid: number | string): string =>
    readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim();
  const [backend] = await lab.ask(node, 'SELECT min(pid) AS pid FROM pg_stat_activity');
  expect(score(Number(backend?.pid))).toBe('321');
  expect(score(postmasterPid())).toBe(score('self'));
});
