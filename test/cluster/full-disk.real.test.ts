/** The disk of a primary fills up: another member leads, and the node comes back once there is room (field D67). */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster, Lab, LOOPBACK, type Node } from '../../scripts/lab/index.ts';
import { allProcesses } from '../../src/postgres/proc.ts';
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
let small: Node;
let other: Node;
let disk: string;

beforeAll(async () => {
  if (!allowed) return;
  lab = Lab.open();
  disk = lab.path('disk');
  const place = (name: string) =>
    name === 'n1' ? { ...LOOPBACK, enter: [...OWN, 'sh', '-c', MOUNTED, disk], disk } : LOOPBACK;
  cluster = await Cluster.create(lab, { nodes: 2, haproxy: false, place });
  [small, other] = cluster.nodes as [Node, Node];
  await small.start();
  await cluster.waitForPrimary();
  await other.start();
  await cluster.healthy();
}, 90_000);
afterAll(() => lab?.close());

/** The disk as the processes in there see it. */
function seenFromInside(): string {
  const inside = allProcesses().find(({ parent }) => parent === small.daemon?.pid);
  if (inside === undefined) throw new Error('nothing runs in there');
  return `/proc/${inside.pid}/root${disk}`;
}

function fill(): void {
  const folder = seenFromInside();
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

it.skipIf(!allowed)(
  'D67: another member leads, and the node follows once there is room',
  { timeout: 3 * DEADLINE_MS },
  async () => {
    tellOnFailure(cluster.nodes);
    expect(await cluster.primaries()).toEqual([small.name]);
    await replicates(small, other);
    fill();
    // New pages are refused, and PostgreSQL goes on: what still fits is written.
    const grown =
      'CREATE TABLE load AS SELECT repeat(md5(i::text), 30) FROM generate_series(1, 200000) i';
    await expect(small.query(grown)).rejects.toThrow(/No space left on device/);
    expect(await cluster.primaries()).toEqual([small.name]);
    // Without room for WAL it cannot.
    const log =
      "SELECT pg_logical_emit_message(true, 'x', repeat('x', 1000000)) FROM generate_series(1, 200)";
    await expect(small.query(log)).rejects.toThrow();
    expect((await cluster.waitForPrimary({ not: small.name, deadlineMs: DEADLINE_MS })).name).toBe(
      other.name,
    );
    rmSync(join(seenFromInside(), 'filler'));
    await cluster.healthy(DEADLINE_MS);
    await replicates(other, small);
    expect(small.isRunning()).toBe(true);
  },
);
