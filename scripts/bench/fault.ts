/**
 * One fault under a steady writer through HAProxy. The number is the longest time between two
 * acknowledgements: detection, decision, PostgreSQL's own time, HAProxy's next check (every 200 ms),
 * and the writer's new connection with its first commit.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, type Node, SteadyWriter, waitFor } from '../lab/index.ts';
import { type Sample, type Story, wallAt } from './measurement.ts';
import type { RowId } from './rows.ts';
import { DEADLINE_MS, type Stage } from './stage.ts';

/** Rows before the fault, and after it. */
const ROWS_BEFORE = 200;
const ROWS_AFTER = 100;

export interface Fault {
  readonly row: RowId;
  /** Before the writer starts: load, for example. Returns what ends it. */
  prepare?(stage: Stage, primary: Node): Promise<() => Promise<void>>;
  /** What is done to the primary; need not have ended for the outage to be over. */
  inject(primary: Node, cluster: Cluster): Promise<unknown>;
  /** The outage may end on the same node, with another postmaster. */
  readonly mayStay?: boolean;
  /** Brings the node back and returns samples of that. */
  after?(stage: Stage, old: Node, leader: Node): Promise<void>;
}

export interface FaultRound {
  readonly sample: Sample;
  readonly story: Story;
  /** End of the gap, in performance.now() ms. */
  readonly gapTo: number;
}

export async function playFault(stage: Stage, fault: Fault): Promise<FaultRound> {
  const { cluster } = stage;
  const primary = await stage.settled();
  const endLoad = await fault.prepare?.(stage, primary);
  const port = cluster.haproxy.ports.primary;
  const writer = await SteadyWriter.start({ port, table: stage.nextTable() });
  try {
    await writer.acknowledges(ROWS_BEFORE);
    const before = postmasterPid(primary);
    const from = performance.now();
    const injected = fault.inject(primary, cluster);
    injected.catch(() => undefined); // awaited below
    const server = await serverAfter(writer, primary, before, from, fault.mayStay ?? false);
    await writer.acknowledges(ROWS_AFTER, DEADLINE_MS);
    const gap = writer.longestGap(from);
    await injected;
    await endLoad?.();
    await writer.stop();
    const leader = cluster.nodes.find((node) => node.postgresPort === server) ?? primary;
    await fault.after?.(stage, primary, leader);
    const now = await stage.settled();
    const lost = (await missing(writer, now)).length;
    const sample = {
      value: gap.ms / 1000,
      lost,
      details: { acknowledged: writer.acknowledged.length },
    };
    const story = storyOf(fault.row, cluster, { primary, leader, from, gap });
    return { sample, story, gapTo: gap.to };
  } finally {
    await endLoad?.();
    await writer.stop();
  }
}

/** Waits until a server that was not there before acknowledges; its port. */
async function serverAfter(
  writer: SteadyWriter,
  primary: Node,
  postmaster: string | undefined,
  from: number,
  mayStay: boolean,
): Promise<number> {
  let replacedAt = Number.POSITIVE_INFINITY;
  return waitFor('writes on a new server', DEADLINE_MS, (seen) => {
    const now = mayStay ? postmasterPid(primary) : undefined;
    if (now !== undefined && now !== postmaster) {
      replacedAt = Math.min(replacedAt, performance.now());
    }
    const recent = writer.within(from);
    seen(`${recent.length} acknowledgements since the fault`);
    const found = recent.find((one) => one.server !== primary.postgresPort || one.at > replacedAt);
    return found?.server;
  });
}

/** By its file alone: a look at all processes would take time from what is measured. */
function postmasterPid(node: Node): string | undefined {
  try {
    return readFileSync(join(node.dataDir, 'postmaster.pid'), 'utf8').split('\n')[0] || undefined;
  } catch {
    return undefined;
  }
}

async function missing(writer: SteadyWriter, primary: Node): Promise<readonly number[]> {
  const client = await primary.connect();
  try {
    return await writer.missing(client);
  } finally {
    void client.end().catch(() => undefined);
  }
}

function storyOf(
  row: RowId,
  cluster: Cluster,
  round: {
    readonly primary: Node;
    readonly leader: Node;
    readonly from: number;
    readonly gap: { readonly from: number; readonly to: number };
  },
): Story {
  const { primary, leader, from, gap } = round;
  return {
    row,
    faultAt: wallAt(from),
    gapFrom: wallAt(gap.from),
    gapTo: wallAt(gap.to),
    logs: cluster.nodes.map((node) => ({
      who: node === primary ? 'old leader' : node === leader ? 'new leader' : 'other',
      file: node.log,
    })),
  };
}
