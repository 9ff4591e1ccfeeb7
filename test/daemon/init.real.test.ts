/** The daemon as process 1 of a container without an init: orphans become its children (field D63). */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  Cluster,
  Lab,
  type Node,
  processesIn,
  TENURE,
  waitFor,
  within,
} from '../../scripts/lab/index.ts';
import { allProcesses, processTitle, readProcess } from '../../src/postgres/proc.ts';
import { tellOnFailure } from './watching.ts';

const OWN_PROCESSES = ['unshare', '--user', '--map-current-user', '--pid', '--fork'].concat(
  '--mount-proc',
  '--kill-child',
);

function mayHaveOwn(): boolean {
  try {
    execFileSync(OWN_PROCESSES[0] as string, [...OWN_PROCESSES.slice(1), 'true'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

const allowed = mayHaveOwn();
let lab: Lab;
let cluster: Cluster;
let node: Node;

beforeAll(async () => {
  if (!allowed) return;
  lab = Lab.open();
  const daemon = [...OWN_PROCESSES, ...TENURE];
  cluster = await Cluster.create(lab, { nodes: 1, haproxy: false, daemon });
  node = cluster.nodes[0] as Node;
  await node.start();
  await cluster.waitForPrimary();
});
afterAll(() => lab?.close());

/** As this side of the boundary numbers it. */
function daemonPid(): number {
  const outer = node.daemon?.pid;
  const found = allProcesses().find(({ parent }) => parent === outer);
  if (found === undefined) throw new Error('the daemon does not run');
  return found.pid;
}

function postmasterPid(): number | undefined {
  return processesIn(node.dataDir).find(({ pid }) => !processTitle(pid).startsWith('postgres: '))
    ?.pid;
}

function guardPid(): number | undefined {
  return allProcesses().find(
    ({ parent, pid }) => parent === daemonPid() && processTitle(pid).includes('tenure-guard'),
  )?.pid;
}

test.skipIf(!allowed)(
  'D63: it loses its guard and its server, gets orphans, and goes on',
  async () => {
    tellOnFailure(cluster.nodes);
    const guard = await waitFor('the guard', 10_000, () => guardPid());
    process.kill(guard, 'SIGKILL');
    await waitFor('another guard', 20_000, () => {
      const now = guardPid();
      return now !== undefined && now !== guard && readProcess(now) !== null;
    });
    for (let round = 0; round < 2; round += 1) {
      const postmaster = await waitFor('a postmaster', 20_000, () => postmasterPid());
      process.kill(postmaster, 'SIGKILL');
      await waitFor('a new one that serves', 30_000, async (seen) => {
        const now = postmasterPid();
        const answer = await node.rest('/primary').catch(() => undefined);
        seen(`postmaster ${now}, /primary ${answer?.status}`);
        return now !== undefined && now !== postmaster && answer?.status === 200;
      });
    }
    expect((await node.rest('/liveness')).status).toBe(200);
    process.kill(daemonPid(), 'SIGTERM');
    const exit = await within(20_000, (node.daemon as NonNullable<Node['daemon']>).exited);
    expect(exit).toEqual({ code: 0, signal: null });
    expect(processesIn(node.dataDir)).toEqual([]);
  },
);
