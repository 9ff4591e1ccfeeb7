/** What the tests of the guard on a real cluster share: the guard of a node, and when a leader key went. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Cluster, Etcd, Node, ProcessId } from '../../scripts/lab/index.ts';
import { waitFor } from '../../scripts/lab/index.ts';
import { findGuards } from '../../src/fence/guard-start.ts';
import type { ProcessIdentity } from '../../src/postgres/proc.ts';

const DEADLINE_MS = 45_000;

/** Seconds in which a daemon comes back also on a busy machine: after that its PostgreSQL is fenced. */
export const LONG_TTL = 40;

interface Proven {
  readonly tenure: { readonly lease: { readonly time_left_ms: number | null } };
}

/** Another ttl (seconds), the leader key under a lease of that, and the guard told of it. */
export async function leaseOf(cluster: Cluster, primary: Node, ttl: number): Promise<void> {
  await primary.rest('/config', { method: 'PATCH', body: { ttl } });
  await waitFor(`a lease of ${ttl} s`, DEADLINE_MS, async (seen) => {
    const key = await cluster.etcd.get(`/service/${cluster.scope}/leader`);
    const left = key === undefined ? undefined : await cluster.etcd.leaseTimeLeftMs(key.lease);
    // The key moves first. Until the daemon has proven that, the guard has the time of the old lease.
    const { tenure } = (await primary.rest('/patroni')).json as Proven;
    const proven = tenure.lease.time_left_ms ?? 0;
    seen(`${left} ms, proven ${proven} ms`);
    const inRange = (ms: number): boolean => ms > ttl * 600 && ms <= ttl * 1000;
    return left !== undefined && inRange(left) && inRange(proven);
  });
}

/** The one guard of a node; throws when there is none, or more. */
export function guardOf(node: Node): ProcessIdentity {
  const ward = { dataDir: node.dataDir, stateDir: `${node.dataDir}.tenure`, commands: [] };
  const [found, ...others] = findGuards(ward);
  if (found === undefined || others.length > 0)
    throw new Error(`${node.name} has ${others.length === 0 ? 'no guard' : 'several guards'}`);
  return found;
}

export async function guardIs(node: Node, state: string): Promise<void> {
  await waitFor(`the guard of ${node.name} to be ${state}`, DEADLINE_MS, async (seen) => {
    const { tenure } = (await node.rest('/patroni')).json as { tenure: { guard: string } };
    seen(tenure.guard);
    return tenure.guard === state;
  });
}

/** When all processes of this PostgreSQL were gone, ms of performance.now(). */
export async function allGone(node: Node, processes: readonly ProcessId[]): Promise<number> {
  return waitFor(
    `the end of PostgreSQL of ${node.name}`,
    DEADLINE_MS,
    (seen) => {
      const left = node.postgresProcesses().filter(({ pid }) => isOneOf(pid, processes));
      seen(`${left.length} processes`);
      return left.length === 0 ? performance.now() : undefined;
    },
    10,
  );
}

function isOneOf(pid: number, processes: readonly ProcessId[]): boolean {
  return processes.some((process) => process.pid === pid);
}

/** Changes of the leader key as etcd tells them, with the time of each. */
export class LeaderWatch {
  readonly changes: { readonly at: number; readonly leader: string | null }[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async begin(etcd: Etcd, key: string): Promise<LeaderWatch> {
    const args = [`--endpoints=${etcd.hosts}`, 'watch', key];
    const child = spawn('etcdctl', args, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: process.env.PATH, ETCDCTL_API: '3' },
    });
    const watch = new LeaderWatch(child);
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      text = text.replace(/PUT\n.*\n(.+)\n|DELETE\n.*\n\n/g, (_event, leader?: string) => {
        watch.changes.push({ at: performance.now(), leader: leader ?? null });
        return '';
      });
    });
    return watch;
  }

  /** When the key first changed, ms of performance.now(). */
  async changed(): Promise<number> {
    return waitFor('the leader key to go', DEADLINE_MS, () => this.changes[0]?.at, 5);
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
