/** The file of `log.dir`: `patroni.log`, and when it is full `.1`, `.2`, … beside it (C-6.2). */
import { closeSync, fchmodSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Target } from './writer.ts';

/** Whoever collects Patroni's log finds ours. */
const NAME = 'patroni.log';

export interface LogFile {
  readonly dir: string;
  /** Bytes from which on the next file is begun. */
  readonly maximumSize: number;
  /** Full files that are kept; 0: one file that grows for ever. */
  readonly kept: number;
  /** Of the file, whatever the umask is. */
  readonly mode: number;
}

export class RotatingFile implements Target {
  readonly #options: LogFile;
  readonly #path: string;
  #fd: number;
  #size: number;

  /** @throws Error the file cannot be opened */
  constructor(options: LogFile) {
    this.#options = options;
    this.#path = join(options.dir, NAME);
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    this.#fd = this.#open();
    this.#size = fstatSync(this.#fd).size;
  }

  get fd(): number {
    return this.#fd;
  }

  wrote(bytes: number): void {
    this.#size += bytes;
  }

  isFull(bytes: number): boolean {
    const { kept, maximumSize } = this.#options;
    return kept > 0 && this.#size > 0 && this.#size + bytes > maximumSize;
  }

  /** Where renaming fails, lines go on into the file that there is. */
  async turn(): Promise<void> {
    // Also where it fails: tried again after as much, or each try would move the older files on.
    this.#size = 0;
    for (let number = this.#options.kept; number > 0; number--) {
      const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
      await rename(from, `${this.#path}.${number}`).catch(ignoreMissing);
    }
    await rm(`${this.#path}.${this.#options.kept + 1}`, { force: true });
    const before = this.#fd;
    this.#fd = this.#open();
    closeSync(before);
  }

  #open(): number {
    const fd = openSync(this.#path, 'a', this.#options.mode);
    fchmodSync(fd, this.#options.mode);
    return fd;
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
