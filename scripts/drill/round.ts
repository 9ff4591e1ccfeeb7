/** One round of the drill: a steady writer, one fault, and what came of it. */
import { type Cluster, isAlive, type Node, SteadyWriter, waitFor } from '../lab/index.ts';
import { equalContents, type Received, receivedBy, type Witness, witnesses } from './contents.ts';
import type { Fault } from './faults.ts';
import { type Counts, judge } from './judge.ts';

export interface Result {
  readonly fault: string;
  /** Longest time between two acknowledgements, in milliseconds. */
  readonly outageMs: number;
  readonly acknowledged: number;
  readonly lost: number;
  /** Lost rows that a living standby had received. */
  readonly lostThoughReceived: number;
  readonly oldLeader: string;
  readonly newLeader: string;
  /** From the fault, or from the start of the old primary's daemon, until it streams; null when it stayed primary. */
  readonly streamsAgainMs: number | null;
  /** Why the round failed; empty when it did not. */
  readonly failures: readonly string[];
}

/** Rows written before the fault, and after it, in each round. */
const ROWS_BEFORE = 200;
const ROWS_AFTER = 200;

/** @param deadlineMs how long failover, and then healing, may take */
export async function playRound(
  cluster: Cluster,
  fault: Fault,
  number: number,
  deadlineMs: number,
): Promise<Result> {
  const primary = await cluster.healthy(deadlineMs);
  const table = `drill_${number}`;
  const writer = await SteadyWriter.start({ port: cluster.haproxy.ports.primary, table });
  const standbys = await settledWitnesses(cluster, primary, writer);
  try {
    const postmaster = primary.postmaster();
    const from = performance.now();
    const injected = fault.inject(primary);
    const receiving = injected.then(() => receivedBy(standbys, writer));
    receiving.catch(() => {}); // awaited below, unless something else fails first
    await injected;
    const back = await comeBack(cluster, fault, primary, writer, receiving, deadlineMs);
    await writer.acknowledges(ROWS_AFTER, deadlineMs);
    const outageMs = Math.round(writer.longestGap(from).ms);
    await writer.stop();
    const healed = await heal(cluster, writer, deadlineMs);
    const counts = await count(back.primary, writer, await receiving);
    const stayed = back.primary === primary;
    const failures = [...healed, ...judge(fault.planned, stayed, counts)];
    if (stayed && fault.sparesPostgres && !(postmaster && isAlive(postmaster))) {
      failures.push('its PostgreSQL was restarted, though only its daemon was killed');
    }
    return {
      fault: fault.title,
      outageMs,
      acknowledged: writer.acknowledged.length,
      lost: counts.lost,
      lostThoughReceived: counts.lostThoughReceived,
      oldLeader: primary.name,
      newLeader: back.primary.name,
      streamsAgainMs: back.streamsAgainMs === null ? null : Math.round(back.streamsAgainMs),
      failures,
    };
  } finally {
    await writer.stop();
    for (const { client } of standbys) void client.end().catch(() => {});
  }
}

/** Connections to the standbys, once they hold the writer's table and enough rows are written. */
async function settledWitnesses(
  cluster: Cluster,
  primary: Node,
  writer: SteadyWriter,
): Promise<readonly Witness[]> {
  await writer.acknowledges(ROWS_BEFORE);
  const standbys = await witnesses(cluster.others(primary.name));
  await waitFor(`table ${writer.table} on the standbys`, 20_000, async () => {
    for (const { client } of standbys) await writer.ids(client);
    return true;
  });
  return standbys;
}

interface Back {
  readonly primary: Node;
  readonly streamsAgainMs: number | null;
}

/** The way from the fault to a primary that takes writes and an old primary that is back. */
async function comeBack(
  cluster: Cluster,
  fault: Fault,
  old: Node,
  writer: SteadyWriter,
  receiving: Promise<Received>,
  deadlineMs: number,
): Promise<Back> {
  let start = performance.now();
  if (fault.restart === 'at once') await old.start();
  await writer.acknowledges(1, deadlineMs);
  if (fault.restart === 'after failover') {
    await cluster.waitForPrimary({ not: old.name, deadlineMs });
    await receiving; // before the old primary comes back and anything is rewound
    start = performance.now();
    await old.start();
  }
  return rejoined(cluster, old, start, deadlineMs);
}

/** Waits until the old primary leads again or streams from whoever does, as PostgreSQL itself sees it. */
async function rejoined(
  cluster: Cluster,
  old: Node,
  start: number,
  deadlineMs: number,
): Promise<Back> {
  return waitFor<Back>(`${old.name} to lead or stream again`, deadlineMs, async (seen) => {
    const primaries = await cluster.primaries();
    seen(`primary: ${primaries.join(', ') || 'none'}`);
    const [name] = primaries;
    if (name === undefined || primaries.length > 1) return undefined;
    const primary = cluster.node(name);
    if (primary === old) return { primary, streamsAgainMs: null };
    const rows = await primary.query<{ state: string }>(
      'SELECT state FROM pg_stat_replication WHERE application_name = $1',
      [old.name],
    );
    seen(
      `on ${name}, ${old.name} is ${rows.map((row) => row.state).join(', ') || 'not connected'}`,
    );
    if (!rows.some((row) => row.state === 'streaming')) return undefined;
    return { primary, streamsAgainMs: performance.now() - start };
  });
}

/** Waits until the cluster is whole again; what is wrong with it otherwise. */
async function heal(
  cluster: Cluster,
  writer: SteadyWriter,
  deadlineMs: number,
): Promise<readonly string[]> {
  try {
    await cluster.healthy(deadlineMs);
    await equalContents(cluster, writer, deadlineMs);
    return [];
  } catch (error) {
    return [`the cluster did not heal: ${(error as Error).message}`];
  }
}

async function count(primary: Node, writer: SteadyWriter, received: Received): Promise<Counts> {
  const client = await primary.connect();
  try {
    const missing = await writer.missing(client);
    const lostThoughReceived = missing.filter((id) => received.ids.has(id)).length;
    return { lost: missing.length, lostThoughReceived, unknown: received.unknown };
  } finally {
    void client.end().catch(() => {});
  }
}
