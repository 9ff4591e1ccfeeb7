/** Tablespaces and a WAL folder of its own (first-week trap): cloned, cloned again, interrupted and cloned. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allProcesses, processArguments } from '../../src/postgres/proc.ts';
import {
  caughtUp,
  Lab,
  type Node,
  never,
  noProgress,
  primary,
  settings,
  standby,
  streaming,
} from './lab.ts';

const lab = new Lab();
let a: Node;
let b: Node;
const wal = join(lab.folder, 'wal-of-b');
const space = join(lab.folder, 'space-of-b');
const original = join(lab.folder, 'space-of-a');
const placed = [{ 'tablespace-mapping': `${original}=${space}` }, { waldir: wal }];

beforeAll(async () => {
  a = await primary(lab, 'a');
  mkdirSync(original);
  // Inside of a transaction neither is allowed.
  await lab.ask(a, `CREATE TABLESPACE far LOCATION '${original}'`);
  await lab.ask(a, `CREATE TABLE there TABLESPACE far AS SELECT generate_series(1, 200000) AS id`);
  b = await standby(lab, 'b', a, { basebackup: placed });
});
afterAll(async () => await lab.close());

async function whole(): Promise<void> {
  await streaming(b);
  await caughtUp(b, a);
  expect(await lab.ask(b, 'SELECT count(*)::int AS rows FROM there')).toEqual([{ rows: 200_000 }]);
  expect(lstatSync(join(b.dataDir, 'pg_wal')).isSymbolicLink()).toBe(true);
  const [link = ''] = readdirSync(join(b.dataDir, 'pg_tblspc'));
  expect(readlinkSync(join(b.dataDir, 'pg_tblspc', link))).toBe(space);
}

async function stop(): Promise<void> {
  await b.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
}

async function start(): Promise<void> {
  await b.postgres.start('standby', a.upstream, 20_000, noProgress, never);
}

test('both are where they were asked for, also after another clone', async () => {
  await whole();
  writeFileSync(join(space, 'notes.txt'), 'of a person');
  await stop();
  // pg_basebackup wants folders that are empty, and this one is not only ours.
  await expect(b.postgres.clone(a.upstream, noProgress, never)).rejects.toThrow(/not empty/);
  expect(existsSync(join(space, 'notes.txt'))).toBe(true);
  rmSync(join(space, 'notes.txt'));
  await b.postgres.clone(a.upstream, noProgress, never);
  await start();
  await whole();
});

test('a copy that is killed again and again leaves nothing in the way of the next', async () => {
  await stop();
  const slow = lab.restarted({
    ...b,
    options: { ...b.options, basebackup: [...placed, { 'max-rate': '4M' }] },
  });
  let kills = 0;
  const clone = slow.postgres.clone(
    a.upstream,
    (phase) => {
      if (!phase.startsWith('copying: ')) return;
      for (const { command, pid } of allProcesses()) {
        const ours = processArguments(pid).some((text) => text.includes(b.dataDir));
        if (command !== 'pg_basebackup' || !ours) continue;
        process.kill(pid, 'SIGKILL');
        kills += 1;
      }
    },
    never,
  );
  await expect(clone).rejects.toThrow(/pg_basebackup was ended by SIGKILL/);
  expect(kills).toBeGreaterThan(1);
  expect(readdirSync(space), 'it was killed too early to leave anything').not.toEqual([]);
  b = lab.restarted(b);
  await b.postgres.configure(settings());
  await b.postgres.clone(a.upstream, noProgress, never);
  await start();
  await whole();
});

test('a bootstrap that failed leaves no WAL folder in the way of the next', async () => {
  const folder = join(lab.folder, 'wal-of-c');
  const initdb = [{ encoding: 'UTF8' }, { waldir: folder }];
  const c = await lab.node('c', { initdb, postBootstrap: '/bin/false' });
  await c.postgres.configure(settings());
  await expect(c.postgres.bootstrap(noProgress, never)).rejects.toThrow(/bootstrap: /);
  const { postBootstrap: _fails, ...options } = c.options;
  const next = lab.restarted({ ...c, options });
  await next.postgres.configure(settings());
  await next.postgres.bootstrap(noProgress, never);
  expect(readlinkSync(join(c.dataDir, 'pg_wal'))).toBe(folder);
  await next.postgres.stop('fast', { becomeStandby: false, timeoutMs: 20_000 });
});
