/** What the operations on the local server share. Made once, by LocalPostgres. */
import type { Clock } from '../clock.ts';
import type { Configuration } from './configuration.ts';
import { dataVersion } from './connect.ts';
import { type ControlData, parseControlData } from './controlfile.ts';
import type { Instance } from './instance.ts';
import type { Markers } from './markers.ts';
import type { Listen, LocalPostgresOptions, Log, Places } from './options.ts';
import type { Postmaster } from './postmaster.ts';
import { run, runOrThrow } from './run.ts';
import type { Session } from './session.ts';
import {
  OLDEST_VERSION,
  parseVersion,
  refuseOld,
  type ToolName,
  type Tools,
  tooOld,
} from './tools.ts';
import type { Upstreams } from './upstreams.ts';

export interface Parts {
  readonly options: LocalPostgresOptions;
  readonly places: Places;
  readonly listen: Listen;
  readonly clock: Clock;
  readonly log: Log;
  readonly tools: Tools;
  readonly markers: Markers;
  readonly instance: Instance;
  readonly postmaster: Postmaster;
  readonly session: Session;
  readonly configuration: Configuration;
  readonly upstreams: Upstreams;
}

/** For a program to say its version, ms. */
const VERSION_MS = 5000;

/** Database that sessions and tools connect to. */
export function databaseOf(options: LocalPostgresOptions): string {
  return options.database ?? 'postgres';
}

/** Bound of small pieces of work, ms. */
export function ctlTimeout(options: LocalPostgresOptions): number {
  return options.ctlTimeoutMs ?? 60_000;
}

/** A tool of the data directory's version. @throws PostgresError no data directory, too old, no tool */
export async function toolFor(parts: Parts, tool: ToolName): Promise<string> {
  const version = await dataVersion(parts.places);
  refuseOld(version);
  return parts.tools.find(tool, version);
}

/** Why our programs cannot work with a data directory of this major version; null: they can. */
export async function wrongVersion(parts: Parts, version: number): Promise<string | null> {
  const { tools, places, clock } = parts;
  const file = tools.find('postgres', version);
  if (version < OLDEST_VERSION) return tooOld(version);
  const { stdout } = await run({ file, args: ['--version'], clock, timeoutMs: VERSION_MS });
  const ours = parseVersion(stdout);
  if (ours === null || ours === version) return null;
  return (
    `${places.dataDir} was made by PostgreSQL ${version}, and ${file} is PostgreSQL ${ours} (postgresql.bin_dir): ` +
    `allowed are programs of version ${version}, or a data directory that pg_upgrade made for ${ours}`
  );
}

/** pg_controldata of the data directory, or of a copy of it. @throws PostgresError */
export async function readControl(
  parts: Parts,
  dataDir: string,
  timeoutMs: number,
): Promise<ControlData> {
  const version = await dataVersion({ ...parts.places, dataDir });
  const { stdout } = await runOrThrow({
    file: parts.tools.find('pg_controldata', version),
    args: ['-D', dataDir],
    clock: parts.clock,
    timeoutMs,
  });
  return parseControlData(stdout);
}
