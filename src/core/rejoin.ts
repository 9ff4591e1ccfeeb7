/**
 * How a node that is not the leader comes to follow it: follow, rewind or clone, from timelines
 * and histories (rule S6, S7; contract 5.14; field D44–D48).
 */
import { type Position, sharedUntil } from './history.ts';
import { formatLsn } from './lsn.ts';
import type {
  ControlFile,
  InterruptedWork,
  Known,
  TimelineClaims,
  UpstreamFacts,
} from './model.ts';
import type { Settings } from './settings.ts';

export type Rejoin =
  | { readonly how: 'follow'; readonly why: string }
  /** `discardedBytes`: WAL after the point where both histories part. */
  | { readonly how: 'rewind'; readonly why: string; readonly discardedBytes: number | null }
  | { readonly how: 'clone'; readonly why: string }
  | { readonly how: 'wait'; readonly why: string }
  /** Only an operator can help; the data directory stays as it is. */
  | { readonly how: 'refuse'; readonly why: string };

export interface LocalHistory {
  readonly position: Known<Position>;
  readonly control: Known<ControlFile>;
  readonly interrupted: InterruptedWork | null;
  /** Ends of failed rejoins since the last success. */
  readonly failures: number;
  /** The last rewind failed on an otherwise healthy leader. */
  readonly rewindFailed: boolean;
  /** Timelines that this node promoted to, by its own journal. */
  readonly promotedHere: readonly number[];
}

export function rejoin(
  name: string,
  local: LocalHistory,
  leader: {
    readonly name: string;
    readonly checkpointDone: boolean;
    readonly facts: Known<UpstreamFacts>;
  },
  claims: TimelineClaims | null,
  settings: Settings,
): Rejoin {
  if (!leader.facts.known) {
    return { how: 'wait', why: `cannot ask ${leader.name} for its timeline: ${leader.facts.why}` };
  }
  const upstream = leader.facts.value;
  if (local.interrupted !== null)
    return afterInterruption(local.interrupted, upstream, local.control);
  if (!local.control.known) {
    return { how: 'wait', why: `cannot read pg_control: ${local.control.why}` };
  }
  const control = local.control.value;
  if (control.systemIdentifier !== upstream.systemIdentifier) {
    return {
      how: 'refuse',
      why: `the data directory has system identifier ${control.systemIdentifier}, ${leader.name} has ${upstream.systemIdentifier}: another cluster`,
    };
  }
  if (!local.position.known) {
    return { how: 'wait', why: `cannot find the end of the local WAL: ${local.position.why}` };
  }
  const position = local.position.value;
  const diverged = divergence(name, position, upstream, local.promotedHere, claims);
  if (diverged === null) {
    return {
      how: 'follow',
      why: `the local WAL ends at ${at(position)}, which ${leader.name} also has`,
    };
  }
  if (upstream.inRecovery) {
    return { how: 'wait', why: `${diverged.why}; ${leader.name} is not promoted yet` };
  }
  return repair(diverged, leader, control, local, settings);
}

interface Divergence {
  readonly why: string;
  readonly discardedBytes: number | null;
  /** pg_rewind cannot see it: same timeline number, other contents (S6). */
  readonly sameNumber: boolean;
}

function divergence(
  name: string,
  position: Position,
  upstream: UpstreamFacts,
  promotedHere: readonly number[],
  claims: TimelineClaims | null,
): Divergence | null {
  const holder = claims?.claims.findLast(([timeline]) => timeline === position.timeline)?.[1];
  if (promotedHere.includes(position.timeline) && holder !== undefined && holder !== name) {
    return {
      why: `this node promoted itself to timeline ${position.timeline}, which was reserved by ${holder}`,
      discardedBytes: null,
      sameNumber: true,
    };
  }
  const shared = sharedUntil(position.timeline, upstream);
  if (shared === null) {
    return {
      why: `timeline ${position.timeline} is no ancestor of timeline ${upstream.timeline} of ${upstream.name}`,
      discardedBytes: null,
      sameNumber: false,
    };
  }
  if (position.lsn <= shared) return null;
  return {
    why: `the local WAL ends at ${at(position)}, ${position.lsn - shared} bytes after ${upstream.name} left timeline ${position.timeline} at ${formatLsn(shared)}`,
    discardedBytes: position.lsn - shared,
    sameNumber: false,
  };
}

function repair(
  diverged: Divergence,
  leader: { readonly name: string; readonly checkpointDone: boolean },
  control: ControlFile,
  local: LocalHistory,
  settings: Settings,
): Rejoin {
  const mayClone = settings.removeDataDirectoryOnDivergedTimelines;
  if (diverged.sameNumber) {
    return mayClone
      ? { how: 'clone', why: `${diverged.why}; pg_rewind cannot tell the two apart` }
      : refuse(diverged.why, 'remove_data_directory_on_diverged_timelines is off');
  }
  const rewindable = control.dataChecksums || control.walLogHints;
  if (settings.usePgRewind && rewindable && !local.rewindFailed) {
    // Before that checkpoint pg_control of the leader still names the old timeline, and pg_rewind
    // finds nothing to do (field D47).
    if (!leader.checkpointDone) {
      return {
        how: 'wait',
        why: `${diverged.why}; waiting for the first checkpoint of ${leader.name} after its promotion`,
      };
    }
    return { how: 'rewind', why: diverged.why, discardedBytes: diverged.discardedBytes };
  }
  const noRewind = !settings.usePgRewind
    ? 'use_pg_rewind is off'
    : local.rewindFailed
      ? 'pg_rewind failed'
      : 'neither data checksums nor wal_log_hints are on';
  if (mayClone || (local.rewindFailed && settings.removeDataDirectoryOnRewindFailure)) {
    return { how: 'clone', why: `${diverged.why}; ${noRewind}` };
  }
  return refuse(diverged.why, `${noRewind}, and removing the data directory is not allowed`);
}

function refuse(why: string, because: string): Rejoin {
  return {
    how: 'refuse',
    why: `${why}; ${because}: allow use_pg_rewind or remove_data_directory_on_diverged_timelines, or reinitialize this member`,
  };
}

/** An unfinished clone or rewind left a directory that must not be started (S7, field D48). */
function afterInterruption(
  work: InterruptedWork,
  upstream: UpstreamFacts,
  control: Known<ControlFile>,
): Rejoin {
  if (
    control.known &&
    control.value.systemIdentifier !== upstream.systemIdentifier &&
    work === 'rewind'
  ) {
    return {
      how: 'refuse',
      why: `an interrupted rewind left system identifier ${control.value.systemIdentifier}, ${upstream.name} has ${upstream.systemIdentifier}: another cluster`,
    };
  }
  if (upstream.inRecovery) {
    return {
      how: 'wait',
      why: `an interrupted ${work} has to be replaced by a clone; ${upstream.name} is not promoted yet`,
    };
  }
  return {
    how: 'clone',
    why: `a ${work} was begun here and never finished, so the data directory is not whole`,
  };
}

function at(position: Position): string {
  return `${formatLsn(position.lsn)} on timeline ${position.timeline}`;
}
