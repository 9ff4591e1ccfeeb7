/** A server that takes connections, one that does not, and what says nothing about it. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { RealClock } from '../../src/clock.ts';
import { knock } from '../../src/postgres/knock.ts';

const clock = new RealClock();
const LONG_MS = 20_000;
const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listening(at: string | number, greet: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    greet(socket);
  });
  servers.push(server);
  if (typeof at === 'number') server.listen(at, '127.0.0.1');
  else server.listen(at);
  await once(server, 'listening');
  return typeof at === 'number' ? (server.address() as AddressInfo).port : 0;
}

const local = (port: number, timeoutMs = LONG_MS) =>
  knock({ host: '127.0.0.1', port }, clock, timeoutMs);

it('is answered by a server that says whether it encrypts', async () => {
  let asked = '';
  const port = await listening(0, (socket) =>
    socket.once('data', (request) => {
      asked = request.toString('hex');
      socket.write('N');
    }),
  );
  expect(await local(port)).toBe('answered');
  expect(asked).toBe('0000000804d21630');
});

it('is answered through the socket folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tenure-knock.'));
  try {
    await listening(join(folder, '.s.PGSQL.5432'), (socket) => socket.write('S'));
    expect(await knock({ host: folder, port: 5432 }, clock, LONG_MS)).toBe('answered');
    // Somebody tidied /tmp up: the server still serves whoever comes by TCP.
    expect(await knock({ host: folder, port: 5433 }, clock, LONG_MS)).toBe('unknown');
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('is not answered by a server whose kernel takes the connection and that says nothing', async () => {
  const port = await listening(0, () => undefined);
  expect(await local(port, 50)).toBe('silent');
});

it('is not answered where nobody listens', async () => {
  const port = await listening(0, () => undefined);
  await new Promise((closed) => servers.pop()?.close(closed));
  expect(await local(port)).toBe('silent');
});

it('says nothing when it was closed without a word, or would need a name resolved', async () => {
  const port = await listening(0, (socket) => socket.end());
  expect(await local(port)).toBe('unknown');
  expect(await knock({ host: 'localhost', port }, clock, LONG_MS)).toBe('unknown');
});
