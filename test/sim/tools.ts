/** initdb, pg_basebackup and pg_rewind on simulated data directories. */

import type { Clock } from '../../src/clock.ts';
import { sharedUntil } from '../../src/core/history.ts';
import type { Upstream, UpstreamFacts } from '../../src/core/model.ts';
import {
  type BootstrapOutcome,
  PostgresError,
  type Progress,
} from '../../src/postgres/postgres.ts';
import { abandoned } from './disk.ts';
import type { DaemonProcess } from './process.ts';
import type { Random } from './random.ts';
import { CHECKPOINT_RECORD, Wal } from './wal.ts';
import type { Machine, World } from './world.ts';

export interface Tools {
  readonly world: World;
  readonly machine: Machine;
  readonly process: DaemonProcess;
  readonly clock: Clock;
  readonly chance: Random;
  ask(upstream: Upstream, timeoutMs: number): Promise<UpstreamFacts>;
}

export async function initialise(
  { world, machine, clock, chance }: Tools,
  progress: Progress,
  signal: AbortSignal,
): Promise<BootstrapOutcome> {
  const { disk, server } = machine;
  if (disk.kind !== 'empty' && disk.marker?.kind !== 'bootstrap')
    throw new PostgresError('bootstrap: the data directory is not empty');
  disk.marker = { kind: 'bootstrap', beside: false };
  if (disk.kind !== 'empty') disk.empty();
  progress('initdb');
  await clock.wait(chance.between(300, 900));
  if (signal.aborted) throw new PostgresError('the bootstrap was cancelled');
  disk.kind = 'cluster';
  disk.systemIdentifier = String(7_000_000_000_000_000_000n + BigInt(chance.whole(1, 1_000_000)));
  disk.wal = new Wal();
  disk.wal.append(1, CHECKPOINT_RECORD, null, world.scheduler.now);
  disk.control = { ...disk.control, state: 'shut down', timeline: 1, checkpointLsn: disk.wal.end };
  disk.incarnation = `i${chance.whole(1, 1e9)}`;
  server.start('primary', 0);
  while (server.state === 'starting') await clock.wait(20);
  if (!server.serves) throw new PostgresError('bootstrap: PostgreSQL ended');
  disk.marker = null;
  return { systemIdentifier: disk.systemIdentifier };
}

/** pg_basebackup: twice at the most; beside the old directory where there is room. */
export async function cloneDirectory(
  tools: Tools,
  from: Upstream,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { machine } = tools;
  const { disk, server } = machine;
  if (server.alive) throw new PostgresError('clone: PostgreSQL runs in the data directory');
  server.endOrphans();
  const facts = await tools.ask(from, 3000);
  if (disk.systemIdentifier !== '' && disk.systemIdentifier !== facts.systemIdentifier)
    throw new PostgresError('clone: another cluster');
  const replaces = abandoned(disk.marker)?.kind ?? null;
  disk.marker = { kind: 'clone', beside: !machine.narrow, replaces };
  if (machine.narrow) empty(tools, from);
  let source: Machine;
  try {
    source = await copy(tools, from, progress, signal);
  } catch (error) {
    disk.marker = abandoned(disk.marker);
    throw error;
  }
  if (!machine.narrow) empty(tools, from);
  takeContents(machine, source);
  disk.incarnation = `i${tools.chance.whole(1, 1e9)}`;
  disk.histories = new Map(
    [...source.disk.histories].filter(([timeline]) => timeline === source.disk.wal.timeline),
  );
  disk.broken = null;
  disk.marker = null;
}

function empty({ world, machine }: Tools, from: Upstream): void {
  const { disk } = machine;
  if (disk.kind === 'cluster' && disk.broken === null)
    world.witness.discarding(machine, disk.wal, 'clone', world.machine(from.name));
  const { journal, config } = disk;
  disk.empty();
  disk.journal = journal;
  disk.config = config;
  disk.broken = 'clone';
  disk.kind = 'cluster';
}

async function copy(
  { world, machine, clock, chance }: Tools,
  from: Upstream,
  progress: Progress,
  signal: AbortSignal,
): Promise<Machine> {
  let why = '';
  for (let attempt = 1; attempt <= 2 && !signal.aborted; attempt += 1) {
    progress('copying');
    const source = world.machine(from.name);
    const generation = source?.server.generation;
    const inRecovery = source?.server.inRecovery;
    const steps = chance.whole(3, chance.chance(0.1) ? 40 : 10);
    let step = 0;
    for (; step < steps && !signal.aborted; step += 1) {
      await clock.wait(100);
      if (source === null || !source.server.accepts || source.server.generation !== generation)
        break;
      if (source.server.inRecovery !== inRecovery || source.frozen) break;
      if (!world.network.connected(machine.name, source.name)) break;
    }
    if (source !== null && step === steps && !signal.aborted) return source;
    why = `pg_basebackup: the connection to ${from.name} was lost`;
    await clock.wait(50);
  }
  throw new PostgresError(signal.aborted ? 'the clone was cancelled' : why);
}

function takeContents({ disk }: Machine, source: Machine): void {
  source.server.replication.advance();
  disk.kind = 'cluster';
  disk.systemIdentifier = source.disk.systemIdentifier;
  disk.wal = source.disk.wal.copy();
  disk.control = { ...source.disk.control, state: 'in production' };
  disk.standbySignal = true;
  disk.upstream = source.name;
}

/** pg_rewind: first crash recovery where it is needed, then the comparison by timeline numbers. */
export async function rewindDirectory(
  tools: Tools,
  from: Upstream,
  progress: Progress,
): Promise<void> {
  const { world, machine, clock, chance } = tools;
  const { disk, server } = machine;
  if (server.alive) throw new PostgresError('rewind: PostgreSQL runs in the data directory');
  server.endOrphans();
  disk.marker = { kind: 'rewind', beside: false };
  if (!disk.control.state.startsWith('shut down')) {
    disk.standbySignal = false;
    await clock.wait(chance.between(100, 800));
    disk.control.state = 'shut down';
    disk.control.timeline = disk.wal.timeline;
  }
  progress('pg_rewind');
  await clock.wait(chance.between(20, 100));
  disk.standbySignal = true;
  const source = world.machine(from.name);
  const reachable = (): boolean =>
    source?.server.accepts === true &&
    source.server.serves &&
    !source.frozen &&
    world.network.connected(machine.name, source.name);
  if (source === null || !reachable()) {
    disk.marker = null;
    throw new PostgresError(`rewind: cannot connect to ${from.name}`);
  }
  const theirs = source.disk;
  // By the checkpoints in pg_control: on the same number it sees nothing to do, whatever the contents.
  if (theirs.control.timeline === disk.control.timeline) {
    disk.marker = null;
    return;
  }
  const history = theirs.histories.get(theirs.control.timeline)?.entries ?? [];
  const shared = sharedUntil(disk.wal.timeline, { timeline: theirs.control.timeline, history });
  if (shared !== null && disk.wal.end <= shared) {
    disk.marker = null;
    return;
  }
  world.witness.discarding(machine, disk.wal, 'rewind', source);
  disk.broken = 'rewind';
  progress('pg_rewind: copying');
  const steps = chance.whole(2, 15);
  const { generation } = source.server;
  for (let step = 0; step < steps; step += 1) {
    await clock.wait(100);
    if (!reachable() || source.server.generation !== generation)
      throw new PostgresError('pg_rewind: the connection was lost');
  }
  const { journal, config, incarnation } = disk;
  takeContents(machine, source);
  Object.assign(disk, { journal, config, incarnation });
  disk.histories = new Map(theirs.histories);
  disk.slots = new Map();
  disk.control.state = 'in archive recovery';
  disk.control.minRecoveryEndLsn = disk.wal.end;
  disk.control.minRecoveryEndTimeline = disk.wal.timeline;
  disk.broken = null;
  disk.marker = null;
}
