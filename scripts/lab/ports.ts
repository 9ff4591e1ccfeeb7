/**
 * Free loopback ports between 10000 and 32767: below ip_local_port_range, so that no outgoing
 * connection can take the port of a server that was just killed.
 *
 * A port stays reserved machine-wide as long as its reservation is held: each is a listening abstract
 * unix socket, which the kernel gives to one process only and takes back when that process ends.
 */
import net from 'node:net';

const LOWEST = 10_000;
const HIGHEST = 32_767;
const ATTEMPTS = 500;

export interface ReservedPort {
  readonly port: number;
  release(): void;
}

export async function reservePort(): Promise<ReservedPort> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    const lock = await listen({ path: `\0tenure-lab-port-${port}` });
    if (lock === undefined) continue;
    if (await isFree(port)) {
      lock.unref();
      return { port, release: () => void lock.close() };
    }
    lock.close();
  }
  throw new Error(
    `no free loopback port found in ${ATTEMPTS} attempts (allowed: ${LOWEST}–${HIGHEST})`,
  );
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen({ port, host: '0.0.0.0', exclusive: true });
  if (server === undefined) return false;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return true;
}

/** A listening server, or undefined when the address is taken. */
function listen(options: net.ListenOptions): Promise<net.Server | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', () => resolve(undefined));
    server.listen({ ...options, exclusive: true }, () => resolve(server));
  });
}
