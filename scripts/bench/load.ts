/** A small generator of HTTP requests over kept connections: one request under way on each. */
import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  /** Not counted, ms. */
  readonly warmUpMs: number;
  /** Counted, ms. */
  readonly countMs: number;
}

export interface LoadResult {
  readonly perSecond: number;
  /** Connections that the server closed, counted time only: a server without keep-alive closes each. */
  readonly reconnections: number;
  readonly failures: number;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');

export async function generateLoad(options: LoadOptions): Promise<LoadResult> {
  const count = { answers: 0, reconnections: 0, failures: 0 };
  let running = true;
  const request = Buffer.from(
    `GET ${options.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n`,
  );
  const sockets = new Set<Socket>();
  const open = (): void => {
    const socket = connect({ host: '127.0.0.1', port: options.port, noDelay: true });
    sockets.add(socket);
    let waiting = Buffer.alloc(0);
    let usual = -1;
    let answered = false;
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
      // Answers to the same question are as long as the one before: looking at each would cost the server's time.
      const size = waiting.length === usual ? usual : answerSize(waiting);
      if (size === undefined || waiting.length < size) return;
      usual = size;
      waiting = waiting.subarray(size);
      count.answers += 1;
      answered = true;
      if (running) socket.write(request);
    });
    socket.on('error', () => {
      if (running && !answered) count.failures += 1;
    });
    socket.on('close', () => {
      sockets.delete(socket);
      if (!running) return;
      count.reconnections += 1;
      open();
    });
  };
  for (let number = 0; number < options.connections; number += 1) open();
  await elapsed(options.warmUpMs);
  const before = { ...count, at: performance.now() };
  await elapsed(options.countMs);
  const seconds = (performance.now() - before.at) / 1000;
  running = false;
  for (const socket of sockets) socket.destroy();
  return {
    perSecond: (count.answers - before.answers) / seconds,
    reconnections: count.reconnections - before.reconnections,
    failures: count.failures - before.failures,
  };
}

/** Bytes of the answer at the beginning of `bytes`; undefined while its head is not complete. */
export function answerSize(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(END_OF_HEAD);
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? '0';
  return end + END_OF_HEAD.length + Number(length);
}

/** The length of a measurement, not a wait for anything. */
function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
