/** A cluster that nobody asks for anything: no clients, no health checks. */
import { pause } from '../lab/index.ts';
import { growth, requestsReceived } from './etcd-metrics.ts';
import type { Measurement, Outcome } from './measurement.ts';
import { ChildCounter, memory, usage } from './proc.ts';
import type { Stage } from './stage.ts';

/** For what a change leaves to be done, ms: more than one loop_wait. */
const CALM_MS = 12_000;

export function idleFor(seconds: number): Measurement {
  return {
    rows: ['idle-cpu', 'idle-memory', 'idle-children', 'etcd-requests'],
    settings: 'default',
    round: (stage) => idle(stage, seconds),
  };
}

async function idle(stage: Stage, seconds: number): Promise<Outcome> {
  const { cluster } = stage;
  const primary = await stage.settled();
  stage.freezeChecks();
  await pause(CALM_MS);
  const { pid } = primary.daemon ?? {};
  if (pid === undefined) throw new Error(`the daemon of ${primary.name} does not run`);
  const etcd = cluster.etcd.member(0).url;
  const requestsBefore = await requestsReceived(etcd);
  const children = new ChildCounter(pid);
  const from = performance.now();
  const cpuBefore = usage(pid).cpuSeconds;
  await pause(seconds * 1000);
  const cpu = usage(pid).cpuSeconds - cpuBefore;
  const elapsed = (performance.now() - from) / 1000;
  const ended = children.stop();
  const requests = growth(requestsBefore, await requestsReceived(etcd));
  const perMinute = (count: number): number => (count * 60) / elapsed;
  const perNode = (count: number): number => perMinute(count) / cluster.nodes.length;
  const { rss, pss } = memory(pid);
  const total = [...requests.values()].reduce((sum, value) => sum + value, 0);
  const methods = [...requests].map(([method, count]) => [method, perNode(count)] as const);
  return {
    samples: {
      'idle-cpu': { value: (cpu / elapsed) * 100 },
      'idle-memory': { value: rss, details: { pss } },
      'idle-children': { value: perMinute(ended) },
      'etcd-requests': { value: perNode(total), details: Object.fromEntries(methods) },
    },
  };
}
