/**
 * The field's known bugs that this version guards against: for each the fault, the rule, the test,
 * and the change of the source that takes the guard away.
 */
export interface Guard {
  /** Number of the bug in the field's list. */
  readonly id: string;
  readonly fault: string;
  readonly rule: string;
  readonly test: string;
  /** Part of the test's name. */
  readonly name: string;
  readonly file: string;
  /** Found exactly once in the file, and replaced. */
  readonly guard: string;
  readonly without: string;
  /** Needs real servers and an unprivileged user. */
  readonly real?: true;
}

export const guards: readonly Guard[] = [
  {
    id: 'D3',
    fault: 'the leader key carries our name under a lease that was never ours',
    rule: "lead.foreign-lease: only the lease of this node's own earlier life is taken over",
    test: 'test/core/leading.test.ts',
    name: 'D3',
    file: 'src/core/leading.ts',
    guard: 'if (!former && leader.leaseId !== seen.lease.leaseId) return null;',
    without: 'void former;',
  },
  {
    id: 'D6',
    fault: 'the key is held, but no renewal was proven',
    rule: 'lead.unproven: no promotion without a proven lease',
    test: 'test/core/leading.test.ts',
    name: 'D6',
    file: 'src/core/leading.ts',
    guard: 'if (!ours || mayWrite) return null;',
    without: 'if (!ours || !mayWrite || mayWrite) return null;',
  },
  {
    id: 'D13',
    fault: 'a boot starts the old primary behind the cluster',
    rule: 'campaign.stale-primary: a primary on an older timeline is stopped',
    test: 'test/core/campaigning.test.ts',
    name: 'D13',
    file: 'src/core/campaigning.ts',
    guard: 'if (own >= recorded && ahead === undefined && alive === undefined) return null;',
    without: 'if (own >= 0) return null;',
  },
  {
    id: 'D20',
    fault: 'the store is wiped while a replica runs',
    rule: 'campaign.wiped-store: only a primary restores the store',
    test: 'test/core/campaigning.test.ts',
    name: 'D20',
    file: 'src/core/campaigning.ts',
    guard: 'if (leaderlessMs(s) >= patience) return null;',
    without: 'if (patience >= 0) return null;',
  },
  {
    id: 'D26',
    fault: 'a peer has more WAL than the candidate',
    rule: 'campaign.race: nobody is promoted past a living member that is ahead',
    test: 'test/core/campaigning.test.ts',
    name: 'D26: a peer has more WAL',
    file: 'src/core/candidates.ts',
    guard: '    if (isAhead(theirs, position))\n',
    without: '    if (false as boolean)\n',
  },
  {
    id: 'D34',
    fault: 'the leader dies writing; every published position is behind its last one',
    rule: 'campaign.race: own fresh position, received WAL included, is held against the lag limit',
    test: 'test/core/campaigning.test.ts',
    name: 'D34',
    file: 'src/core/campaigning.ts',
    guard: 'lsn: Math.max(sql.receiveLsn ?? 0, sql.replayLsn ?? 0)',
    without: 'lsn: cluster.members.find((one) => one.name === seen.name)?.position ?? 0',
  },
  {
    id: 'D44',
    fault: 'a peer shows a higher timeline number that nobody recorded',
    rule: 'campaign.race: only timelines that went through the store count',
    test: 'test/core/campaigning.test.ts',
    name: 'D44',
    file: 'src/core/candidates.ts',
    guard: '    if (!isRecorded(theirs.timeline, cluster)) continue;\n',
    without: '',
  },
  {
    id: 'D45',
    fault: 'the same primary recovers from a crash and goes on',
    rule: 'follow.rejoin: the same timeline is no divergence',
    test: 'test/core/following.test.ts',
    name: 'D45',
    file: 'src/core/history.ts',
    guard: 'if (timeline === server.timeline) return Number.POSITIVE_INFINITY;',
    without: '',
  },
  {
    id: 'D46',
    fault: "the leader's history does not name the local timeline",
    rule: 'follow.rejoin: a missing line is divergence',
    test: 'test/core/following.test.ts',
    name: 'D46',
    file: 'src/core/history.ts',
    guard: '?.switchLsn ?? null;',
    without: '?.switchLsn ?? Number.POSITIVE_INFINITY;',
  },
  {
    id: 'D47',
    fault: 'the new leader has not made its first checkpoint',
    rule: 'follow.rejoin: pg_rewind waits for it',
    test: 'test/core/following.test.ts',
    name: 'D47',
    file: 'src/core/rejoin.ts',
    guard: 'if (!leader.checkpointDone) {',
    without: 'if (!leader.checkpointDone && !settings.usePgRewind) {',
  },
  {
    id: 'D48',
    fault: 'pg_rewind died midway',
    rule: 'follow.rejoin: a directory with an unfinished rewind is cloned, never started',
    test: 'test/core/following.test.ts',
    name: 'D48',
    file: 'src/core/rejoin.ts',
    guard: 'if (local.interrupted !== null)\n',
    without: "if (local.interrupted === 'clone')\n",
  },
  {
    id: 'D66',
    fault: 'every combination of store, server, lease, job and memory',
    rule: 'decide: no situation without a rule',
    test: 'test/core/every-situation.test.ts',
    name: 'has a rule',
    file: 'src/core/decide.ts',
    guard: '  ...only(({ otherLeader }) => otherLeader !== null, following),\n',
    without:
      '  ...only(({ otherLeader, sql }) => otherLeader !== null && sql !== null, following),\n',
  },
];
