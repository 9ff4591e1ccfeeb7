/** Making a cluster, and what its files and users are like (C-5.7, C-6.5). */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, expect, test } from 'vitest';
import { readSetting } from '../../src/postgres/conftext.ts';
import { Lab, type Node, never, noProgress, primary, settings, standby, until } from './lab.ts';

const lab = new Lab();
afterAll(async () => await lab.close());

const look = async (of: Node) => await of.postgres.observe({ searchWalEnd: false });

test('users, post_bootstrap, and no password in any log', async () => {
  const node = await lab.node('a', {
    postBootstrap: `sh -c 'psql -XAtc "CREATE TABLE made AS SELECT current_user AS who" "$0"'`,
  });
  const parameters = {
    logging_collector: 'on',
    log_statement: 'all',
    log_min_duration_statement: '0',
    log_directory: 'log',
  };
  await node.postgres.configure(settings({ parameters }));
  const phases: string[] = [];
  const { systemIdentifier } = await node.postgres.bootstrap((phase) => phases.push(phase), never);
  expect(phases).toContain('initdb');
  expect((await look(node)).sql).toMatchObject({ known: true, value: { systemIdentifier } });
  expect(await lab.ask(node, 'SELECT who FROM made')).toEqual([{ who: 'postgres' }]);
  expect(
    await lab.ask(
      node,
      `SELECT rolname, rolsuper, rolreplication, rolcanlogin, rolpassword LIKE 'SCRAM%' AS secret
         FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1`,
    ),
  ).toEqual([
    { rolname: 'postgres', rolsuper: true, rolreplication: true, rolcanlogin: true, secret: true },
    {
      rolname: 'replicator',
      rolsuper: false,
      rolreplication: true,
      rolcanlogin: true,
      secret: true,
    },
    {
      rolname: 'rewinder',
      rolsuper: false,
      rolreplication: false,
      rolcanlogin: true,
      secret: true,
    },
  ]);
  const log = readdirSync(join(node.dataDir, 'log'))
    .map((name) => readFileSync(join(node.dataDir, 'log', name), 'utf8'))
    .join('');
  expect(log).toContain('CREATE TABLE made');
  expect(log).not.toMatch(/rewind secret|rep'+l:|super secret/);
  // The password is the one that was asked for.
  const client = new Client({
    host: '127.0.0.1',
    port: node.port,
    user: 'rewinder',
    password: 'rewind secret',
    database: 'postgres',
  });
  await client.connect();
  await client.query(`SELECT pg_ls_dir('.', true, false), pg_read_binary_file('PG_VERSION')`);
  await client.end();
});

test('the files: ours, the original, copies, modes', async () => {
  const node = await primary(lab, 'b');
  const names = readdirSync(node.dataDir);
  expect(names).toEqual(
    expect.arrayContaining([
      'postgresql.conf',
      'postgresql.base.conf',
      'postgresql.conf.backup',
      'postgresql.base.conf.backup',
      'pg_hba.conf.backup',
      'pg_ident.conf.backup',
    ]),
  );
  const conf = join(node.dataDir, 'postgresql.conf');
  expect(statSync(conf).mode & 0o777).toBe(0o600);
  expect(readFileSync(conf, 'utf8')).toContain("include 'postgresql.base.conf'");
  expect(readFileSync(join(node.dataDir, 'postgresql.base.conf'), 'utf8')).toContain(
    'PostgreSQL configuration file',
  );
  expect(readFileSync(join(node.dataDir, 'pg_hba.conf'), 'utf8')).toContain(
    'host all all 127.0.0.1/32 trust',
  );
  // A change takes effect by reload, and a second write of the same changes nothing.
  await node.postgres.configure(
    settings({ parameters: { work_mem: '7MB', 'x.quoted': "it's \\ odd" } }),
  );
  await until('the reload is done', async () => {
    return (await lab.ask(node, 'SHOW work_mem'))[0]?.work_mem === '7MB';
  });
  expect(await lab.ask(node, 'SHOW x.quoted')).toEqual([{ 'x.quoted': "it's \\ odd" }]);
  const { mtimeMs } = statSync(conf);
  await node.postgres.configure(
    settings({ parameters: { work_mem: '7MB', 'x.quoted': "it's \\ odd" } }),
  );
  expect(statSync(conf).mtimeMs).toBe(mtimeMs);
});

test('what waits for a restart is named', async () => {
  const node = await primary(lab, 'c');
  await node.postgres.configure(settings({ parameters: { shared_buffers: '24MB' } }));
  await until('it is seen', async () => {
    const { sql } = await look(node);
    return sql.known && sql.value.pendingRestart.some(({ name }) => name === 'shared_buffers');
  });
});

test('a new agent keeps what a running standby follows when it configures it', async () => {
  const a = await primary(lab, 'd');
  const b = await standby(lab, 'e', a);
  const fresh = lab.restarted(b);
  await fresh.postgres.configure(settings({ parameters: { work_mem: '9MB' } }));
  const text = readFileSync(join(b.dataDir, 'postgresql.conf'), 'utf8');
  expect(readSetting(text, 'primary_conninfo')).toContain(`port=${a.port}`);
  expect(readSetting(text, 'work_mem')).toBe('9MB');
  expect(await fresh.postgres.follow(a.upstream)).toBe(false);
});

test('recovery settings that somebody wrote by ALTER SYSTEM do not win', async () => {
  const a = await primary(lab, 'f');
  const b = await standby(lab, 'g', a);
  await lab.ask(b, `ALTER SYSTEM SET primary_conninfo = 'host=nowhere'`);
  expect(await b.postgres.follow(a.upstream)).toBe(true);
  expect(readFileSync(join(b.dataDir, 'postgresql.auto.conf'), 'utf8')).not.toContain('nowhere');
});

test("a standby's limits are raised to the primary's", async () => {
  const a = await lab.node('h');
  await a.postgres.configure(settings({ parameters: { max_connections: '55' } }));
  await a.postgres.bootstrap(noProgress, never);
  const b = await standby(lab, 'i', a);
  expect(await lab.ask(b, 'SHOW max_connections')).toEqual([{ max_connections: '55' }]);
});

test('a bootstrap whose command fails is set aside, and the next one works', async () => {
  const node = await lab.node('j', { postBootstrap: 'sh -c "echo too bad >&2; exit 3"' });
  await node.postgres.configure(settings());
  await expect(node.postgres.bootstrap(noProgress, never)).rejects.toThrow(/exit code 3: too bad/);
  expect(existsSync(join(`${node.dataDir}.failed`, 'PG_VERSION'))).toBe(true);
  expect(await look(node)).toMatchObject({
    dataDirectory: { kind: 'absent' },
    postmaster: { kind: 'none' },
    interrupted: null,
    orphans: 0,
  });
  const next = lab.restarted({ ...node, options: { ...node.options, postBootstrap: '' } });
  await next.postgres.configure(settings());
  await next.postgres.bootstrap(noProgress, never);
  expect((await look(next)).ready).toBe('accepting');
});

test('an interrupted bootstrap is known and begun again', async () => {
  const node = await lab.node('k');
  mkdirSync(`${node.dataDir}.tenure`, { recursive: true });
  writeFileSync(
    join(`${node.dataDir}.tenure`, 'work.json'),
    '{"kind":"bootstrap","startedAt":"then"}\n',
  );
  mkdirSync(node.dataDir, { mode: 0o700 });
  writeFileSync(join(node.dataDir, 'PG_VERSION'), '15\n');
  expect((await look(node)).interrupted).toBe('bootstrap');
  await expect(node.postgres.start('primary', null, 1000, noProgress, never)).rejects.toThrow(
    'never finished',
  );
  await node.postgres.configure(settings());
  await node.postgres.bootstrap(noProgress, never);
  expect(await look(node)).toMatchObject({ interrupted: null, ready: 'accepting' });
});

test('what is refused', async () => {
  const forbidden = await lab.node('l', { initdb: ['pwfile=/etc/passwd'] });
  await expect(forbidden.postgres.bootstrap(noProgress, never)).rejects.toThrow(
    'bootstrap.initdb: option pwfile',
  );
  const foreign = await lab.node('n');
  mkdirSync(foreign.dataDir);
  writeFileSync(join(foreign.dataDir, 'thesis.txt'), 'years');
  expect((await look(foreign)).dataDirectory).toMatchObject({ kind: 'foreign' });
  await expect(foreign.postgres.bootstrap(noProgress, never)).rejects.toThrow('is not empty');
  expect(readdirSync(foreign.dataDir)).toEqual(['thesis.txt']);
  const old = await lab.node('o');
  mkdirSync(old.dataDir);
  writeFileSync(join(old.dataDir, 'PG_VERSION'), '12\n');
  await expect(old.postgres.start('primary', null, 1000, noProgress, never)).rejects.toThrow(
    '13 to 18',
  );
  const backup = await lab.node('p', { basebackup: [{ host: 'x' }] });
  await expect(backup.postgres.clone(foreign.upstream, noProgress, never)).rejects.toThrow(
    'postgresql.basebackup: option host',
  );
});

test('a socket only, and wildcards', async () => {
  const node = await lab.node('q', { useUnixSocket: true });
  await node.postgres.configure(settings({ parameters: { unix_socket_directories: lab.folder } }));
  await node.postgres.bootstrap(noProgress, never);
  expect((await look(lab.restarted(node))).sql.known).toBe(true);
  const port = node.port;
  const wild = lab.restarted({
    ...node,
    options: { ...node.options, useUnixSocket: false, listen: `*:${port}` },
  });
  expect((await look(wild)).sql.known).toBe(true);
});
