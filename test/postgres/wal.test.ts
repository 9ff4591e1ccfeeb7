import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { parseControlData } from '../../src/postgres/controlfile.ts';
import {
  formatHistory,
  parseHistory,
  readHistory,
  removeStubs,
  writeStubs,
} from '../../src/postgres/history.ts';
import { lastRecord } from '../../src/postgres/walend.ts';
import { recordEnd, segmentName, shutdownCheckpointEnd } from '../../src/postgres/walmath.ts';

const SEGMENT = 16 * 1024 * 1024;
const PAGE = 8192;

describe('positions', () => {
  test('a record within its page', () => {
    expect(shutdownCheckpointEnd(0x3000028, SEGMENT)).toBe(0x3000028 + 120);
  });

  test('a record that fills its page ends where the next page begins', () => {
    expect(shutdownCheckpointEnd(2 * PAGE - 120, SEGMENT)).toBe(2 * PAGE);
  });

  test('a record that crosses a page has its header in it, a longer one at a segment', () => {
    expect(shutdownCheckpointEnd(2 * PAGE - 112, SEGMENT)).toBe(2 * PAGE - 112 + 120 + 24);
    expect(shutdownCheckpointEnd(SEGMENT - 112, SEGMENT)).toBe(SEGMENT - 112 + 120 + 40);
  });

  /** Byte by byte: skip headers, take the record's bytes, round up. */
  function slowEnd(start: number, length: number): number {
    let position = start;
    for (let left = Math.ceil(length / 8) * 8; left > 0; left--) {
      if (position % PAGE === 0) position += position % SEGMENT === 0 ? 40 : 24;
      position++;
    }
    return position;
  }

  test('any record ends where counting its bytes ends', () => {
    const start = fc
      .tuple(fc.integer({ min: 0, max: 4095 }), fc.integer({ min: 5, max: 1023 }))
      .map(([page, slot]) => page * PAGE + slot * 8);
    fc.assert(
      fc.property(start, fc.integer({ min: 24, max: 40_000 }), (from, length) => {
        expect(recordEnd(from, length, SEGMENT)).toBe(slowEnd(from, length));
      }),
    );
  });

  test('names of segments', () => {
    expect(segmentName(1, 0x3000028, SEGMENT)).toBe('000000010000000000000003');
    expect(segmentName(26, 0x1_ff00_0000, SEGMENT)).toBe('0000001A00000001000000FF');
    expect(segmentName(1, 0x1_4000_0000, 1024 * 1024 * 1024)).toBe('000000010000000100000001');
  });

  test('the last record of pg_waldump', () => {
    const text =
      'rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/03000028, prev 0/02000100, desc: X\n' +
      'rmgr: Heap        len (rec/tot):     54/  8150, tx:        731, lsn: 0/030000A0, prev 0/03000028, desc: Y\n';
    expect(lastRecord(text)).toEqual({ lsn: 0x30000a0, length: 8150 });
    expect(lastRecord('')).toBeNull();
  });
});

describe('histories', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenure-history.'));
  const places = { dataDir: folder, wal: folder };
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(() => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
  });
  const real = (timeline: number, text: string): void =>
    writeFileSync(
      join(folder, `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`),
      text,
    );
  const names = (): string[] => readdirSync(folder).sort();

  test('are read as PostgreSQL writes them', () => {
    expect(parseHistory('1\t0/3000060\tno recovery target specified\n\n2\t1/A0\tx\n')).toEqual([
      { timeline: 1, switchLsn: 0x3000060, reason: 'no recovery target specified' },
      { timeline: 2, switchLsn: 0x1_0000_00a0, reason: 'x' },
    ]);
    expect(parseHistory('# comment\n1 0/0\n')).toEqual([{ timeline: 1, switchLsn: 0, reason: '' }]);
  });

  test('that make no sense are refused', () => {
    expect(() => parseHistory('one\t0/0\tx')).toThrow('not a line');
    expect(() => parseHistory('2\t0/1\tx\n1\t0/2\ty')).toThrow('goes back');
  });

  test('any ancestry comes back', () => {
    const entry = fc.record({
      timeline: fc.integer({ min: 1, max: 1000 }),
      switchLsn: fc.maxSafeNat(),
      reason: fc.constantFrom('no recovery target specified', ''),
    });
    const ancestry = fc.uniqueArray(entry, { selector: ({ timeline }) => timeline });
    fc.assert(
      fc.property(ancestry, (entries) => {
        entries.sort((a, b) => a.timeline - b.timeline);
        expect(parseHistory(formatHistory(entries))).toEqual(entries);
      }),
    );
  });

  test('the first timeline has none; another that is missing is an error', async () => {
    expect(await readHistory(folder, 1)).toEqual({ entries: [], writtenAt: null });
    await expect(readHistory(folder, 2)).rejects.toThrow('00000002.history');
  });

  test('stubs fill the numbers below the claim, with the ancestry of the current timeline (S6)', async () => {
    real(3, '1\t0/1000\tx\n');
    expect(await writeStubs(places, 3, 0x5000, 6)).toEqual([2, 4, 5]);
    expect(names()).toEqual([2, 3, 4, 5].map((number) => `0000000${number}.history`));
    expect((await readHistory(folder, 5)).entries).toMatchObject([
      { timeline: 1, switchLsn: 0x1000 },
      { timeline: 3, switchLsn: 0x4fff },
    ]);
    expect((await readHistory(folder, 2)).entries).toMatchObject([{ timeline: 1, switchLsn: 1 }]);
  });

  test("a missing ancestor's history is written as it was", async () => {
    real(3, '1\t0/1000\tx\n\n2\t0/2000\ty\n');
    expect(await writeStubs(places, 3, 0x5000, 4)).toEqual([2]);
    expect((await readHistory(folder, 2)).entries).toEqual([
      { timeline: 1, switchLsn: 0x1000, reason: 'x' },
    ]);
  });

  test('no stub is needed for the next number, and no file is overwritten', async () => {
    expect(await writeStubs(places, 1, 0x5000, 2)).toEqual([]);
    real(2, 'kept');
    expect(await writeStubs(places, 1, 0x5000, 4)).toEqual([3]);
    expect(readFileSync(join(folder, '00000002.history'), 'utf8')).toBe('kept');
  });

  test('a claim that is taken or behind is refused', async () => {
    await expect(writeStubs(places, 3, 0, 3)).rejects.toThrow('already on 3');
    real(5, '1\t0/1000\tx\n');
    await expect(writeStubs(places, 1, 0, 5)).rejects.toThrow('00000005.history');
  });

  test('a claim that is far away is refused before anything is written, whatever it is', async () => {
    const far = writeStubs(places, 1, 0x5000, 2_000_000_000);
    await expect(far).rejects.toThrow('more than 1000 numbers');
    await expect(writeStubs(places, 1, 0x5000, 1003)).rejects.toThrow('more than 1000');
    expect(names()).toEqual([]);
    expect(await writeStubs(places, 1, 0x5000, 1002)).toHaveLength(1000);
    expect(names()).toHaveLength(1000);
  });

  test('a cluster of many timelines can still be promoted, with the nearest histories', async () => {
    real(500_000_000, '1\t0/1000\tx\n');
    const written = await writeStubs(places, 500_000_000, 0x5000, 500_000_002);
    expect(written).toHaveLength(1001);
    expect([written[0], written.at(-1)]).toEqual([499_999_000, 500_000_001]);
  });

  test('stubs of a promotion that never happened go; those below a real history stay (D51)', async () => {
    await writeStubs(places, 1, 0x5000, 4);
    expect(await removeStubs(folder, 1)).toEqual([2, 3]);
    expect(names()).toEqual([]);
    await writeStubs(places, 1, 0x5000, 4);
    real(4, '1\t0/5000\tpromoted\n');
    expect(await removeStubs(folder, 1)).toEqual([]);
    rmSync(join(folder, '00000003.history'));
    expect(await removeStubs(folder, 1)).toEqual([2]);
    expect(names()).toEqual(['00000004.history']);
  });
});

test('pg_controldata', () => {
  const text = `pg_control version number:            1300
Database system identifier:           7412345678901234567
Database cluster state:               shut down in recovery
Latest checkpoint location:           1/3000060
Latest checkpoint's REDO location:    1/3000028
Latest checkpoint's TimeLineID:       3
Minimum recovery ending location:     1/3000110
Min recovery ending loc's timeline:   4
wal_log_hints setting:                on
max_connections setting:              60
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
Bytes per WAL segment:                16777216
Data page checksum version:           0
`;
  expect(parseControlData(text)).toEqual({
    systemIdentifier: '7412345678901234567',
    state: 'shut down in recovery',
    timeline: 3,
    checkpointLsn: 0x1_0300_0060,
    redoLsn: 0x1_0300_0028,
    minRecoveryEndLsn: 0x1_0300_0110,
    minRecoveryEndTimeline: 4,
    dataChecksums: false,
    walLogHints: true,
    required: {
      max_connections: 60,
      max_worker_processes: 8,
      max_wal_senders: 10,
      max_prepared_transactions: 0,
      max_locks_per_transaction: 64,
    },
    walSegmentSize: SEGMENT,
  });
  expect(parseControlData(text.replace('shut down in recovery', 'asleep')).state).toBe(
    'unrecognized',
  );
  expect(() => parseControlData('')).toThrow('says nothing of');
});
