/**
 * Where lines go. The daemon never waits for a reader: at most `maximum` characters are kept for a
 * slow one, the rest is dropped and counted.
 *
 * A write(2) that blocks on a full pipe, even in a thread of the pool, keeps the process from ever
 * exiting. So pipes and terminals are opened a second time, non-blocking, which also leaves the
 * description that PostgreSQL inherits as it is. What cannot be opened again (a socket of the
 * service manager) is written through the event loop's own stream.
 */
import { constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { type LogFile, RotatingFile } from './rotating.ts';
import { FileWriter, fixedTarget } from './writer.ts';

export interface Sink {
  /** Never blocks, never throws. */
  write(line: string): void;
  /** Resolves when everything is written or `ms` are over; false: something was left behind. */
  close(ms: number): Promise<boolean>;
}

/** Called when lines flow again, with the number of lines that were dropped. */
export type OnRecovered = (dropped: number) => void;

export function openSink(fd: number, maximum: number, onRecovered: OnRecovered): Sink {
  const kind = fstatSync(fd);
  const mayStall = kind.isFIFO() || kind.isCharacterDevice();
  const own = mayStall ? openAgain(fd) : null;
  if (own !== null) return new FileWriter(fixedTarget(own), maximum, onRecovered);
  if (kind.isFIFO() || kind.isSocket()) return streamSink(fd, maximum, onRecovered);
  return new FileWriter(fixedTarget(fd), maximum, onRecovered);
}

/** @throws Error the file cannot be opened */
export function openFileSink(file: LogFile, maximum: number, onRecovered: OnRecovered): Sink {
  return new FileWriter(new RotatingFile(file), maximum, onRecovered);
}

function openAgain(fd: number): number | null {
  try {
    return openSync(
      `/proc/self/fd/${fd}`,
      constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch {
    return null;
  }
}

/** A stream of the event loop: does not block, and does not hold up the exit. */
function streamSink(fd: number, maximum: number, onRecovered: OnRecovered): Sink {
  const stream = socketOf(fd);
  let dropped = 0;
  let gone = false;
  stream.on('error', () => {
    gone = true;
  });
  stream.on('drain', () => {
    const count = dropped;
    dropped = 0;
    if (count > 0) onRecovered(count);
  });
  return {
    write: (line) => {
      if (gone) return;
      if (stream.writableLength + line.length > maximum) dropped++;
      else stream.write(line);
    },
    close: (ms) =>
      new Promise((resolve) => {
        if (gone || stream.writableLength === 0) return resolve(!gone);
        const timer = setTimeout(() => resolve(false), ms);
        stream.write('', (error) => {
          clearTimeout(timer);
          resolve(!error);
        });
      }),
  };
}

function socketOf(fd: number): NodeJS.WriteStream | Socket {
  if (fd === 1) return process.stdout;
  if (fd === 2) return process.stderr;
  return new Socket({ fd, readable: false, writable: true });
}
