/** Planned hand-overs: switchover over REST, idle and under load, and SIGTERM of the leader's daemon. */
import { join } from 'node:path';
import { ACCOUNTS, binDir, type Node, waitFor } from '../lab/index.ts';
import { run } from '../lab/run.ts';
import { type Fault, playFault } from './fault.ts';
import type { Measurement } from './measurement.ts';
import { DEADLINE_MS, type Stage } from './stage.ts';

const PGBENCH_SCALE = 5;
const PGBENCH_CLIENTS = 32;
/** The load is steady when so many transactions of it are done. */
const WARM_TRANSACTIONS = 2000;

/** The daemon's answer is awaited, but not part of the outage. */
async function switchover(primary: Node): Promise<void> {
  const answer = await primary.rest('/switchover', {
    method: 'POST',
    body: { leader: primary.name },
    deadlineMs: DEADLINE_MS,
  });
  if (answer.status !== 200) {
    throw new Error(`POST /switchover: ${answer.status} ${answer.text.trim()}`);
  }
}

function measurement(fault: Fault): Measurement {
  return {
    rows: [fault.row],
    settings: 'default',
    round: async (stage) => {
      const { sample, story } = await playFault(stage, fault);
      return { samples: { [fault.row]: sample }, stories: [story] };
    },
  };
}

export const idleSwitchover = measurement({ row: 'switchover', inject: switchover });

export const loadedSwitchover = measurement({
  row: 'switchover-load',
  prepare: pgbench,
  inject: switchover,
});

export const terminated = measurement({
  row: 'sigterm',
  inject: (primary) => primary.stop(DEADLINE_MS),
  after: async (_stage, old) => {
    await old.start();
  },
});

/** Starts pgbench through HAProxy; its clients end when their sessions are cut. */
async function pgbench(stage: Stage, primary: Node): Promise<() => Promise<void>> {
  const env = { PGPASSWORD: ACCOUNTS.superuser.password };
  const where = ['-h', '127.0.0.1', '-U', ACCOUNTS.superuser.username];
  const program = join(binDir(), 'pgbench');
  const found = await primary.query("SELECT 1 FROM pg_class WHERE relname = 'pgbench_accounts'");
  if (found.length === 0) {
    const port = String(primary.postgresPort);
    const make = [
      program,
      '-i',
      '-q',
      '-s',
      String(PGBENCH_SCALE),
      ...where,
      '-p',
      port,
      'postgres',
    ];
    await run(make, { env, deadlineMs: DEADLINE_MS });
  }
  const port = String(stage.cluster.haproxy.ports.primary);
  const clients = ['-c', String(PGBENCH_CLIENTS), '-j', '2', '-T', '600', '-n'];
  const load = await stage.lab.spawn([program, ...clients, ...where, '-p', port, 'postgres'], {
    name: 'pgbench',
    cwd: stage.lab.path('pgbench'),
    env,
  });
  await waitFor('transactions of pgbench', DEADLINE_MS, async (seen) => {
    if (!load.isAlive()) throw new Error(`pgbench ended: ${load.tail()}`);
    const [row] = await primary.query<{ done: string }>(
      'SELECT count(*) AS done FROM pgbench_history',
    );
    seen(`${row?.done ?? 0} transactions`);
    return Number(row?.done ?? 0) % 1e9 >= WARM_TRANSACTIONS;
  });
  return async () => {
    await load.end('SIGKILL', 5000);
  };
}
