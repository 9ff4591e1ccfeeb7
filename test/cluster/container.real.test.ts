/**
 * A node as in a container without an init: its daemon is process 1, and its data are on a small disk
 * (field D63, D67).
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Cluster, Lab, LOOPBACK, type Node, waitFor, within } from '../../scripts/lab/index.ts';
import { allProcesses, type ProcessEntry, processTitle } from '../../src/postgres/proc.ts';
import { replicates, tellOnFailure } from '../daemon/watching.ts';

const DEADLINE_MS = 90_000;
/** All that runs in there ends with the first process, which the lab knows. */
const OWN = ['unshare', '--user', '--map-current-user', '--keep-caps', '--mount'].concat(
  ...['--pid', '--fork', '--mount-proc', '--kill-child'],
);
const MOUNTED = 'mount -t tmpfs -o size=160m,mode=0700 tmpfs "$0" && exec "$@"';

function mayHaveOwn(): boolean {
  try {
    execFileSync('unshare', [...OWN.slice(1), 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
    return true;
  } catch {
    return false;
  }
}

const allowed = mayHaveOwn();
let lab: Lab;
let cluster: Cluster;
let contained: Node;
let other: Node;
let disk: string;

beforeAll(async () => {
  if (!allowed) return;
  lab = Lab.open();
  disk = lab.path('disk');
  const place = (name: string) =>
    name === 'n1' ? { ...LOOPBACK, enter: [...OWN, 'sh', '-c', MOUNTED, disk], disk } : LOOPBACK;
  cluster = await Cluster.create(lab, { nodes: 2, haproxy: false, place });
  [contained, other] = cluster.nodes as [Node, Node];
  await contained.start();
  await cluster.waitForPrimary();
  await other.start();
  await cluster.healthy();
}, 90_000);
afterAll(() => lab?.close());
beforeEach(() => {
  if (allowed) tellOnFailure(cluster.nodes);
});

/** The daemon, as this side of the boundary numbers it. */
function daemonPid(): number {
  const found = allProcesses().find(({ parent }) => parent === contained.daemon?.pid);
  if (found === undefined) throw new Error('nothing runs in there');
  return found.pid;
}

/** What is the daemon's child by birth or by adoption; zombies are not. */
function child(is: (entry: ProcessEntry) => boolean): number | undefined {
  const daemon = daemonPid();
  return allProcesses().find((entry) => entry.parent === daemon && is(entry))?.pid;
}

const guard = (): number | undefined =>
  child(({ pid }) => processTitle(pid).includes('tenure-guard'));
const postmaster = (): number | undefined =>
  child(({ command, pid }) => command === 'postgres' && !/^postgres: /.test(processTitle(pid)));

it.skipIf(!allowed)(
  'D63: it loses its guard and its server, gets orphans, and goes on',
  async () => {
    const former = await waitFor('the guard', 10_000, guard);
    process.kill(former, 'SIGKILL');
    await waitFor('another guard', 20_000, () => ![undefined, former].includes(guard()));
    const killed = await waitFor('the postmaster', 20_000, postmaster);
    process.kill(killed, 'SIGKILL');
    await waitFor('a new one that serves', 30_000, async (seen) => {
      const answer = await contained.rest('/primary').catch(() => undefined);
      seen(`postmaster ${postmaster()}, /primary ${answer?.status}`);
      return ![undefined, killed].includes(postmaster()) && answer?.status === 200;
    });
    expect((await contained.rest('/liveness')).status).toBe(200);
    await cluster.healthy();
  },
);

function fill(folder: string): void {
  const file = openSync(join(folder, 'filler'), 'w');
  const piece = Buffer.alloc(65_536);
  try {
    while (statfsSync(folder).bavail > 0) writeSync(file, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}

const rows = (what: string, count: number): string =>
  `SELECT ${what} FROM generate_series(1, ${count}) i`;

it.skipIf(!allowed)(
  'D67: its disk fills up: another member leads, and it follows once there is room',
  { timeout: 3 * DEADLINE_MS },
  async () => {
    expect(await cluster.primaries()).toEqual([contained.name]);
    await replicates(contained, other);
    const inside = `/proc/${daemonPid()}/root${disk}`;
    fill(inside);
    // New pages are refused, and PostgreSQL goes on: what still fits is written.
    const grown = `CREATE TABLE load AS ${rows('repeat(md5(i::text), 30)', 200_000)}`;
    await expect(contained.query(grown)).rejects.toThrow(/No space left on device/);
    expect(await cluster.primaries()).toEqual([contained.name]);
    // Without room for WAL it cannot.
    const log = rows("pg_logical_emit_message(true, 'x', repeat('x', 1000000))", 200);
    await expect(contained.query(log)).rejects.toThrow();
    const next = await cluster.waitForPrimary({ not: contained.name, deadlineMs: DEADLINE_MS });
    expect(next.name).toBe(other.name);
    rmSync(join(inside, 'filler'));
    await cluster.healthy(DEADLINE_MS);
    await replicates(other, contained);
  },
);

it.skipIf(!allowed)('it ends at SIGTERM, with everything in there', async () => {
  process.kill(daemonPid(), 'SIGTERM');
  const { exited } = contained.daemon as NonNullable<Node['daemon']>;
  expect(await within(20_000, exited)).toEqual({ code: 0, signal: null });
});
