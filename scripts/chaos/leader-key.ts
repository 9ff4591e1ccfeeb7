/** Who holds the leader key, as etcd tells it: a watch on each member, as any of them may be away. */
import { type ChildProcess, spawn } from 'node:child_process';
import { z } from 'zod';
import type { Etcd } from '../lab/index.ts';
import type { Holding } from './history.ts';

const RESTART_MS = 200;

const Event = z.object({
  type: z.number().optional(),
  kv: z.object({ mod_revision: z.number(), value: z.string().optional() }),
});
/** Without events: it has begun, or says that it is there. */
const Told = z.object({ Events: z.array(Event).nullish() });
const DELETED = 1;

export class LeaderKey {
  readonly #holdings = new Map<number, Holding>();
  readonly #children = new Set<ChildProcess>();
  #running = true;

  /** Watches begin now, and again whenever one ends. */
  static watch(etcd: Etcd, key: string): LeaderKey {
    const watch = new LeaderKey();
    for (const url of etcd.urls) watch.#begin(url, key);
    return watch;
  }

  #begin(url: string, key: string): void {
    if (!this.#running) return;
    const child = spawn('etcdctl', [`--endpoints=${url}`, '-w', 'json', 'watch', key], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: process.env.PATH, ETCDCTL_API: '3' },
    });
    this.#children.add(child);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (text + chunk.toString()).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) if (line !== '') this.#told(line);
    });
    child.on('error', () => {});
    child.once('close', () => {
      this.#children.delete(child);
      setTimeout(() => this.#begin(url, key), RESTART_MS).unref();
    });
  }

  #told(line: string): void {
    const at = performance.now();
    for (const { type, kv } of Told.parse(JSON.parse(line)).Events ?? []) {
      if (this.#holdings.has(kv.mod_revision)) continue;
      const value = Buffer.from(kv.value ?? '', 'base64').toString();
      this.#holdings.set(kv.mod_revision, { at, holder: type === DELETED ? null : value });
    }
  }

  /** In the order of the store. A change of which the watches were told late counts from then. */
  holdings(): readonly Holding[] {
    let latest = 0;
    return [...this.#holdings]
      .sort(([one], [other]) => one - other)
      .map(([, { at, holder }]) => {
        latest = Math.max(latest, at);
        return { at: latest, holder };
      });
  }

  end(): void {
    this.#running = false;
    for (const child of this.#children) child.kill('SIGKILL');
  }
}
