/** Faults that nobody announces: a killed postmaster, a killed node, and the node's return. */
import { type Cluster, type Node, waitFor } from '../lab/index.ts';
import { playFault } from './fault.ts';
import { leaseEnd } from './lease-end.ts';
import { type Measurement, type Outcome, type Story, wallAt } from './measurement.ts';
import type { RowId } from './rows.ts';
import { DEADLINE_MS, type Stage } from './stage.ts';

export const postmasterKilled: Measurement = {
  rows: ['postmaster'],
  settings: 'default',
  round: async (stage) => {
    const { sample, story } = await playFault(stage, {
      row: 'postmaster',
      mayStay: true,
      inject: async (primary) => primary.killPostmaster(),
      // A daemon may hand over after several crashes in a row, and these are none: its successor,
      // which finds PostgreSQL running, knows nothing of them.
      after: async (_stage, _old, leader) => {
        await leader.kill();
        await leader.start();
      },
    });
    return { samples: { postmaster: sample }, stories: [story] };
  },
};

/** At the default ttl; the number begins where the lease ends, by etcd's own account. */
export const nodeDeath: Measurement = {
  rows: ['death', 'return'],
  settings: 'default',
  round: (stage) => death(stage, 'death', true),
};

/** From the last acknowledgement to the next one. */
export const nodeDeathLowest: Measurement = {
  rows: ['death-lowest'],
  settings: 'lowest',
  round: (stage) => death(stage, 'death-lowest', false),
};

async function death(
  stage: Stage,
  row: Extract<RowId, 'death' | 'death-lowest'>,
  fromLeaseEnd: boolean,
): Promise<Outcome> {
  let ends: Promise<number> | undefined;
  let back = { from: 0, to: 0 };
  const { sample, story, gapTo } = await playFault(stage, {
    row,
    inject: async (primary, cluster) => {
      const lease = await leaderLease(cluster);
      const killed = primary.killEverything();
      ends = leaseEnd(cluster.etcd.member(0).url, lease);
      ends.catch(() => undefined); // awaited below
      await killed;
    },
    after: async (_stage, old, leader) => {
      back = await comeBack(old, leader);
    },
  });
  const leaseOver = (await ends) ?? gapTo;
  const afterLease = (gapTo - leaseOver) / 1000;
  const ofDeath: Story = { ...story, leaseEnd: wallAt(leaseOver) };
  const details = { ...sample.details, gap: sample.value, afterLeaseEnd: afterLease };
  const value = fromLeaseEnd ? afterLease : sample.value;
  return {
    samples: {
      [row]: { ...sample, value, details },
      ...(row === 'death' ? { return: { value: (back.to - back.from) / 1000 } } : {}),
    },
    stories: row === 'death' ? [ofDeath, { ...story, row: 'return', ...told(back) }] : [ofDeath],
  };
}

function told({ from, to }: Span): Pick<Story, 'faultAt' | 'gapFrom' | 'gapTo'> {
  return { faultAt: wallAt(from), gapFrom: null, gapTo: wallAt(to) };
}

async function leaderLease(cluster: Cluster): Promise<string> {
  const key = `/service/${cluster.scope}/leader`;
  const found = await cluster.etcd.get(key);
  if (found === undefined || found.lease === '0') throw new Error(`${key} has no lease`);
  return found.lease;
}

/** In performance.now() ms. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** From the start of the killed node's daemon until its PostgreSQL streams, as the leader's sees it. */
async function comeBack(old: Node, leader: Node): Promise<Span> {
  const client = await leader.connect();
  try {
    const from = performance.now();
    await old.start();
    await waitFor(`${old.name} to stream from ${leader.name}`, DEADLINE_MS, async (seen) => {
      const { rows } = await client.query<{ state: string }>(
        'SELECT state FROM pg_stat_replication WHERE application_name = $1',
        [old.name],
      );
      seen(rows.map(({ state }) => state).join() || 'not connected');
      return rows.some(({ state }) => state === 'streaming');
    });
    return { from, to: performance.now() };
  } finally {
    void client.end().catch(() => undefined);
  }
}
