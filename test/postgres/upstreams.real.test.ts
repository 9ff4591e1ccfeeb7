/** Connections that are kept for the next question, and the last word before a promotion (rules F4, S1). */
import { afterAll, expect, test } from 'vitest';
import { PostgresError } from '../../src/postgres/postgres.ts';
import { caughtUp, Lab, type Node, primary, standby, until } from './lab.ts';

const lab = new Lab();
afterAll(async () => await lab.close());

/** Process ids of connections for replication that stream nothing. */
async function asking(node: Node): Promise<unknown[]> {
  const rows = await lab.ask(
    node,
    `SELECT pid FROM pg_stat_activity a WHERE backend_type = 'walsender'
       AND NOT EXISTS (SELECT 1 FROM pg_stat_get_wal_senders() s WHERE s.pid = a.pid AND s.state = 'streaming')`,
  );
  return rows.map(({ pid }) => pid);
}

test('a connection is kept for so long as was asked, and replaced when it has ended', async () => {
  const a = await primary(lab, 'a');
  const b = await standby(lab, 'b', a);

  await b.postgres.askUpstream(a.upstream, 3000);
  await until('no connection left of a plain question', async () => (await asking(a)).length === 0);

  const facts = await b.postgres.askUpstream(a.upstream, 3000, 60_000);
  const kept = await asking(a);
  expect(kept).toHaveLength(1);
  await lab.ask(a, 'CREATE TABLE t AS SELECT 1 AS x');
  const later = await b.postgres.askUpstream(a.upstream, 3000, 60_000);
  expect(later.lsn).toBeGreaterThan(facts.lsn);
  expect(await asking(a)).toEqual(kept);

  await lab.ask(a, `SELECT pg_terminate_backend(${kept[0]}, 5000)`);
  await b.postgres.askUpstream(a.upstream, 3000, 60_000);
  expect(await asking(a)).not.toEqual(kept);
  await b.postgres.askUpstream(a.upstream, 3000, 100);
  await until('it ends after its time', async () => (await asking(a)).length === 0);

  await caughtUp(b, a);
  await a.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
  await expect(b.postgres.askUpstream(a.upstream, 3000, 1000)).rejects.toThrow(PostgresError);

  // Not promoted where the last word is no, although all was prepared.
  const refusal = new Error('the lease is not proven any more');
  const refused = b.postgres.promote(2, 10_000, () => Promise.reject(refusal));
  await expect(refused).rejects.toBe(refusal);
  expect((await b.postgres.observe({ searchWalEnd: false })).sql).toMatchObject({
    known: true,
    value: { inRecovery: true },
  });
});
