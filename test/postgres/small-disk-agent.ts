/**
 * Run by small-disk.real.test.ts in a mount table of its own, where it may make small disks: an agent
 * whose disk is too small for what is asked of it. Prints one JSON object.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Upstream } from '../../src/core/model.ts';
import type { LocalPostgresOptions } from '../../src/postgres/options.ts';
import { Lab, type Node, never, noProgress, settings, streaming } from './lab.ts';

const upstream = JSON.parse(process.argv[2] ?? '') as Upstream;
const lab = new Lab();
const disk = join(lab.folder, 'disk');
const filler = join(disk, 'filler');

/** Leaves `megabytes` free. */
function fill(megabytes: number): void {
  const file = openSync(filler, 'w');
  const piece = Buffer.alloc(1024 * 1024);
  const free = (): number => {
    const { bavail, bsize } = statfsSync(disk);
    return bavail * bsize;
  };
  try {
    while (free() > (megabytes + 1) * piece.length) writeSync(file, piece);
    if (megabytes === 0) for (;;) writeSync(file, piece.subarray(0, 4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}

const messageOf = (error: unknown): string => (error as Error).message;

async function look(node: Node): Promise<unknown> {
  const { dataDirectory, interrupted, incarnation } = await node.postgres.observe({
    searchWalEnd: false,
  });
  return { kind: dataDirectory.kind, interrupted, incarnation };
}

async function stop(node: Node): Promise<void> {
  await node.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
}

async function startAndStream(node: Node): Promise<void> {
  await node.postgres.start('standby', upstream, 20_000, noProgress, never);
  await streaming(node);
}

async function node(name: string, more: Partial<LocalPostgresOptions>): Promise<Node> {
  const made = await lab.node(name, more);
  await made.postgres.configure(settings());
  await made.postgres.clone(upstream, noProgress, never);
  await startAndStream(made);
  return made;
}

async function story(): Promise<unknown> {
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=72m,mode=0700', 'tmpfs', disk]);
  // Room for one copy and no more.
  const one = await node('small', { dataDir: join(disk, 'data') });
  await stop(one);
  await one.postgres.clone(upstream, noProgress, never);
  const inPlace = one.said.filter((line) => /no room for a copy/.test(line)).length;
  await startAndStream(one);
  await stop(one);

  // Not even room for a mark that a clone is begun.
  fill(0);
  const before = await look(one);
  const unmarked = await one.postgres
    .clone(upstream, noProgress, never)
    .then(() => 'done', messageOf);
  const untouched = await look(one);
  rmSync(filler);
  await startAndStream(one);
  await stop(one);

  // The old copy is given up for one that has grown and finds no room: known, and made good later.
  const rows = "SELECT repeat('x', 1000) FROM generate_series(1, 14000)";
  await lab.ask({ ...one, port: upstream.port }, `CREATE TABLE big AS ${rows}`);
  fill(4);
  const failed = await one.postgres
    .clone(upstream, noProgress, never)
    .then(() => 'done', messageOf);
  const pieces = await look(one);
  rmSync(filler, { force: true });
  await one.postgres.clone(upstream, noProgress, never);
  await startAndStream(one);
  const repaired = await look(one);
  await stop(one);
  execFileSync('umount', [disk]);

  // The data directory is the mount point itself, as in a container.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=72m,mode=0700', 'tmpfs', disk]);
  const two = await node('mounted', { dataDir: disk, stateDir: join(lab.folder, 'state') });
  await stop(two);
  await two.postgres.clone(upstream, noProgress, never);
  await startAndStream(two);
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${disk} `);
  const beside = readdirSync(join(lab.folder, 'state')).filter((name) =>
    /^(clone|old)\./.test(name),
  );
  await stop(two);
  return { inPlace, before, unmarked, untouched, failed, pieces, repaired, mounted, beside };
}

try {
  process.stdout.write(JSON.stringify(await story()));
} finally {
  await lab.close().catch(() => undefined);
}
