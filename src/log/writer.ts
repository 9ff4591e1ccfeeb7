/** Writes lines to a descriptor one piece at a time, in order, and forgets what there is no room for. */
import { write, writeSync } from 'node:fs';
import type { OnRecovered, Sink } from './sink.ts';

const RETRY_MS = 50;
/** Characters handed over in one write. */
const PIECE = 16 * 1024;

/** What the lines go to: one descriptor for ever, or one after the other. */
export interface Target {
  readonly fd: number;
  /** Another one is due before `bytes` more are written. */
  isFull(bytes: number): boolean;
  turn(): Promise<void>;
  wrote(bytes: number): void;
}

/** One that is nobody's to exchange. */
export function fixedTarget(fd: number): Target {
  return { fd, isFull: () => false, turn: async () => undefined, wrote: () => undefined };
}

export class FileWriter implements Sink {
  readonly #target: Target;
  readonly #maximum: number;
  readonly #onRecovered: OnRecovered;
  #lines: string[] = [];
  /** Characters in `#lines`. */
  #waiting = 0;
  /** What is left of the piece in hand, null when there is none. */
  #piece: Buffer | null = null;
  #inFlight = false;
  #dropped = 0;
  #gone = false;
  /** The last piece was written: a word about dropped lines would get through. */
  #flows = true;
  #onIdle: (() => void)[] = [];

  constructor(target: Target, maximum: number, onRecovered: OnRecovered) {
    this.#target = target;
    this.#maximum = maximum;
    this.#onRecovered = onRecovered;
    process.once('exit', () => this.#writeRest());
  }

  write(line: string): void {
    if (this.#gone) return;
    if (this.#waiting + line.length > this.#maximum) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#waiting += line.length;
    if (this.#piece === null) this.#next();
  }

  close(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#gone || this.#piece === null) return resolve(!this.#gone);
      const timer = setTimeout(() => resolve(false), ms);
      this.#onIdle.push(() => {
        clearTimeout(timer);
        resolve(!this.#gone);
      });
    });
  }

  #next(): void {
    let text = '';
    let count = 0;
    while (count < this.#lines.length && text.length < PIECE) text += this.#lines[count++] ?? '';
    this.#lines.splice(0, count);
    this.#waiting -= text.length;
    this.#piece = text === '' ? null : Buffer.from(text);
    const piece = this.#piece;
    if (piece === null) this.#idle();
    else if (!this.#target.isFull(piece.length)) this.#send(piece);
    else {
      const go = (): void => this.#send(piece);
      this.#target.turn().then(go, go);
    }
  }

  #send(piece: Buffer): void {
    this.#inFlight = true;
    write(this.#target.fd, piece, 0, piece.length, null, (error, written) => {
      this.#inFlight = false;
      this.#target.wrote(written);
      if (error) this.#failed(error, piece);
      else if (written < piece.length) {
        this.#piece = piece.subarray(written);
        this.#send(this.#piece);
      } else {
        this.#flows = true;
        this.#next();
      }
    });
  }

  #failed(error: NodeJS.ErrnoException, piece: Buffer): void {
    if (error.code === 'EAGAIN') {
      // The reader is slow; there is no event for "room again" on a bare descriptor.
      setTimeout(() => this.#send(piece), RETRY_MS).unref();
      return;
    }
    if (error.code === 'EPIPE') {
      this.#gone = true;
      this.#lines = [];
      this.#piece = null;
      this.#idle();
      return;
    }
    // A full disk, most likely: the daemon goes on without these lines.
    this.#flows = false;
    this.#dropped += countLines(piece);
    this.#next();
  }

  #idle(): void {
    for (const tell of this.#onIdle.splice(0)) tell();
    const dropped = this.#dropped;
    if (dropped === 0 || this.#gone || !this.#flows) return;
    this.#dropped = 0;
    this.#onRecovered(dropped);
  }

  /** At exit, what can be written without waiting. */
  #writeRest(): void {
    if (this.#gone) return;
    const rest = this.#inFlight ? [] : [this.#piece ?? Buffer.alloc(0)];
    let bytes = Buffer.concat([...rest, Buffer.from(this.#lines.join(''))]);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.#target.fd, bytes));
    } catch {
      // The reader is gone or does not read: what is left is lost.
    }
  }
}

function countLines(piece: Buffer): number {
  let lines = 0;
  for (const byte of piece) if (byte === 0x0a) lines++;
  return lines;
}
