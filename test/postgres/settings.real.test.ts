/** Settings that PostgreSQL would not start with, and a postgresql.auto.conf that fights ours (C-6.4, 6.5). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Lab, never, noProgress, primary, settings } from './lab.ts';

const lab = new Lab();
afterAll(async () => await lab.close());

const WRONG = {
  no_such_setting: '1',
  work_mem: 'lots',
  deadlock_timeout: '-7',
  wal_sync_method: 'by_hand',
  password_encryption: 'md5',
  'my.own': 'kept',
};

test('what it does not know or take is left out with a warning, and everything else applies', async () => {
  const node = await primary(lab, 'a');
  const shown = async (name: string): Promise<unknown> =>
    (await lab.ask(node, `SHOW ${name}`))[0]?.[name];
  const conf = (): string => readFileSync(join(node.dataDir, 'postgresql.conf'), 'utf8');
  await node.postgres.configure(
    settings({ parameters: WRONG, recoveryConf: { restore_command: 'true' } }),
  );
  expect(node.said.filter((line) => line.includes('is left out')).sort()).toEqual([
    expect.stringMatching(/^warn: .*deadlock_timeout is left out.*valid range/),
    expect.stringMatching(/^warn: .*no_such_setting is left out.*unrecognized/),
    expect.stringMatching(/^warn: .*wal_sync_method is left out/),
    expect.stringMatching(/^warn: .*work_mem is left out/),
  ]);
  expect(conf()).not.toMatch(/no_such_setting|'lots'|by_hand/);
  expect(conf()).toContain("my.own = 'kept'");
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  await node.postgres.start('primary', null, 20_000, noProgress, never);
  expect(await shown('password_encryption')).toBe('md5');
  expect(await shown('work_mem')).toBe('4MB');
});

test('ALTER SYSTEM changes nothing that members have to agree on, nor whom a standby follows', async () => {
  const node = await primary(lab, 'b');
  await lab.ask(node, 'ALTER SYSTEM SET max_connections = 77');
  await lab.ask(node, "ALTER SYSTEM SET wal_level = 'minimal'");
  await lab.ask(node, 'ALTER SYSTEM SET port = 1');
  await lab.ask(node, "ALTER SYSTEM SET primary_conninfo = 'host=elsewhere'");
  await lab.ask(node, "ALTER SYSTEM SET work_mem = '9MB'");
  await node.postgres.configure(settings({ parameters: { work_mem: '5MB' } }));
  await node.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
  await node.postgres.start('primary', null, 20_000, noProgress, never);
  const [row] = await lab.ask(
    node,
    `SELECT current_setting('max_connections') AS connections, current_setting('wal_level') AS level,
      current_setting('port') AS port, current_setting('primary_conninfo') AS conninfo,
      current_setting('work_mem') AS memory`,
  );
  // What is only this server's is the administrator's to change; it is said.
  expect(row).toEqual({
    connections: '40',
    level: 'replica',
    port: String(node.port),
    conninfo: '',
    memory: '9MB',
  });
  expect(node.said.filter((line) => line.includes('postgresql.auto.conf'))).toEqual([
    expect.stringMatching(/^warn: .*work_mem.*9MB.*stands above/),
  ]);
});
