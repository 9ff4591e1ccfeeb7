/** A listening API for tests, and bytes to send it. Closed after each test. */
import { connect } from 'node:net';
import { afterEach } from 'vitest';
import { type ApiServer, startApi } from '../../src/api/server.ts';
import type { Snapshot } from '../../src/status.ts';

export const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** The API over a snapshot that the test may change. */
export async function serve(
  first: Snapshot,
  host = '127.0.0.1',
  freshen: () => Promise<void> = async () => undefined,
): Promise<Api> {
  const errors: unknown[] = [];
  const api: Api = { snapshot: () => first, errors, url: '', port: 0, server: undefined as never };
  const status = { snapshot: () => api.snapshot() };
  api.server = await startApi({
    status,
    host,
    port: 0,
    onError: (error) => errors.push(error),
    freshen,
  });
  opened.push(api.server);
  api.port = api.server.port;
  api.url = `http://127.0.0.1:${api.port}`;
  return api;
}

export interface Api {
  snapshot: () => Snapshot;
  readonly errors: unknown[];
  url: string;
  port: number;
  server: ApiServer;
}

/** Sends bytes as they are and returns all that comes until the other side closes. */
export function raw(port: number, request: string | Buffer, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, host, () => socket.write(request));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      answer += text;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
