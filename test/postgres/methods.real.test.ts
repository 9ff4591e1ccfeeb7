/** Clusters and replicas that the operator's own programs make (C-6.7). */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, expect, test } from 'vitest';
import { binDir } from '../../scripts/lab/index.ts';
import { RealClock } from '../../src/clock.ts';
import { takeInventory } from '../../src/postgres/inventory.ts';
import type { OwnMethod } from '../../src/postgres/options.ts';
import { Lab, type Node, never, noProgress, settings, streaming, until } from './lab.ts';

const lab = new Lab();
afterAll(async () => await lab.close());

/** A shell script whose parameters are variables: `$datadir`, `$connstring`, … */
function program(name: string, script: string): OwnMethod {
  const path = join(lab.folder, `${name}.sh`);
  const head = `#!/bin/sh
set -e
for word in "$@"; do
  key=\${word%%=*}; key=\${key#--}; eval "$key=\\\${word#*=}"
done
echo "$*" > ${join(lab.folder, name)}.said
`;
  writeFileSync(path, head + script);
  chmodSync(path, 0o755);
  return {
    name,
    command: path,
    options: { colour: 'blue' },
    noParameters: false,
    keepData: false,
  };
}

const said = (name: string): string => readFileSync(join(lab.folder, `${name}.said`), 'utf8');
const bin = binDir();
const making = (replicaMethods: readonly ('basebackup' | OwnMethod)[]) => ({
  replicaMethods,
  basebackup: [],
  rewind: [],
});

let source: Node;

test('a replica: methods are tried in turn, each with what it has to know', async () => {
  source = await lab.node('s');
  mkdirSync(join(lab.folder, 'archive'));
  const archive = `test ! -f ${lab.folder}/archive/%f && cp %p ${lab.folder}/archive/%f`;
  await source.postgres.configure(
    settings({ parameters: { archive_mode: 'on', archive_command: archive } }),
  );
  await source.postgres.bootstrap(noProgress, never);
  await lab.ask(source, 'CREATE TABLE t AS SELECT 1 AS a');
  const replica = await lab.node('c');
  const broken = program(
    'broken',
    'echo half > "$datadir/half"; echo "no such backup" >&2; exit 7',
  );
  const copy = program(
    'copy',
    `test -z "$(ls -A "$datadir")"; exec ${bin}/pg_basebackup -D "$datadir" -X stream -c fast -d "$connstring"`,
  );
  await replica.postgres.configure(settings({ making: making([broken, copy]) }));
  await replica.postgres.clone(source.upstream, noProgress, never);
  expect(replica.said.join('\n')).toMatch(/trying the next method: broken: .*no such backup/s);
  expect(said('copy')).toMatch(
    /^--colour=blue --scope=lab --role=replica --datadir=\S+\/c --connstring=dbname=postgres user=replicator/,
  );
  expect(existsSync(join(replica.dataDir, 'half'))).toBe(false);
  await replica.postgres.start('standby', source.upstream, 20_000, noProgress, never);
  await streaming(replica);
});

test('settings and rules of a role follow the role', async () => {
  const replica = lab.restarted(await lab.node('e'));
  const role = (work_mem: string, rule: string) => ({
    parameters: { work_mem },
    pgHba: ['local all all trust', `host all,replication all 127.0.0.1/32 trust # ${rule}`],
    pgIdent: null,
  });
  const byRole = { primary: role('7MB', 'primary'), replica: role('5MB', 'replica') };
  await replica.postgres.configure(settings({ byRole }));
  await replica.postgres.clone(source.upstream, noProgress, never);
  await replica.postgres.start('standby', source.upstream, 20_000, noProgress, never);
  const shown = async () => (await lab.ask(replica, 'SHOW work_mem'))[0]?.work_mem;
  const rules = () => readFileSync(join(replica.dataDir, 'pg_hba.conf'), 'utf8');
  expect(await shown()).toBe('5MB');
  expect(rules()).toContain('# replica');
  await replica.postgres.promote(null, 20_000, async () => undefined);
  await until('the settings of a primary', async () => (await shown()) === '7MB');
  expect(rules()).toContain('# primary');
});

test('what the server says of itself is enough for a configuration', async () => {
  const dsn = `host=127.0.0.1 port=${source.port} user=postgres password='super secret'`;
  const found = await takeInventory(new RealClock(), dsn);
  expect(found).toMatchObject({
    dataDir: source.dataDir,
    binDir: bin,
    port: source.port,
    clusterName: 'lab',
    user: 'postgres',
    settings: { archive_mode: 'on', max_connections: '40' },
    hba: expect.arrayContaining(['local all all trust']) as unknown,
  });
  const asReplicator = dsn
    .replace('postgres password', 'replicator password')
    .replace('super secret', "rep\\'l:\\\\secret");
  await expect(takeInventory(new RealClock(), asReplicator)).rejects.toThrow('is no superuser');
});

test('a program that leaves a copy of another cluster makes no replica', async () => {
  const replica = await lab.node('d');
  const stranger = program('stranger', `exec ${bin}/initdb -D "$datadir" -U postgres`);
  await replica.postgres.configure(settings({ making: making([stranger]) }));
  await expect(replica.postgres.clone(source.upstream, noProgress, never)).rejects.toThrow(
    /the copy has system identifier \d+, its source/,
  );
  expect((await replica.postgres.observe({ searchWalEnd: false })).interrupted).toBe('clone');
});

test('a new cluster out of a backup and its archive, with passwords of its own', async () => {
  const backup = join(lab.folder, 'backup');
  const take = program(
    'take',
    `exec ${bin}/pg_basebackup -D ${backup} -c fast -d "host=127.0.0.1 port=${source.port} user=replicator"`,
  );
  writeFileSync(join(lab.folder, 'take.pgpass'), "*:*:*:*:rep'l\\:\\\\secret", { mode: 0o600 });
  execFileSync(take.command, { env: { PGPASSFILE: join(lab.folder, 'take.pgpass') } });
  await lab.ask(source, 'INSERT INTO t VALUES (2)');
  await lab.ask(source, 'SELECT pg_switch_wal()');
  await until('the row is archived', async () => {
    const [row] = await lab.ask(
      source,
      'SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) OR archived_count > 2 AS done FROM pg_stat_archiver',
    );
    return row?.done === true;
  });
  const node = await lab.node('r', {
    superuser: { username: 'postgres', password: 'another secret' },
    bootstrapMethod: {
      program: program('restore', `cp -a ${backup}/. "$datadir"`),
      recoveryConf: { restore_command: `cp ${lab.folder}/archive/%f %p` },
      keepRecoveryConf: false,
    },
  });
  const rules = ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256'];
  await node.postgres.configure(settings({ pgHba: rules }));
  const phases: string[] = [];
  const made = await node.postgres.bootstrap((phase) => phases.push(phase), never);
  expect(phases).toEqual(expect.arrayContaining(['running restore', 'recovering']));
  expect(said('restore')).toMatch(/^--colour=blue --scope=lab --datadir=\S+\/r\n$/);
  const client = new Client({
    host: '127.0.0.1',
    port: node.port,
    user: 'postgres',
    password: 'another secret',
    database: 'postgres',
  });
  await client.connect();
  const { rows } = await client.query(
    'SELECT pg_is_in_recovery() AS recovery, (SELECT array_agg(a ORDER BY a) FROM t) AS rows',
  );
  await client.end();
  expect(rows).toEqual([{ recovery: false, rows: [1, 2] }]);
  const facts = await node.postgres.observe({ searchWalEnd: false });
  expect(facts.sql).toMatchObject({
    known: true,
    value: { systemIdentifier: made.systemIdentifier, timeline: 2 },
  });
  const hba = readFileSync(join(node.dataDir, 'pg_hba.conf'), 'utf8');
  expect(hba).not.toContain('trust');
  expect(readFileSync(join(node.dataDir, 'postgresql.conf'), 'utf8')).not.toContain(
    'restore_command',
  );
});

test('a program that fails leaves nothing that counts as a cluster', async () => {
  const node = await lab.node('f', {
    bootstrapMethod: {
      program: program('empty', 'mkdir -p "$datadir"'),
      recoveryConf: null,
      keepRecoveryConf: false,
    },
  });
  await node.postgres.configure(settings());
  await expect(node.postgres.bootstrap(noProgress, never)).rejects.toThrow(
    'empty ended well and left no cluster',
  );
  expect((await node.postgres.observe({ searchWalEnd: false })).interrupted).toBeNull();
});
