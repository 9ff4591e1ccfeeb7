/**
 * Where the time of an outage goes, told from the daemons' own logs (PostgreSQL's lines are in them):
 * for each kind of event the first time it is logged after the fault.
 */
import type { Who } from './measurement.ts';
import { MILESTONES, type Milestone } from './milestones.ts';
import { summary } from './statistics.ts';

export interface LogLine {
  /** Wall clock, ms. */
  readonly at: number;
  readonly text: string;
}

/** Lines of both layouts: the daemons' `2026-07-01 12:00:00,123 INFO: …` and PostgreSQL's `….123 UTC [7] LOG: …`. */
export function parseLog(text: string): LogLine[] {
  const line = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)[.,](\d{3}) (UTC |GMT |Etc\/UTC )?(.*)$/gm;
  return [...text.matchAll(line)].map(([, day, time, ms, utc, rest]) => ({
    at: Date.parse(`${day}T${time}.${ms}${utc === undefined ? '' : 'Z'}`),
    text: rest ?? '',
  }));
}

export interface Telling {
  readonly faultAt: number;
  readonly gapFrom: number | null;
  readonly gapTo: number;
  readonly leaseEnd?: number;
  readonly lines: readonly { readonly who: Who; readonly lines: readonly LogLine[] }[];
}

export interface Phase {
  readonly who: Who | 'writer' | 'etcd';
  readonly what: string;
  /** Ms after the fault, medians over the rounds. */
  readonly at: number;
  /** Ms since the phase before, of the medians. */
  readonly took: number;
  /** Rounds in which it was found. */
  readonly rounds: number;
}

/** @param rounds rounds of the same daemon and fault */
export function phases(rounds: readonly Telling[]): Phase[] {
  const found = MILESTONES.map((milestone) => {
    const times = rounds.flatMap((round) => firstMatch(round, milestone));
    return { who: milestone.who, what: milestone.what, times };
  });
  const writer = (what: string, time: (round: Telling) => number | null) => ({
    who: 'writer' as const,
    what,
    times: rounds.flatMap((round) => {
      const at = round.gapFrom === null ? null : time(round);
      return at === null ? [] : [at - round.faultAt];
    }),
  });
  const all = [
    writer('last acknowledgement before the gap', (round) => round.gapFrom),
    {
      who: 'etcd' as const,
      what: 'the last renewal + ttl is over',
      times: rounds.flatMap(({ leaseEnd, faultAt }) =>
        leaseEnd === undefined ? [] : [leaseEnd - faultAt],
      ),
    },
    ...found,
    writer('first acknowledgement after the gap', (round) => round.gapTo),
  ];
  const ordered = all
    .flatMap(({ who, what, times }) => {
      const at = summary(times)?.median;
      return at === undefined ? [] : [{ who, what, at, rounds: times.length }];
    })
    .sort((a, b) => a.at - b.at);
  return ordered.map((phase, index) => ({
    ...phase,
    took: phase.at - (ordered[index - 1]?.at ?? phase.at),
  }));
}

/** A little after the gap counts: a log line may be later than what it tells. */
const LATE_MS = 250;

function firstMatch({ faultAt, gapTo, lines }: Telling, milestone: Milestone): number[] {
  const { who, pattern, after } = milestone;
  const told = lines
    .filter((log) => log.who === who)
    .flatMap((log) => log.lines)
    .filter(({ at }) => at >= faultAt - 1 && at <= gapTo + LATE_MS);
  const begin = after === undefined ? 0 : told.findIndex(({ text }) => after.test(text));
  if (begin < 0) return [];
  const hit = told.slice(begin).find(({ text }) => pattern.test(text));
  return hit === undefined ? [] : [hit.at - faultAt];
}

export function phaseLines(title: string, found: readonly Phase[]): string[] {
  return [
    `### ${title}`,
    '',
    '| ms after the fault | since the line before | who | what |',
    '| ---: | ---: | --- | --- |',
    ...found.map(
      ({ who, what, at, took }) =>
        `| ${Math.round(at)} | +${Math.round(took)} | ${who} | ${what} |`,
    ),
    '',
  ];
}
