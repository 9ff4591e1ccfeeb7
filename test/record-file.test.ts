import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from '../src/journal.ts';
import { RecordDamaged, RecordFile } from '../src/record-file.ts';

const SLOT = 4096;
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tenure-record-'));
  path = join(folder, 'state', 'node.record');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function written(...texts: readonly string[]): Promise<void> {
  const file = new RecordFile(path);
  await file.read();
  for (const text of texts) await file.write(text);
}

describe('a record', () => {
  it('is what was written last, in the next life too, and only its owner can read it', async () => {
    expect(await new RecordFile(path).read()).toBeNull();
    await written('one');
    await written('two', 'three');
    await written('four, ünïcode');
    expect(await new RecordFile(path).read()).toBe('four, ünïcode');
    expect(statSync(path)).toMatchObject({ size: 2 * SLOT });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is the one before where a power cut has torn the write, wherever it was cut', async () => {
    await written('the one before', 'the last');
    const whole = readFileSync(path);
    const before = [...whole.subarray(SLOT)];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 40 }), fc.integer(), async (at, byte) => {
        const torn = Buffer.from(whole);
        torn.writeUInt8((byte >>> 0) & 0xff, at);
        writeFileSync(path, torn);
        const found = await new RecordFile(path).read();
        expect(found).toBe(torn.equals(whole) ? 'the last' : 'the one before');
        expect([...readFileSync(path).subarray(SLOT)]).toEqual(before);
      }),
    );
  });

  it('is written again in the slot that is not the good one', async () => {
    await written('one', 'two');
    const torn = readFileSync(path);
    torn.write('torn', 0);
    writeFileSync(path, torn);
    await written('three');
    const after = readFileSync(path).toString();
    expect(after).toContain('one');
    expect(after).toContain('three');
  });

  it('is damaged, not absent, where nothing of it can be believed', async () => {
    await written('one');
    writeFileSync(path, 'x'.repeat(2 * SLOT));
    await expect(new RecordFile(path).read()).rejects.toThrow(RecordDamaged);
    truncateSync(path);
    expect(await new RecordFile(path).read()).toBeNull();
  });

  it('refuses what does not fit, and keeps what it has', async () => {
    await written('one');
    await expect(written('x'.repeat(SLOT))).rejects.toThrow('allowed are 4095');
    await expect(written('two\nlines')).rejects.toThrow(RangeError);
    await expect(written('blank ')).rejects.toThrow(RangeError);
    expect(await new RecordFile(path).read()).toBe('one');
  });
});

describe('the journal', () => {
  const complaints: string[] = [];
  const journal = (): Journal =>
    new Journal(join(folder, 'state'), (text) => complaints.push(text));

  it('writes what comes together once, and each change after the one before', async () => {
    const first = journal();
    await first.load();
    await Promise.all([first.leading('7'), first.promoting(2), first.promoting(3)]);
    const sequences = readFileSync(path, 'utf8').match(/^\d+/gm);
    expect(sequences).toEqual(['1', '1']);
    await first.promoting(3);
    await first.leading('8');
    expect(readFileSync(path, 'utf8').match(/^\d+/gm)).toEqual(['2', '1']);
    const next = journal();
    expect(await next.load()).toMatchObject({ promotedHere: [2, 3], leaseId: '8' });
    expect(complaints).toEqual([]);
  });

  it('does not start without a record that it only cannot read', async () => {
    mkdirSync(path, { recursive: true });
    await expect(journal().load()).rejects.toThrow('EISDIR');
    expect(statSync(path).isDirectory()).toBe(true);
  });

  it('sets a damaged record aside and says so', async () => {
    const first = journal();
    await first.leading('7');
    writeFileSync(path, 'nonsense');
    expect(await journal().load()).toMatchObject({ promotedHere: [], leaseId: null });
    expect(complaints.join()).toContain('node.record.broken');
    expect(readFileSync(`${path}.broken`, 'utf8')).toBe('nonsense');
  });
});
