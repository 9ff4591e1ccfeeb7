/** What the tests of a real cluster share: that nothing which was acknowledged is missing. */
import { type Node, type SteadyWriter, waitFor } from '../../scripts/lab/index.ts';

/** Waits, at most `deadlineMs`, until `node` has every row that the writer was told is committed. */
export async function everyRow(
  writer: SteadyWriter,
  node: Node,
  deadlineMs: number,
): Promise<void> {
  await waitFor(`every acknowledged row on ${node.name}`, deadlineMs, async (seen) => {
    const client = await node.connect();
    try {
      const missing = await writer.missing(client);
      seen(`${missing.length} missing`);
      return missing.length === 0;
    } finally {
      await client.end();
    }
  });
}
