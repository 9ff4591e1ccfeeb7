/** What the nodes hold: right after a fault, and in the end. */
import type pg from 'pg';
import { type Cluster, type Node, type SteadyWriter, waitFor } from '../lab/index.ts';

/** A connection to a standby, opened before the fault so that asking costs no time after it. */
export interface Witness {
  readonly node: Node;
  readonly client: pg.Client;
}

export async function witnesses(nodes: readonly Node[]): Promise<readonly Witness[]> {
  return Promise.all(nodes.map(async (node) => ({ node, client: await node.connect() })));
}

export interface Received {
  /** Ids that at least one of the standbys had received. */
  readonly ids: ReadonlySet<number>;
  /** Standbys that could not be asked, with the reason. */
  readonly unknown: readonly string[];
}

/**
 * The rows that the living standbys had received when they were asked: each is read after it has
 * replayed what it had received, so that rows it received and never showed count too.
 */
export async function receivedBy(
  standbys: readonly Witness[],
  writer: SteadyWriter,
): Promise<Received> {
  const ids = new Set<number>();
  const unknown: string[] = [];
  await Promise.all(
    standbys.map(async ({ node, client }) => {
      try {
        for (const id of await replayedIds(client, writer)) ids.add(id);
      } catch (error) {
        unknown.push(`${node.name}: ${(error as Error).message}`);
      }
    }),
  );
  return { ids, unknown };
}

async function replayedIds(client: pg.Client, writer: SteadyWriter): Promise<ReadonlySet<number>> {
  const received = await client.query<{ lsn: string | null }>(
    'SELECT pg_last_wal_receive_lsn()::text AS lsn',
  );
  const lsn = received.rows[0]?.lsn;
  if (lsn === undefined || lsn === null) throw new Error('has no receive position');
  await waitFor(`replay of ${lsn}`, 5000, async () => {
    const replayed = await client.query<{ done: boolean }>(
      'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done',
      [lsn],
    );
    return replayed.rows[0]?.done === true;
  });
  return writer.ids(client);
}

/** Waits until all nodes hold the same rows; the writer is stopped by now. */
export async function equalContents(
  cluster: Cluster,
  writer: SteadyWriter,
  deadlineMs: number,
): Promise<void> {
  const sql = `SELECT count(*) || ' rows, digest ' || coalesce(md5(string_agg(id::text, ',' ORDER BY id)), 'none') AS content FROM ${writer.table}`;
  await waitFor('equal contents on all nodes', deadlineMs, async (seen) => {
    const contents = await Promise.all(
      cluster.nodes.map(async (node) => {
        const [row] = await node.query<{ content: string }>(sql);
        return row?.content ?? 'nothing';
      }),
    );
    seen(cluster.nodes.map((node, index) => `${node.name}: ${contents[index]}`).join('; '));
    return new Set(contents).size === 1;
  });
}
