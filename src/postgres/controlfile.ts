/** `global/pg_control`: through pg_controldata, and the few bytes that say whether it is shut down. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLsn } from '../core/lsn.ts';
import type { ControlFile, ControlState } from '../core/model.ts';
import { PostgresError } from './postgres.ts';

/** What a standby's settings may not be lower than (C-6.4), by setting name. */
export type RequiredSettings = Readonly<Record<string, number>>;

export interface ControlData extends ControlFile {
  readonly required: RequiredSettings;
  /** Bytes. */
  readonly walSegmentSize: number;
}

const STATES: readonly ControlState[] = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
];

const REQUIRED: Readonly<Record<string, string>> = {
  'max_connections setting': 'max_connections',
  'max_worker_processes setting': 'max_worker_processes',
  'max_wal_senders setting': 'max_wal_senders',
  'max_prepared_xacts setting': 'max_prepared_transactions',
  'max_locks_per_xact setting': 'max_locks_per_transaction',
};

/**
 * Output of pg_controldata under LC_ALL=C.
 * @throws PostgresError a field is missing or is no value
 */
export function parseControlData(text: string): ControlData {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined) throw new PostgresError(`pg_controldata says nothing of "${name}"`);
    return value;
  };
  const number = (name: string): number => {
    const value = Number(field(name));
    if (!Number.isInteger(value)) {
      throw new PostgresError(`pg_controldata: ${name} is ${JSON.stringify(field(name))}`);
    }
    return value;
  };
  const state = field('Database cluster state') as ControlState;
  const required: Record<string, number> = {};
  for (const [name, setting] of Object.entries(REQUIRED)) required[setting] = number(name);
  return {
    systemIdentifier: field('Database system identifier'),
    state: STATES.includes(state) ? state : 'unrecognized',
    timeline: number("Latest checkpoint's TimeLineID"),
    checkpointLsn: parseLsn(field('Latest checkpoint location')),
    redoLsn: parseLsn(field("Latest checkpoint's REDO location")),
    minRecoveryEndLsn: parseLsn(field('Minimum recovery ending location')),
    minRecoveryEndTimeline: number("Min recovery ending loc's timeline"),
    dataChecksums: number('Data page checksum version') > 0,
    walLogHints: field('wal_log_hints setting') === 'on',
    required,
    walSegmentSize: number('Bytes per WAL segment'),
  };
}

/** The newest timeline that pg_control knows of: at most what recovery has reached. */
export function recoveryTimeline(control: ControlFile): number {
  return Math.max(control.timeline, control.minRecoveryEndTimeline);
}

/** What changes while a server shuts down; the layout is the same from PostgreSQL 13 to 18. */
export interface ControlGlance {
  readonly state: ControlState;
  readonly checkpointLsn: number;
  readonly timeline: number;
}

/**
 * The first bytes of pg_control, read without a child process: cheap enough to look every few ms
 * (F4). The server writes the file with one call, so a glance is whole or, on odd file systems,
 * wrong; who acts on it for good reads it again with pg_controldata.
 * @throws the file cannot be read
 */
export async function glanceAtControl(dataDir: string): Promise<ControlGlance> {
  const handle = await open(join(dataDir, 'global', 'pg_control'), 'r');
  try {
    const bytes = Buffer.alloc(52);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    if (bytesRead < bytes.length) throw new PostgresError('pg_control is too short');
    const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
    const word = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
    const long = (at: number): number =>
      Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
    return {
      state: STATES[word(16)] ?? 'unrecognized',
      checkpointLsn: long(32),
      timeline: word(48),
    };
  } finally {
    await handle.close();
  }
}
