/**
 * Real daemons under bad input: REST and keys at once. They must neither end nor report a bug, and once
 * the input ends the cluster is healthy without anybody's help but the right `/config`.
 * `TENURE_FUZZ=5000` for a long run: as many requests, and as many contents of keys.
 */
import { request as httpRequest } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, Lab, type Node, waitFor } from '../../scripts/lab/index.ts';
import { logMark, pair, replicates, tellOnFailure } from '../daemon/watching.ts';
import { contents, type FuzzRequest, requests, runs } from './inputs.ts';

const USUAL = 120;
const AT_ONCE = 4;
/** Per input on a busy machine, ms; a request may have to wait for a restart. */
const INPUT_MS = 200;

let lab: Lab;
let cluster: Cluster;
let config: unknown;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { nodes: 2, haproxy: false });
  config = (await cluster.nodes[0]?.rest('/config'))?.json;
});
afterAll(() => lab.close());

const full = (key: string): string => `/service/${cluster.scope}/${key}`;

/** Who leads, and whose cluster it is, are left alone here: garbage.real.test.ts has those. */
const KEYS = ['config', 'status', 'history', 'failover', 'sync', 'failsafe', 'members/x'].concat(
  ['members/n1', 'members/n2', 'tenure/timeline', 'tenure/handover', 'tenure/bootstrap'],
  ['optime/leader', 'nonsense', 'tenure/', 'members/'],
);

/** The status, or null when the connection ended without an answer. */
function send(node: Node, { method, path, headers, body }: FuzzRequest): Promise<number | null> {
  return new Promise((resolve) => {
    const length = body === null ? {} : { 'content-length': Buffer.byteLength(body) };
    const options = {
      port: node.restPort,
      host: node.address,
      method,
      path,
      headers: { ...headers, ...length },
      agent: false,
      timeout: 20_000,
    };
    const sent = httpRequest(options, (response) => {
      response.resume();
      response.on('close', () => resolve(response.statusCode ?? null));
    });
    sent.on('error', () => resolve(null));
    sent.on('timeout', () => sent.destroy());
    sent.end(body ?? undefined);
  });
}

/** Each input once; several at a time. */
async function pour<T>(
  arbitrary: fc.Arbitrary<T>,
  give: (input: T) => Promise<void>,
): Promise<void> {
  const inputs = fc.sample(arbitrary, runs(USUAL));
  const worker = async (): Promise<void> => {
    for (let input = inputs.pop(); input !== undefined; input = inputs.pop()) await give(input);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

test('requests and keys, then a healthy cluster', {
  timeout: 120_000 + 2 * runs(USUAL) * INPUT_MS,
}, async () => {
  tellOnFailure(cluster.nodes);
  const daemons = cluster.nodes.map((node) => node.daemon?.pid);
  const marks = cluster.nodes.map(logMark);
  const statuses = new Map<number | null, number>();
  const nodes = fc.constantFrom(...cluster.nodes);
  await Promise.all([
    pour(fc.tuple(nodes, requests), async ([node, request]) => {
      const status = await send(node, request);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }),
    pour(fc.tuple(fc.constantFrom(...KEYS), contents), async ([key, content]) => {
      await cluster.etcd.put(full(key), content);
    }),
  ]);
  expect([...statuses.keys()].filter((status) => status !== null && status > 503)).toEqual([]);
  expect(statuses.get(200), 'nothing was understood').toBeGreaterThan(0);

  // As an operator would: the configuration as it should be, and nothing that is scheduled.
  await cluster.etcd.put(full('config'), JSON.stringify(config));
  for (const key of ['failover', 'members/x']) await cluster.etcd.delete(full(key));
  for (const node of cluster.nodes) await node.rest('/restart', { method: 'DELETE' });
  const { primary, replica: standby } = await pair(cluster);
  await replicates(primary, standby);
  await waitFor('every member as it is, in /cluster', 30_000, async (seen) => {
    const members = await cluster.membersSeenBy(primary);
    seen(JSON.stringify(members));
    return members.length === 2 && members.every(({ state }) => /running|streaming/.test(state));
  });
  expect(cluster.nodes.map((node) => node.daemon?.pid)).toEqual(daemons);
  for (const [at, node] of cluster.nodes.entries()) {
    expect(node.isRunning(), `${node.name} has ended`).toBe(true);
    const bugs = marks[at]
      ?.since()
      .split('\n')
      .filter((line) => /report it as a bug/.test(line));
    expect(bugs).toEqual([]);
  }
});

test('what was measured meanwhile is in /metrics', async () => {
  const { primary } = await pair(cluster);
  const { text, status } = await primary.rest('/metrics');
  expect(status).toBe(200);
  const value = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  expect(value(/^patroni_primary\{.*\} (\d+)$/m)).toBe(1);
  expect(value(/^tenure_lease_renewal_seconds_count\{.*\} (\d+)$/m)).toBeGreaterThan(3);
  expect(value(/^tenure_lease_remaining_seconds\{.*\} ([\d.]+)$/m)).toBeLessThanOrEqual(5);
  expect(
    value(/^tenure_etcd_requests_total\{.*kind="read",outcome="answered"\} (\d+)$/m),
  ).toBeGreaterThan(3);
  expect(value(/^tenure_tick_seconds_sum\{.*\} ([\d.]+)$/m)).toBeGreaterThan(0);
  expect(value(/^tenure_event_loop_delay_seconds_count\{.*\} (\d+)$/m)).toBeGreaterThan(3);
  expect(value(/^tenure_child_processes_started_total\{.*\} (\d+)$/m)).toBeGreaterThan(0);
  expect(value(/^tenure_guard_state\{.*state="armed"\} (\d)$/m)).toBe(1);
});
