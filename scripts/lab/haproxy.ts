/** HAProxy for a lab, with the very settings of deploy/haproxy/haproxy.cfg; only addresses differ. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CHECKOUT, type Lab, type LabProcess } from './lab.ts';
import { LOOPBACK } from './place.ts';
import { run } from './run.ts';
import { waitFor } from './wait.ts';

export const DEPLOYED_CONFIG = join(CHECKOUT, 'deploy', 'haproxy', 'haproxy.cfg');

export interface Backend {
  readonly name: string;
  /** Default: this machine's loopback. */
  readonly address?: string;
  readonly postgresPort: number;
  readonly restPort: number;
}

export interface ProxyPorts {
  readonly primary: number;
  readonly replicas: number;
  readonly stats: number;
}

/** The deployed configuration with these servers and listening ports. */
export function labConfig(
  deployed: string,
  backends: readonly Backend[],
  ports: ProxyPorts,
): string {
  const servers = backends.map(
    (one) =>
      `    server ${one.name} ${one.address ?? LOOPBACK.address}:${one.postgresPort} check port ${one.restPort}`,
  );
  const lines: string[] = [];
  let section = '';
  for (const line of deployed.split('\n')) {
    const listen = /^listen (\w+)/.exec(line);
    if (listen?.[1] !== undefined) section = listen[1];
    if (/^\s+server /.test(line)) continue;
    if (/^\s+bind /.test(line)) {
      const port = ports[section as keyof ProxyPorts];
      if (port === undefined) {
        throw new Error(
          `${DEPLOYED_CONFIG}: section "listen ${section}" has no port in a lab; allowed: ${Object.keys(ports).join(', ')}`,
        );
      }
      lines.push(`    bind 127.0.0.1:${port}`);
      if (section !== 'stats') lines.push(...servers);
      continue;
    }
    lines.push(line);
  }
  return lines.join('\n');
}

/** Throws with HAProxy's own words when the file is not valid. */
export async function validate(file: string): Promise<void> {
  await run([program(), '-c', '-f', file]);
}

export class HAProxy {
  readonly ports: ProxyPorts;
  readonly process: LabProcess;

  private constructor(ports: ProxyPorts, process: LabProcess) {
    this.ports = ports;
    this.process = process;
  }

  /** Starts it and waits until it listens. `dropCancels`: with that option of the deployed file. */
  static async start(
    lab: Lab,
    backends: readonly Backend[],
    { dropCancels = false } = {},
  ): Promise<HAProxy> {
    const folder = lab.path(dropCancels ? 'haproxy-cancels' : 'haproxy');
    const ports = {
      primary: await lab.port(),
      replicas: await lab.port(),
      stats: await lab.port(),
    };
    const file = join(folder, 'haproxy.cfg');
    const deployed = readFileSync(DEPLOYED_CONFIG, 'utf8');
    const chosen = dropCancels ? deployed.replaceAll('# tcp-request', 'tcp-request') : deployed;
    writeFileSync(file, labConfig(chosen, backends, ports));
    await validate(file);
    const running = await lab.spawn([program(), '-db', '-f', file], {
      name: 'haproxy',
      cwd: folder,
    });
    await waitFor('HAProxy to listen', 5000, (seen) => {
      if (!running.isAlive()) seen(`it ended: ${running.tail()}`);
      return accepts(ports.stats);
    });
    return new HAProxy(ports, running);
  }

  /** The servers that pass their check in a section. */
  async up(section: 'primary' | 'replicas'): Promise<readonly string[]> {
    const response = await fetch(`http://127.0.0.1:${this.ports.stats}/;csv`, {
      signal: AbortSignal.timeout(2000),
    });
    const rows = (await response.text()).split('\n').map((line) => line.split(','));
    const status = rows[0]?.indexOf('status') ?? -1;
    return rows
      .filter((row) => row[0] === section && row[status]?.startsWith('UP'))
      .map((row) => row[1] ?? '')
      .filter((name) => name !== 'BACKEND' && name !== 'FRONTEND');
  }
}

/** Debian installs it in /usr/sbin, which is not in every user's PATH. */
function program(): string {
  const debian = '/usr/sbin/haproxy';
  return existsSync(debian) ? debian : 'haproxy';
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const done = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}
