/**
 * The policy, in order. `decide` is pure: the same observation always gives the same decision, and
 * every decision names its rule and its reason.
 *
 * Read it as a table of contents: what applies first, wins.
 */
import { busy } from './busy.ts';
import { campaigning } from './campaigning.ts';
import { following } from './following.ts';
import { handing } from './handing.ts';
import { foreignDirectory, joining } from './joining.ts';
import { leading } from './leading.ts';
import { leaveBlind, leaving } from './leaving.ts';
import type { Decision, Observation } from './model.ts';
import { paused } from './paused.ts';
import { requesting } from './requesting.ts';
import { decision, type Rule, runningJob, type Situation, situation } from './rules.ts';
import { due } from './schedule.ts';
import { SILENT_LOOK_MS } from './silence.ts';
import { promisedSlots } from './slots.ts';
import { synchronizing } from './synchronous.ts';
import { unfit } from './unfit.ts';

/** A rule of this situation only while the given condition holds. */
function only(condition: (s: Situation) => boolean, rules: readonly Rule[]): readonly Rule[] {
  return rules.map((rule) => ({ id: rule.id, when: (s) => (condition(s) ? rule.when(s) : null) }));
}

/** Every rule, in the order in which they are tried. */
export const rules: readonly Rule[] = [
  ...leaving,
  ...unfit,
  ...requesting,
  ...busy,
  ...joining,
  ...handing,
  ...synchronizing,
  ...paused,
  ...leading,
  ...only(({ otherLeader }) => otherLeader !== null, following),
  ...only(({ cluster }) => cluster.leader === null, campaigning),
];

/** What to do now. Always an answer (field D66). */
export function decide(seen: Observation): Decision {
  if (!seen.cluster.known) return blind(seen, seen.cluster.why);
  const view = situation(seen, seen.cluster.value);
  for (const rule of rules) {
    const decided = rule.when(view);
    if (decided !== null) return inTime(decided, view);
  }
  return decision(seen, 'none', 'no rule applies to this situation; nothing is changed', [], 1000);
}

/**
 * The next look is not after the time that somebody scheduled something for (contract 5.11), and
 * soon while PostgreSQL says nothing.
 */
function inTime(decided: Decision, { seen, cluster }: Situation): Decision {
  const times = [cluster.failover?.scheduledAt, seen.scheduledRestart?.at].map((at) => {
    const state = at ? due(at, seen) : null;
    return state?.when === 'later' ? state.inMs : decided.wakeInMs;
  });
  const { silence, diskSilence } = seen.memory;
  const heard = silence.since === null && diskSilence.since === null;
  const heardMs = heard ? decided.wakeInMs : SILENT_LOOK_MS;
  return { ...decided, wakeInMs: Math.min(decided.wakeInMs, heardMs, ...times) };
}

/**
 * Without a view of the store nothing is begun. A primary goes on until its deadline, which the
 * fence enforces; a standby just goes on (rules S1, S4).
 */
function blind(seen: Observation, why: string): Decision {
  if (seen.stopping) return leaveBlind(seen);
  if (seen.request !== null) {
    const told = { status: 503, text: `${seen.request.do} failed`, why };
    const step = { do: 'answer', request: seen.request.id, ...told } as const;
    return decision(seen, 'blind.request', `${seen.request.do} refused: ${why}`, [step], 0);
  }
  const directory = foreignDirectory(seen);
  if (directory !== null) return directory;
  const job = runningJob(seen);
  if (job !== null)
    return decision(
      seen,
      'blind.busy',
      `${job.kind} in progress: ${job.phase}; the store cannot be read: ${why}`,
      [],
      1000,
    );
  const { deadline } = seen.lease;
  const primary = seen.postgres.sql.known && !seen.postgres.sql.value.inRecovery;
  if (!primary || seen.settings.paused) {
    const slots = promisedSlots(seen);
    return decision(
      seen,
      'blind.wait',
      `the store cannot be read: ${why}; PostgreSQL is left as it is`,
      slots === null ? [] : [slots],
      1000,
    );
  }
  if (deadline !== null && seen.now < deadline) {
    return decision(
      seen,
      'blind.primary',
      'the store cannot be read; writes go on until the proven lease ends',
      [],
      500,
    );
  }
  return decision(
    seen,
    'blind.demote',
    'the store cannot be read and the lease is over: demoting',
    [{ do: 'startJob', job: { kind: 'stop', mode: 'immediate', becomeStandby: true } }],
    250,
  );
}
