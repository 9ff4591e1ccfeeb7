/** What pg_control says of a shutdown, and where the last record of it ends (rule F4). */
import { within } from '../clock.ts';
import type { WalPoint } from '../core/model.ts';
import { type ControlData, type ControlGlance, glanceAtControl } from './controlfile.ts';
import { messageOf } from './disk.ts';
import { type Parts, readControl } from './parts.ts';
import { PostgresError } from './postgres.ts';
import { shutdownCheckpointEnd } from './walmath.ts';

/** For one look at pg_control, ms. */
const GLANCE_MS = 500;
/** For pg_controldata, ms. */
const CONTROL_MS = 2000;

/** Null: no answer from the disk, which must not keep the deadline from coming. */
export async function lookAtControl({ clock, places }: Parts): Promise<ControlGlance | null> {
  const glance = glanceAtControl(places.dataDir);
  return await within(clock, GLANCE_MS, 'pg_control', glance).catch(() => null);
}

export type Tell = (glance: ControlGlance) => Promise<void>;

/**
 * Tells where the shutdown checkpoint ends. Whether a glance reads this server's pg_control rightly is
 * checked with pg_controldata beforehand; where it does not, pg_controldata is asked at the end, too.
 */
export async function teller(parts: Parts, onShutDown: (end: WalPoint) => void): Promise<Tell> {
  const segmentSize = await provenSegmentSize(parts);
  return async (glance) => {
    try {
      const end = segmentSize === null ? null : await twice(parts, glance, segmentSize);
      onShutDown(end ?? (await askedEnd(parts, glance)));
    } catch (error) {
      parts.log('warn', `the end of the shutdown checkpoint is not known: ${messageOf(error)}`);
    }
  };
}

/** Bytes; null: glances say something else than pg_controldata, or one of them nothing. */
async function provenSegmentSize(parts: Parts): Promise<number | null> {
  // A checkpoint may come between the two.
  for (let left = 2; left > 0; left--) {
    const [glance, control] = await Promise.all([
      lookAtControl(parts),
      askControl(parts).catch(() => null),
    ]);
    if (glance === null || control === null) return null;
    if (agree(glance, control)) return control.walSegmentSize;
  }
  return null;
}

/** Null when a second glance says something else: the first may have come in the middle of a write. */
async function twice(
  parts: Parts,
  first: ControlGlance,
  segmentSize: number,
): Promise<WalPoint | null> {
  const second = await lookAtControl(parts);
  if (second === null || !agree(second, first)) return null;
  return { timeline: first.timeline, lsn: shutdownCheckpointEnd(first.checkpointLsn, segmentSize) };
}

/** @throws PostgresError pg_controldata says nothing, or something else */
async function askedEnd(parts: Parts, glance: ControlGlance): Promise<WalPoint> {
  const control = await askControl(parts);
  if (!agree(glance, control))
    throw new PostgresError(
      `pg_control says "${control.state}" where a first look said "${glance.state}"`,
    );
  const lsn = shutdownCheckpointEnd(control.checkpointLsn, control.walSegmentSize);
  return { timeline: control.timeline, lsn };
}

async function askControl(parts: Parts): Promise<ControlData> {
  return await readControl(parts, parts.places.dataDir, CONTROL_MS);
}

function agree(one: ControlGlance, other: ControlGlance): boolean {
  return (
    one.state === other.state &&
    one.checkpointLsn === other.checkpointLsn &&
    one.timeline === other.timeline
  );
}
