/** Making a diverged node a standby again with pg_rewind (C-5.14, rules S7, S8). */
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Upstream } from '../core/model.ts';
import { dataVersion } from './connect.ts';
import { toolLogin } from './conninfo.ts';
import { isMissing, messageOf } from './disk.ts';
import { endOrphans } from './ending.ts';
import { removeSignals, writeStandbySignal } from './files.ts';
import { ctlTimeout, databaseOf, type Parts, readControl, toolFor } from './parts.ts';
import { PostgresError, type Progress } from './postgres.ts';
import { failureOf, type RunResult, run } from './run.ts';
import { toolArguments } from './tooloptions.ts';

/** What the daemon says itself. */
const FORBIDDEN = new Set([
  'target-pgdata',
  'source-pgdata',
  'source-server',
  'write-recovery-conf',
  'dry-run',
  'config-file',
  'no-ensure-shutdown',
  'version',
  'no-sync',
]);
/** Longer than any rewind: one that is ended half-way has to be followed by a clone. */
const REWIND_MS = 24 * 3_600_000;
/** Before it says this, pg_rewind has changed nothing. */
const BEGUN = /rewinding from last common checkpoint/;

/**
 * The server must be stopped.
 * @throws PostgresError it failed; the marker is left when the data directory was touched
 */
export async function rewindServer(
  parts: Parts,
  from: Upstream,
  progress: Progress,
): Promise<void> {
  const { places, markers, options, clock } = parts;
  const file = await toolFor(parts, 'pg_rewind');
  if ((await parts.postmaster.look()).kind !== 'none') {
    throw new PostgresError('rewind: PostgreSQL runs in the data directory');
  }
  await endOrphans(parts, ctlTimeout(options));
  await markers.begin({
    kind: 'rewind',
    startedAt: clock.wall().toISOString(),
    from: `${from.host}:${from.port}`,
    folder: null,
    swapping: false,
    incarnation: null,
    replaces: null,
  });
  let result: RunResult | null = null;
  try {
    await prepare(parts);
    progress('pg_rewind');
    result = await runRewind(parts, file, from, progress);
  } catch (error) {
    await restoreStandby(parts);
    if (result === null) await markers.end();
    throw new PostgresError(`rewind: ${messageOf(error)}`, { cause: error });
  }
  await restoreStandby(parts);
  if (result.exitCode !== 0) {
    if (!BEGUN.test(result.stderr + result.stdout)) await markers.end();
    throw new PostgresError(failureOf(result, REWIND_MS));
  }
  await removeSlots(places.dataDir);
  await parts.configuration.restoreCopies();
  await parts.configuration.write({ role: 'standby', upstream: from });
  await markers.end();
  parts.log(
    'info',
    `pg_rewind: ${(result.stderr || result.stdout).trim().split('\n').at(-1) ?? 'done'}`,
  );
}

/**
 * pg_rewind wants a clean shutdown and makes one by a server of its own, which refuses to be a
 * standby and reads only the configuration file.
 */
async function prepare(parts: Parts): Promise<void> {
  const { places, options, configuration } = parts;
  configuration.required = null;
  // A primary's file has no restore_command; without standby.signal a standby's makes no standby.
  const archived = await hasArchive(parts);
  await configuration.write(archived ? { role: 'standby', upstream: null } : { role: 'primary' });
  const control = await readControl(parts, places.dataDir, ctlTimeout(options));
  if (control.state === 'shut down' || control.state === 'shut down in recovery') return;
  await removeSignals(places);
}

/** WAL that is gone from pg_wal can be had back, and pg_rewind finds the file that says how (C-5.14, field D49). */
async function hasArchive({ configuration, places }: Parts): Promise<boolean> {
  const { recoveryConf } = configuration.settings;
  const command = Object.entries(recoveryConf).find(
    ([name]) => name.toLowerCase() === 'restore_command',
  )?.[1];
  const found = (await dataVersion(places)) >= 15 || dirname(places.conf) === places.dataDir;
  return found && command !== undefined && command.trim() !== '';
}

async function runRewind(
  parts: Parts,
  file: string,
  from: Upstream,
  progress: Progress,
): Promise<RunResult> {
  const { options, places, clock, configuration } = parts;
  const user = options.rewind ?? options.superuser;
  const source = await toolLogin(options.pgpassPath, databaseOf(options), user, from, [
    ['target_session_attrs', 'read-write'],
  ]);
  const version = await dataVersion(places);
  const chosen = configuration.settings.making?.rewind;
  return await run({
    file,
    args: [
      '-D',
      places.dataDir,
      '--source-server',
      source.dsn,
      ...(version >= 15 ? [`--config-file=${places.conf}`] : []),
      ...toolArguments('postgresql.rewind', chosen, FORBIDDEN),
      ...((await hasArchive(parts)) ? ['--restore-target-wal'] : []),
    ],
    clock,
    timeoutMs: REWIND_MS,
    env: { ...source.env, PGOPTIONS: '-c statement_timeout=0' },
    onLine: (line) => {
      if (BEGUN.test(line)) progress('pg_rewind: copying');
    },
  });
}

/** It was about to become one, whatever happened (S8). */
async function restoreStandby(parts: Parts): Promise<void> {
  await writeStandbySignal(parts.places);
}

/** Slots that hold WAL of another life: members' slots are made anew. */
async function removeSlots(dataDir: string): Promise<void> {
  const folder = join(dataDir, 'pg_replslot');
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true });
}
