/** Health checks per second that the leader's daemon answers. The generator shares the machine. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { generateLoad, type LoadResult } from './load.ts';
import type { Measurement } from './measurement.ts';

export const health: Measurement = {
  rows: ['health'],
  settings: 'default',
  round: async (stage) => {
    const primary = await stage.settled();
    stage.freezeChecks();
    const { perSecond, reconnections, failures } = await checks(primary.restPort, 4000);
    const plainServer = (await withPlainServer((port) => checks(port, 1500))).perSecond;
    const details = { reconnections, failures, plainServer };
    return { samples: { health: { value: perSecond, details } } };
  },
};

function checks(port: number, countMs: number): Promise<LoadResult> {
  return generateLoad({ port, path: '/primary', connections: 8, warmUpMs: 1000, countMs });
}

const PLAIN_SERVER = `const server = require('node:http').createServer((request, response) => response.end('{}'));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));`;

/** An HTTP server that does nothing, in a process of its own: what this machine allows at this moment. */
async function withPlainServer<T>(use: (port: number) => Promise<T>): Promise<T> {
  const server = spawn(process.execPath, ['-e', PLAIN_SERVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [port] = (await once(createInterface(server.stdout), 'line')) as [string];
    return await use(Number(port));
  } finally {
    server.kill('SIGKILL');
  }
}
