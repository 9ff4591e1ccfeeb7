/** Another member leads: come to follow it, and stay (contract 5.10.3, 5.14; rules S6–S8). */

import type { Position } from './history.ts';
import { cloneSource, pauseAfterFailure } from './joining.ts';
import { formatLsn } from './lsn.ts';
import type { Decision, Known, Member, Observation, Step, UpstreamFacts } from './model.ts';
import { type LocalHistory, rejoin } from './rejoin.ts';
import {
  decision,
  memberNamed,
  type Rule,
  runsAsPrimary,
  runsAsStandby,
  type Situation,
  stopHangs,
  upstreamOf,
} from './rules.ts';
import { wantedSlots } from './slots.ts';
import { withdraw } from './withdrawing.ts';

const SOON_MS = 250;
/** A standby between two leaders is not streaming for a moment; longer than this is worth a question. */
const NOT_STREAMING_MS = 1000;

export const following: readonly Rule[] = [
  { id: 'follow.demote', when: demote },
  { id: 'follow.end-orphans', when: endOrphans },
  { id: 'follow.restart-standby', when: restartStandby },
  { id: 'follow.pause', when: pauseBetweenTries },
  { id: 'follow.rejoin', when: rejoinStopped },
  { id: 'follow.diverged', when: divergedWhileRunning },
  { id: 'follow.lost-way', when: lostWay },
  { id: 'follow.steady', when: steady },
  { id: 'follow.wait-for-server', when: waitForServer },
];

/** No lease, no writes. There is no time for a fast stop: the new leader is writing already (S1). */
function demote(s: Situation): Decision | null {
  const { seen, otherLeader } = s;
  if (otherLeader === null || seen.postgres.postmaster.kind === 'none') return null;
  const primary = runsAsPrimary(s);
  // Without the signal file a server that does not answer is, or is about to be, a primary (S4).
  const perhaps = s.sql === null && !seen.postgres.standbySignal;
  if (!primary && !perhaps) return null;
  return decision(
    seen,
    'follow.demote',
    `${otherLeader.name} holds the lease; stopping our ${primary ? 'primary' : 'server, which may be a primary'}`,
    [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }],
    SOON_MS,
  );
}

function endOrphans({ seen, otherLeader }: Situation): Decision | null {
  if (
    otherLeader === null ||
    seen.postgres.postmaster.kind !== 'none' ||
    seen.postgres.orphans === 0
  )
    return null;
  return decision(
    seen,
    'follow.end-orphans',
    `${seen.postgres.orphans} processes outlived their postmaster and may still acknowledge; ending them`,
    [{ do: 'killOrphans' }],
    0,
  );
}

/** A directory that was a standby's when it stopped can be started at once; it is compared later. */
function restartStandby(s: Situation): Decision | null {
  const { seen, otherLeader } = s;
  const { control, interrupted, standbySignal, postmaster } = seen.postgres;
  if (otherLeader === null || postmaster.kind !== 'none' || interrupted !== null) return null;
  if (!control.known || !standbySignal || seen.memory.failures.length > 0) return null;
  // Stopped on purpose to be rewound or cloned: starting it again would go in circles.
  if (seen.job?.kind === 'stop' && seen.job.detail.includes('diverged')) return null;
  const made =
    ['clone', 'reinitialize', 'rewind'].includes(seen.job?.kind ?? '') &&
    seen.job?.outcome?.ok === true;
  if (
    !made &&
    control.value.state !== 'shut down in recovery' &&
    control.value.state !== 'in archive recovery'
  )
    return null;
  const target = followTarget(s, otherLeader);
  if (target === null || upstreamOf(target) === null) return null;
  return startStandby(
    s,
    target,
    made ? `after the ${seen.job?.kind}` : 'it was a standby when it stopped',
  );
}

function startStandby({ seen }: Situation, target: Member, why: string): Decision {
  return decision(
    seen,
    'follow.restart-standby',
    `starting as a standby of ${target.name}: ${why}`,
    [{ do: 'startJob', job: { kind: 'start', as: 'standby', upstream: upstreamOf(target) } }],
    SOON_MS,
  );
}

function pauseBetweenTries({ seen, otherLeader }: Situation): Decision | null {
  const pause = pauseAfterFailure(seen);
  if (otherLeader === null || seen.postgres.postmaster.kind !== 'none' || pause === 0) return null;
  const last = seen.memory.failures.at(-1);
  return decision(
    seen,
    'follow.pause',
    `${last?.kind ?? 'work'} failed (${last?.why ?? ''}); trying again in ${Math.round(pause / 1000)} s`,
    [],
    Math.min(pause, 1000),
  );
}

function rejoinStopped(s: Situation): Decision | null {
  const { seen, otherLeader } = s;
  if (otherLeader === null || seen.postgres.postmaster.kind !== 'none') return null;
  const verdict = compare(s, otherLeader, seen.postgres.walEnd);
  const target = followTarget(s, otherLeader);
  const from = upstreamOf(otherLeader);
  const say = (why: string, steps: readonly Step[]): Decision =>
    decision(seen, 'follow.rejoin', why, steps, SOON_MS);
  switch (verdict.how) {
    case 'follow':
      if (target === null || upstreamOf(target) === null)
        return say(`${otherLeader.name} has not published how to reach it`, []);
      return say(`following ${target.name}: ${verdict.why}`, [
        { do: 'startJob', job: { kind: 'start', as: 'standby', upstream: upstreamOf(target) } },
      ]);
    case 'rewind':
      if (from === null) return say(`${otherLeader.name} has not published how to reach it`, []);
      return (
        withdraw(s, 'follow.rejoin', 'rewinding') ??
        say(`rewinding to ${from.name}: ${verdict.why}`, [
          { do: 'startJob', job: { kind: 'rewind', from, why: verdict.why } },
        ])
      );
    case 'clone': {
      const source = cloneSource(s, otherLeader);
      if (source === null) return say(`${otherLeader.name} has not published how to reach it`, []);
      return (
        withdraw(s, 'follow.rejoin', 'cloning') ??
        say(`cloning from ${source.name}: ${verdict.why}`, [
          { do: 'startJob', job: { kind: 'clone', from: source, why: verdict.why } },
        ])
      );
    }
    case 'wait':
      return say(verdict.why, []);
    case 'refuse':
      return decision(seen, 'follow.rejoin', `not starting PostgreSQL: ${verdict.why}`, [], 1000);
  }
}

function compare(
  s: Situation,
  leader: Member,
  position: Known<Position>,
): ReturnType<typeof rejoin> {
  const { seen, cluster } = s;
  const local: LocalHistory = {
    position,
    control: seen.postgres.control,
    interrupted: seen.postgres.interrupted,
    failures: seen.memory.failures.length,
    // One that never ran says nothing about the next.
    rewindFailed: seen.memory.failures.some(({ kind, notBegun }) => kind === 'rewind' && !notBegun),
    promotedHere: seen.memory.promotedHere,
  };
  const upstream = {
    name: leader.name,
    checkpointDone: checkpointKnown(leader, seen.upstream),
    facts: seen.upstream,
  };
  return rejoin(seen.name, local, upstream, cluster.timelines, seen.settings);
}

/** A record from before the leader's promotion says nothing about the checkpoint after it (S4, field D47). */
function checkpointKnown(leader: Member, upstream: Known<UpstreamFacts>): boolean {
  if (!leader.checkpointAfterPromote || !upstream.known) return false;
  return leader.role === 'primary' && leader.timeline === upstream.value.timeline;
}

/** A running standby that does not stream may have gone another way than the leader (S6, field D44). */
function divergedWhileRunning(s: Situation): Decision | null {
  const { seen, otherLeader, sql } = s;
  if (
    otherLeader === null ||
    sql === null ||
    !runsAsStandby(s) ||
    !notStreaming(seen) ||
    !seen.upstream.known
  )
    return null;
  const lsn = Math.max(sql.receiveLsn ?? 0, sql.replayLsn ?? 0);
  const position: Known<Position> =
    sql.timeline === null
      ? { known: false, why: 'no timeline yet' }
      : { known: true, value: { timeline: sql.timeline, lsn } };
  const verdict = compare(s, otherLeader, position);
  if (verdict.how === 'follow' || verdict.how === 'wait') return null;
  if (verdict.how === 'refuse') {
    return decision(
      seen,
      'follow.diverged',
      `standby at ${formatLsn(lsn)} cannot follow ${otherLeader.name}: ${verdict.why}`,
      [],
      1000,
    );
  }
  return decision(
    seen,
    'follow.diverged',
    `stopping the standby to ${verdict.how} it: ${verdict.why}`,
    [{ do: 'startJob', job: { kind: 'stop', mode: 'fast', becomeStandby: true, why: 'diverged' } }],
    SOON_MS,
  );
}

/** So long a standby may look for the leader's timeline by itself, ms. */
const LOST_WAY_MS = 20_000;

/**
 * Its WAL is the leader's, but its recovery heads for a timeline that the leader never took: it has
 * the history of a promotion that nobody continued. A start from the leader's history ends that
 * (field D51).
 */
function lostWay(s: Situation): Decision | null {
  const { seen, otherLeader, sql } = s;
  const since = seen.memory.notStreamingSince;
  if (otherLeader === null || sql === null || sql.timeline === null || !runsAsStandby(s))
    return null;
  if (since === null || seen.now - since < LOST_WAY_MS || !seen.upstream.known) return null;
  if (seen.upstream.value.inRecovery || seen.upstream.value.timeline === sql.timeline) return null;
  const lsn = Math.max(sql.receiveLsn ?? 0, sql.replayLsn ?? 0);
  const position: Known<Position> = { known: true, value: { timeline: sql.timeline, lsn } };
  if (compare(s, otherLeader, position).how !== 'follow') return null;
  return decision(
    seen,
    'follow.lost-way',
    `restarting the standby: it does not find its way from timeline ${sql.timeline} to timeline ${seen.upstream.value.timeline} of ${otherLeader.name}`,
    [{ do: 'startJob', job: { kind: 'stop', mode: 'fast', becomeStandby: true } }],
    SOON_MS,
  );
}

function notStreaming(seen: Observation): boolean {
  const since = seen.memory.notStreamingSince;
  return since !== null && seen.now - since >= NOT_STREAMING_MS;
}

function steady(s: Situation): Decision | null {
  const { seen, otherLeader, sql } = s;
  if (otherLeader === null || sql === null || !runsAsStandby(s)) return null;
  const target = followTarget(s, otherLeader);
  const upstream = target === null ? null : upstreamOf(target);
  const steps: Step[] = [];
  const slots = wantedSlots(s);
  if (slots !== null) steps.push(slots);
  if (target !== null && upstream === null) {
    return decision(
      seen,
      'follow.steady',
      `${target.name} has not published how to reach it`,
      steps,
      SOON_MS,
    );
  }
  const receiver = sql.walReceiver;
  const connected =
    receiver !== null &&
    upstream !== null &&
    receiver.host === upstream.host &&
    receiver.port === upstream.port;
  if (!connected) steps.push({ do: 'follow', upstream });
  return decision(
    seen,
    'follow.steady',
    `no action. I am (${seen.name}), a secondary, and following ${target === null ? 'nobody (nostream)' : target.name === otherLeader.name ? `a leader (${otherLeader.name})` : target.name}`,
    steps,
    connected ? seen.settings.loopWaitMs : 1000,
  );
}

/** The member named by replicatefrom while it runs, else the leader; nobody with nostream (contract 5.10.3). */
export function followTarget({ seen, cluster }: Situation, leader: Member): Member | null {
  if (seen.settings.tags.nostream) return null;
  const { replicatefrom } = seen.settings.tags;
  if (replicatefrom === null || replicatefrom === seen.name) return leader;
  const member = memberNamed(cluster, replicatefrom);
  return member !== null && member.state === 'running' ? member : leader;
}

function waitForServer({ seen, otherLeader }: Situation): Decision | null {
  if (otherLeader === null) return null;
  const why =
    seen.postgres.ready === 'rejecting'
      ? 'still starting up as a standby'
      : `PostgreSQL's state is unknown: ${seen.postgres.sql.known ? 'in transition' : seen.postgres.sql.why}`;
  const steps: readonly Step[] = stopHangs(seen)
    ? [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }]
    : [];
  return decision(seen, 'follow.wait-for-server', why, steps, SOON_MS);
}
