/**
 * Whether a server still takes connections: a session that is kept is served by a process of its
 * own, and goes on answering beside a postmaster that hangs. The question is the one for encryption,
 * which is answered before anything else and leaves nothing in the server's log.
 */
import { createConnection, isIP } from 'node:net';
import type { Clock } from '../clock.ts';
import type { LocalTarget } from './connect.ts';

/** Protocol: length 8, code 80877104. */
const ENCRYPTION_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]);

/** `unknown`: not asked, or failed for a reason that says nothing about the server. */
export type Knock = 'answered' | 'silent' | 'unknown';

/** Never rejects. */
export function knock(
  { host, port }: LocalTarget,
  clock: Clock,
  timeoutMs: number,
): Promise<Knock> {
  const socketFolder = host.startsWith('/');
  // A name would be resolved first, and that may take long without the server's doing.
  if (!socketFolder && isIP(host) === 0) return Promise.resolve('unknown');
  return new Promise((resolve) => {
    const where = socketFolder ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
    const socket = createConnection(where, () => socket.write(ENCRYPTION_REQUEST));
    const end = (heard: Knock): void => {
      cancel();
      socket.destroy();
      resolve(heard);
    };
    const cancel = clock.after(timeoutMs, () => end('silent'));
    socket.on('data', () => end('answered'));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' ? 'silent' : 'unknown'),
    );
    // It took the connection and gave it up: somebody is there.
    socket.on('end', () => end('unknown'));
  });
}
