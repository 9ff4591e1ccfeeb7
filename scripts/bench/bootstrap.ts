/** From nothing to three streaming nodes, as PostgreSQL itself shows it. */
import type pg from 'pg';
import { type Node, waitFor } from '../lab/index.ts';
import { type Measurement, type Story, wallAt } from './measurement.ts';
import { DEADLINE_MS } from './stage.ts';

export const bootstrap: Measurement = {
  rows: ['bootstrap'],
  settings: 'default',
  fresh: true,
  round: async ({ cluster }) => {
    const from = performance.now();
    await cluster.startDaemons();
    const { primary, to } = await allStream(cluster.nodes);
    const story: Story = {
      row: 'bootstrap',
      faultAt: wallAt(from),
      gapFrom: null,
      gapTo: wallAt(to),
      logs: cluster.nodes.map((node) => ({
        who: node === primary ? 'new leader' : 'other',
        file: node.log,
      })),
    };
    return { samples: { bootstrap: { value: (to - from) / 1000 } }, stories: [story] };
  },
};

interface Primary {
  readonly node: Node;
  readonly client: pg.Client;
}

/** @returns the primary, and when all others streamed from it, in performance.now() ms */
async function allStream(
  nodes: readonly Node[],
): Promise<{ readonly primary: Node; readonly to: number }> {
  const names = new Set(nodes.map(({ name }) => name));
  let primary: Primary | undefined;
  try {
    return await waitFor('all standbys to stream', DEADLINE_MS, async (seen) => {
      primary ??= await findPrimary(nodes);
      if (primary === undefined) return undefined;
      const { rows } = await primary.client.query<{ name: string }>(
        "SELECT application_name AS name FROM pg_stat_replication WHERE state = 'streaming'",
      );
      seen(`streaming: ${rows.map(({ name }) => name).join() || 'none'}`);
      const streaming = new Set(rows.map(({ name }) => name).filter((name) => names.has(name)));
      if (streaming.size < nodes.length - 1) return undefined;
      return { primary: primary.node, to: performance.now() };
    });
  } finally {
    void primary?.client.end().catch(() => undefined);
  }
}

/** A connection that stays: looking must not cost what is measured. */
async function findPrimary(nodes: readonly Node[]): Promise<Primary | undefined> {
  for (const node of nodes) {
    const client = await node.connect().catch(() => undefined);
    if (client === undefined) continue;
    const { rows } = await client.query<{ standby: boolean }>(
      'SELECT pg_is_in_recovery() AS standby',
    );
    if (rows[0]?.standby === false) return { node, client };
    void client.end().catch(() => undefined);
  }
  return undefined;
}
