/** The probe of the data disk: one at a time, whatever becomes of it (field D67). */
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DiskProbe, touchDisk } from '../../src/postgres/diskprobe.ts';
import { ManualClock } from '../store/manual-clock.ts';

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

it('is pending for as long as the disk does not answer, and never more than one', async () => {
  const clock = new ManualClock();
  const ends: (() => void)[] = [];
  const probe = new DiskProbe(clock, () => new Promise((resolve) => ends.push(resolve)));
  expect(probe.pendingSince).toBeNull();
  const begunAt = clock.now();
  for (let second = 0; second < 60; second++) {
    probe.look();
    clock.advance(1000);
  }
  expect(probe.pendingSince).toBe(begunAt);
  expect(ends).toHaveLength(1);
  ends[0]?.();
  await settle();
  expect(probe.pendingSince).toBeNull();
});

it.each([
  ['an answer', () => Promise.resolve()],
  ['a refusal', () => Promise.reject(new Error('EROFS'))],
])('is made again five seconds after %s', async (_what, touch) => {
  const clock = new ManualClock();
  let begun = 0;
  const probe = new DiskProbe(clock, () => {
    begun += 1;
    return touch();
  });
  probe.look();
  await settle();
  expect(probe.pendingSince).toBeNull();
  clock.advance(4999);
  probe.look();
  expect(begun).toBe(1);
  clock.advance(1);
  probe.look();
  expect(begun).toBe(2);
});

it('writes no more than the times of two things that are there', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'tenure-disk.'));
  const wal = join(dataDir, 'pg_wal');
  const version = join(dataDir, 'PG_VERSION');
  mkdirSync(wal);
  writeFileSync(version, '15\n');
  for (const path of [version, wal]) utimesSync(path, 1, 1);
  await touchDisk({ dataDir, wal });
  for (const path of [version, wal]) expect(statSync(path).mtimeMs).toBeGreaterThan(1000);
  rmSync(version);
  await expect(touchDisk({ dataDir, wal })).rejects.toThrow('ENOENT');
  rmSync(dataDir, { recursive: true });
});
