/**
 * One small record on disk, replaced durably by one write in place. Writing a new file and renaming it
 * takes four journal commits of the file system, and clients wait for the record of a promotion (F4).
 *
 * Two slots of a fixed size, written in turn: a write that a power cut has torn leaves the other one.
 * Each is a line of text, `SEQUENCE DIGEST RECORD`, filled up with blanks.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isMissing, makePrivateFolder, syncFolder } from './postgres/disk.ts';

/** Of a slot, bytes: what every file system writes in one go. */
const SLOT = 4096;

/** What is on disk is no record of ours. */
export class RecordDamaged extends Error {}

interface Slot {
  readonly sequence: number;
  readonly text: string;
}

export class RecordFile {
  readonly #path: string;
  #sequence = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The record that was written last and completely; null when there is none.
   * @throws RecordDamaged neither slot is readable @throws any other error of the disk (S4)
   */
  async read(): Promise<string | null> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#path);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    // Created, and the power was cut before the first write.
    if (bytes.length === 0) return null;
    const slots = [decode(bytes.subarray(0, SLOT)), decode(bytes.subarray(SLOT, 2 * SLOT))];
    const newest = slots
      .filter((slot) => slot !== null)
      .toSorted((one, other) => other.sequence - one.sequence)[0];
    if (newest === undefined) throw new RecordDamaged('neither copy in it is complete');
    this.#sequence = newest.sequence;
    return newest.text;
  }

  /** On disk when it resolves. One at a time. @throws RangeError too long @throws the disk's error */
  async write(text: string): Promise<void> {
    const sequence = this.#sequence + 1;
    const slot = encode({ sequence, text });
    const handle = await this.#open();
    try {
      if ((await handle.stat()).size === 2 * SLOT) {
        await writeAll(handle, slot, (sequence % 2) * SLOT);
      } else {
        await writeAll(handle, Buffer.concat([slot, slot]), 0);
        await handle.truncate(2 * SLOT);
        await handle.sync();
        await syncFolder(dirname(this.#path));
      }
    } finally {
      await handle.close();
    }
    this.#sequence = sequence;
  }

  /** Each write through it is on disk when it returns. */
  async #open(): Promise<FileHandle> {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC;
    try {
      return await open(this.#path, flags, 0o600);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await makePrivateFolder(dirname(this.#path));
      return open(this.#path, flags, 0o600);
    }
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  const { bytesWritten } = await handle.write(bytes, 0, bytes.length, position);
  if (bytesWritten !== bytes.length)
    throw new Error(`only ${bytesWritten} of ${bytes.length} bytes could be written`);
}

function encode({ sequence, text }: Slot): Buffer {
  const line = Buffer.from(`${sequence} ${digest(sequence, text)} ${text}`);
  if (line.length >= SLOT || text.includes('\n') || text.endsWith(' '))
    throw new RangeError(
      `a record of ${line.length} bytes; allowed are ${SLOT - 1}, in one line without blanks at its end`,
    );
  return Buffer.concat([line, Buffer.alloc(SLOT - 1 - line.length, ' '), Buffer.from('\n')]);
}

/** Null: never written, or torn. */
function decode(bytes: Buffer): Slot | null {
  const [, sequence, found, text] =
    /^(\d{1,15}) ([0-9a-f]{16}) (.*?) *\n$/s.exec(bytes.toString()) ?? [];
  if (sequence === undefined || text === undefined) return null;
  const slot = { sequence: Number(sequence), text };
  return digest(slot.sequence, text) === found ? slot : null;
}

function digest(sequence: number, text: string): string {
  return createHash('sha256').update(`${sequence} ${text}`).digest('hex').slice(0, 16);
}
