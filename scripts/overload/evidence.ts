/** What shows that a leader was demoted: the daemons' own logs, and the leader key's revisions. */
import { readFileSync } from 'node:fs';

export interface Evidence {
  /** Decisions to stop a primary, by the daemons' logs. */
  readonly demotions: number;
  /** The fence stopped PostgreSQL, by the daemons' logs. */
  readonly fenceShots: number;
  /** The leader key was deleted or expired, by etcd. */
  readonly leaderChanges: number;
}

/** The rules by which a primary is stopped, or its lease given away, without anybody asking for it. */
export const DEMOTING_RULES: readonly string[] = [
  'blind.demote',
  'follow.demote',
  'campaign.stale-primary',
  'lead.foreign-lease',
  'lead.hung',
  'lead.unreadable',
  'lead.stuck',
  'lead.promote-failed',
  'lead.give-up',
  'lead.crash-loop',
];

const DEMOTION = new RegExp(
  `\\[(?:${DEMOTING_RULES.map((rule) => rule.replace('.', '\\.')).join('|')})\\]`,
  'g',
);
const FENCE =
  /the lease could not be renewed in time|processes of PostgreSQL before the lease ends/g;

/** @param logs text of each daemon's log; @param watched output of `etcdctl watch` on the leader key */
export function evidence(logs: readonly string[], watched: string): Evidence {
  const count = (pattern: RegExp): number =>
    logs.reduce((sum, text) => sum + [...text.matchAll(pattern)].length, 0);
  return {
    demotions: count(DEMOTION),
    fenceShots: count(FENCE),
    leaderChanges: [...watched.matchAll(/^DELETE$/gm)].length,
  };
}

export function readEvidence(logFiles: readonly string[], watchFile: string): Evidence {
  const logs = logFiles.map((file) => readFileSync(file, 'utf8'));
  return evidence(logs, readFileSync(watchFile, 'utf8'));
}

export function difference(before: Evidence, after: Evidence): Evidence {
  return {
    demotions: after.demotions - before.demotions,
    fenceShots: after.fenceShots - before.fenceShots,
    leaderChanges: after.leaderChanges - before.leaderChanges,
  };
}

/** None of the three is zero by another name: a demotion shows in at least one of them. */
export function anyOf({ demotions, fenceShots, leaderChanges }: Evidence): boolean {
  return demotions + fenceShots + leaderChanges > 0;
}
