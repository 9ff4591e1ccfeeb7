import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RealClock } from '../../src/clock.ts';
import { LocalPostgres } from '../../src/postgres/local.ts';
import { Markers, newIncarnation, type WorkMarker } from '../../src/postgres/markers.ts';
import type { Places } from '../../src/postgres/options.ts';
import {
  emptyInPlace,
  finishSwap,
  folderForCopy,
  isMountPoint,
  removeLeftovers,
  swapIn,
} from '../../src/postgres/swap.ts';

let folder: string;
let places: Places;
let markers: Markers;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tenure-swap.'));
  const dataDir = join(folder, 'data');
  places = { dataDir, stateDir: `${dataDir}.tenure` } as Places;
  markers = new Markers(places.stateDir);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LIFE = newIncarnation();
const MARKER: WorkMarker = {
  kind: 'clone',
  startedAt: '2026-07-01T00:00:00.000Z',
  from: 'h:1',
  folder: null,
  swapping: false,
  incarnation: LIFE,
  replaces: null,
};

function fill(path: string, content: string): void {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'PG_VERSION'), content);
}

function content(): string {
  return readFileSync(join(places.dataDir, 'PG_VERSION'), 'utf8');
}

test('the copy takes the place of the old directory, which is kept until it is removed', async () => {
  fill(places.dataDir, 'old');
  const copy = await folderForCopy(places, LIFE);
  if (copy === null) throw new Error('no folder');
  fill(copy, 'new');
  await swapIn(places, markers, MARKER, copy);
  expect(content()).toBe('new');
  expect(await markers.read()).toBeNull();
  expect(await markers.incarnation()).toBe(LIFE);
  expect(readFileSync(join(places.stateDir, `old.${LIFE}`, 'PG_VERSION'), 'utf8')).toBe('old');
  await removeLeftovers(places, null, () => undefined);
  expect(readdirSync(places.stateDir)).toEqual(['incarnation']);
});

test.each(['before the first rename', 'between the renames', 'after the second rename'])(
  'a crash %s is finished by the next agent (S8)',
  async (moment) => {
    fill(places.dataDir, 'old');
    const copy = (await folderForCopy(places, LIFE)) as string;
    fill(copy, 'new');
    await markers.begin({ ...MARKER, folder: copy, swapping: true });
    const { renameSync } = await import('node:fs');
    if (moment !== 'before the first rename')
      renameSync(places.dataDir, join(places.stateDir, `old.${LIFE}`));
    if (moment === 'after the second rename') renameSync(copy, places.dataDir);
    const found = await new Markers(places.stateDir).read();
    expect(found).toMatchObject({ kind: 'clone', swapping: true, folder: copy });
    await finishSwap(places, markers, found as WorkMarker);
    expect(content()).toBe('new');
    expect(await markers.incarnation()).toBe(LIFE);
    expect(await markers.read()).toBeNull();
  },
);

test('tablespaces and a linked pg_wal are no case for a second copy', async () => {
  const { symlinkSync } = await import('node:fs');
  fill(places.dataDir, 'old');
  mkdirSync(join(folder, 'wal'));
  writeFileSync(join(folder, 'wal', 'segment'), '');
  symlinkSync(join(folder, 'wal'), join(places.dataDir, 'pg_wal'));
  expect(await folderForCopy(places, LIFE)).toBeNull();
  mkdirSync(join(folder, 'space', 'PG_15_202209061'), { recursive: true });
  writeFileSync(join(folder, 'space', 'mine'), '');
  mkdirSync(join(places.dataDir, 'pg_tblspc'));
  symlinkSync(join(folder, 'space'), join(places.dataDir, 'pg_tblspc', '16400'));
  await emptyInPlace(places);
  expect(readdirSync(places.dataDir)).toEqual([]);
  expect(readdirSync(join(folder, 'wal'))).toEqual([]);
  expect(readdirSync(join(folder, 'space'))).toEqual(['mine']);
});

test('of the state directory only what has a name of our making is removed', async () => {
  const kept = ['old.2023', 'clone.before-upgrade', `old.${LIFE}.tar`, `keep.old.${LIFE}`, 'old.'];
  for (const name of [...kept, `old.${LIFE}`, `clone.${newIncarnation()}`]) {
    fill(join(places.stateDir, name), 'x');
  }
  const file = `clone.${newIncarnation()}`;
  writeFileSync(join(places.stateDir, file), '');
  await removeLeftovers(places, null, () => undefined);
  expect(readdirSync(places.stateDir).sort()).toEqual([...kept, file].sort());
});

test('a swap of a former agent waits while it is not certain that nothing runs there', async () => {
  fill(places.dataDir, 'old');
  // A pid file that cannot be read: a server may be behind it.
  mkdirSync(join(places.dataDir, 'postmaster.pid'));
  const copy = (await folderForCopy(places, LIFE)) as string;
  fill(copy, 'new');
  await markers.begin({ ...MARKER, folder: copy, swapping: true });
  const said: string[] = [];
  const user = { username: 'u' };
  const postgres = new LocalPostgres({
    name: 'a',
    scope: 's',
    dataDir: places.dataDir,
    listen: '127.0.0.1:1',
    connectAddress: '127.0.0.1:1',
    pgpassPath: join(folder, 'pgpass'),
    superuser: user,
    replication: user,
    clock: new RealClock(),
    log: (_level, text) => said.push(text),
  });
  const look = async () => await postgres.observe({ searchWalEnd: false });
  await look();
  await look();
  expect(said.filter((text) => text.includes('not put in place'))).toHaveLength(1);
  expect(content()).toBe('old');
  expect(existsSync(copy)).toBe(true);
  expect(await markers.read()).toMatchObject({ swapping: true });
  const start = postgres.start('standby', null, 1000, () => undefined, AbortSignal.abort());
  await expect(start).rejects.toThrow('never finished');
  rmSync(join(places.dataDir, 'postmaster.pid'), { recursive: true });
  await look();
  expect(content()).toBe('new');
  await postgres.close();
});

test('a copy that came to nothing leaves the directory known as what it was (D48)', async () => {
  const copy = { ...MARKER, folder: join(places.stateDir, `clone.${LIFE}`) };
  await markers.begin({ ...copy, replaces: 'rewind' });
  expect(await markers.read()).toMatchObject({ kind: 'clone', replaces: 'rewind' });
  await markers.abandon({ ...copy, replaces: 'rewind' });
  expect(await markers.read()).toMatchObject({ kind: 'rewind', folder: null, replaces: null });
  await markers.abandon(copy);
  expect(await markers.read()).toBeNull();
});

test('mount points are known', async () => {
  expect(await isMountPoint('/proc')).toBe(true);
  expect(await isMountPoint(folder)).toBe(false);
});

test('a marker that cannot be read is no missing marker (S4)', async () => {
  expect(await markers.read()).toBeNull();
  await markers.begin(MARKER);
  expect(await markers.read()).toEqual(MARKER);
  writeFileSync(join(places.stateDir, 'work.json'), '{');
  await expect(markers.read()).rejects.toThrow('no JSON');
  writeFileSync(join(places.stateDir, 'work.json'), '{"kind":"else"}');
  await expect(markers.read()).rejects.toThrow('no work');
  await markers.end();
  expect(existsSync(join(places.stateDir, 'work.json'))).toBe(false);
});

test('a state directory that cannot be made is named with its setting', async () => {
  writeFileSync(join(folder, 'file'), '');
  await expect(new Markers(join(folder, 'file', 'state')).begin(MARKER)).rejects.toThrow(
    'tenure.state_dir',
  );
});
