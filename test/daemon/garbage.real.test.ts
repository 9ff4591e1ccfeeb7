/** Garbage in the store: a warning that names key and content, and a cluster that goes on. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  Cluster,
  type KeyValue,
  Lab,
  merge,
  type Node,
  type ProcessId,
  SteadyWriter,
  waitFor,
} from '../../scripts/lab/index.ts';
import { logMark, pair, replicates, tellOnFailure } from './watching.ts';

const DEEP = `{"a":${'['.repeat(3000)}${']'.repeat(3000)}}`;

/** Contents by key; each is put once and must be named by both daemons. */
const GARBAGE: readonly (readonly [key: string, contents: readonly string[]])[] = [
  ['initialize', ['rubbish', '{"sysid":7}']],
  ['members/x', ['rubbish', '{"conn_url":7,"state":[],"xlog_location":"far"}']],
  ['config', ['not json', '[1,2,3]', '"ttl"', DEEP.slice(0, -1)]],
  ['status', ['rubbish', '{"optime":"-1"}', '{"optime":1e300,"slots":[1]}']],
  ['history', ['rubbish', '[[1,"x"]]', '[["2"]]']],
  ['failover', ['[1]', '{"leader":', '{"candidate":7}']],
  ['sync', ['rubbish', '{"leader":{},"quorum":"many"}', '[[]]']],
  ['tenure/timeline', ['rubbish', '{"claims":1}']],
  ['tenure/handover', ['rubbish', '[]', '{"leader":1}']],
];

let lab: Lab;
let cluster: Cluster;
let primary: Node;
let replica: Node;
let writer: SteadyWriter;
/** What `/config` began with. */
let config: Readonly<Record<string, unknown>>;

const full = (key: string): string => `/service/${cluster.scope}/${key}`;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { nodes: 2, haproxy: false });
  ({ primary, replica } = await pair(cluster));
  const stored = await cluster.etcd.get(full('config'));
  config = JSON.parse(stored?.value ?? '{}') as typeof config;
  writer = await SteadyWriter.start({ port: primary.postgresPort });
  lab.onClose(() => writer.stop());
});
afterAll(() => lab.close());
beforeEach(() => tellOnFailure(cluster.nodes));

interface Footing {
  readonly leader: KeyValue | undefined;
  readonly postmasters: readonly (ProcessId | undefined)[];
}

async function footing(): Promise<Footing> {
  return {
    leader: await cluster.etcd.get(full('leader')),
    postmasters: [primary.postmaster(), replica.postmaster()],
  };
}

describe('is named by both daemons, and nothing is restarted or demoted', () => {
  test.each(GARBAGE)('%s', async (key, contents) => {
    const before = await footing();
    const from = performance.now();
    for (const content of contents) {
      const marks = cluster.nodes.map((node) => ({ node, mark: logMark(node) }));
      // The leader sets some keys right at once: again, until both have seen it.
      await waitFor(`warnings about ${key}: ${content.slice(0, 40)}`, 20_000, async (seen) => {
        await cluster.etcd.put(full(key), content);
        const missing = marks.filter(({ mark }) => !warned(mark.since(), key, content));
        seen(`no warning of ${missing.map(({ node }) => node.name).join(', ')}`);
        return missing.length === 0;
      });
    }
    await writer.acknowledges(20);
    await replicates(primary, replica);
    const gap = writer.longestGap(from);
    expect(gap.ms, 'the writer was held up').toBeLessThan(1500);
    expect(writer.unknown, 'writes failed').toEqual([]);
    expect(await footing()).toEqual(before);
    await cluster.waitForStreaming(1);
    expect(await cluster.primaries()).toEqual([primary.name]);
  });
});

/** One line, of level WARNING, that names the key and shows what stands there. */
function warned(text: string, key: string, content: string): boolean {
  const shown = JSON.stringify(content).slice(1, 20);
  return text
    .split('\n')
    .some(
      (line) =>
        line.includes(`WARNING: ${key}: found `) &&
        line.includes(', allowed: ') &&
        (line.includes(shown) || key === 'members/x' || key === 'failover' || key === 'status'),
    );
}

test('what has a right content gets it back from the leader', async () => {
  const identifier = await primary.query<{ id: string }>(
    'SELECT system_identifier::text AS id FROM pg_control_system()',
  );
  await waitFor('the keys to be right again', 15_000, async (seen) => {
    const initialize = await cluster.etcd.get(full('initialize'));
    const status = await cluster.etcd.get(full('status'));
    seen(`initialize ${initialize?.value}, status ${status?.value}`);
    return initialize?.value === identifier[0]?.id && /^\{"optime":\d+/.test(status?.value ?? '');
  });
});

test('a member that nobody runs gets no slot, which would hold WAL for ever', async () => {
  const slots = await primary.query('SELECT slot_name FROM pg_replication_slots');
  expect(slots).toEqual([{ slot_name: replica.name }]);
});

test('a configuration that was garbage for a while is in force again once it is right', async () => {
  const before = await footing();
  await cluster.etcd.put(full('config'), 'not json');
  const answer = await primary.rest('/patroni');
  expect(answer.status).toBe(200);
  await cluster.etcd.put(
    full('config'),
    JSON.stringify(merge(config, { postgresql: { parameters: { work_mem: '9MB' } } })),
  );
  for (const node of cluster.nodes) {
    await waitFor(`work_mem of ${node.name}`, 10_000, async (seen) => {
      const [row] = await node.query<{ work_mem: string }>('SHOW work_mem');
      seen(row?.work_mem ?? 'nothing');
      return row?.work_mem === '9MB';
    });
  }
  expect(await footing()).toEqual(before);
});

test('a leader key put over by a stranger: no more writes, and one primary after its deletion', async () => {
  for (const key of ['members/x', 'sync', 'failover', 'tenure/handover']) {
    await cluster.etcd.delete(full(key));
  }
  await writer.acknowledges(10);
  const put = performance.now();
  await cluster.etcd.put(full('leader'), 'nobody');
  await waitFor('the old primary to stop taking writes', 10_000, async (seen) => {
    const answer = await primary.rest('/primary').catch(() => undefined);
    seen(`GET /primary: ${answer?.status ?? 'no answer'}`);
    return answer?.status === 503 && primary.postmaster() === undefined;
  });
  // The proven lease would have lasted for up to ttl, 5 s: the loss is acted on, not waited for.
  const last = writer.acknowledged.at(-1)?.at ?? 0;
  expect(last - put, 'ms after the put, last acknowledged write').toBeLessThan(2000);
  expect(await cluster.primaries()).toEqual([]);
  expect(await cluster.etcd.get(full('leader'))).toMatchObject({ value: 'nobody', lease: '0' });
  await writer.stop();

  await cluster.etcd.delete(full('leader'));
  const winner = await cluster.healthy();
  expect((await cluster.etcd.get(full('leader')))?.value).toBe(winner.name);
  const other = cluster.nodes.find((node) => node !== winner) as Node;
  await replicates(winner, other);
});
