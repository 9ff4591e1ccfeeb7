/** A run for people: the schedule, and what each node saw and decided, line by line. */
import type { Schedule } from './schedule.ts';
import type { Outcome } from './simulation.ts';

export function timeline(schedule: Schedule, outcome: Outcome): string {
  const { timing, nodes, writers, maximumLag, usePgRewind, narrow, modes } = schedule;
  const violation = outcome.violations[0];
  const head = [
    `seed ${schedule.seed}: ${nodes} nodes, ${writers} writers, ttl ${timing.ttl}, loop_wait ${timing.loop_wait}, retry_timeout ${timing.retry_timeout}`,
    `maximum_lag_on_failover ${maximumLag}, use_pg_rewind ${usePgRewind}, no room for two copies on ${narrow.join(', ') || 'no node'}, modes ${JSON.stringify(modes)}`,
    ...schedule.faults.map(
      ({ kind, at, forMs, who, other }) =>
        `  ${seconds(at)}  ${kind}: ${who} (${other}), for ${forMs} ms`,
    ),
    violation === undefined
      ? 'no violation'
      : `VIOLATION at ${seconds(violation.at)}: ${violation.kind}: ${violation.text}`,
  ];
  const lines = outcome.lines.map(
    ({ at, name, text }) => `${seconds(at)}  ${name.padEnd(6)} ${text}`,
  );
  return `${[...head, '', ...lines].join('\n')}\n`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3).padStart(9);
}
