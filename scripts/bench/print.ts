/** What the bench prints and writes: the table, notes, phases, JSON. */
import { cpus, loadavg } from 'node:os';
import type { DaemonUnderTest } from './daemons.ts';
import { phaseLines, phases } from './phases.ts';
import { markdown } from './report.ts';
import type { Results } from './results.ts';
import { type Row, rowOf } from './rows.ts';
import type { Tellings } from './tellings.ts';

export interface Run {
  readonly daemons: readonly DaemonUnderTest[];
  readonly rows: readonly Row[];
  readonly rounds: number;
  /** Load averages before. */
  readonly loadBefore: string;
}

export const loadNow = (): string =>
  loadavg()
    .map((value) => value.toFixed(2))
    .join(' ');

/** Markdown, ready to be pasted. */
export function pageLines(run: Run, results: Results): string[] {
  const { daemons, rows, rounds } = run;
  const labels = daemons.map(({ label }) => label);
  const versions = daemons.map(({ label, version }) => `${label}: ${version}`).join('; ');
  return [
    `${new Date().toISOString().slice(0, 10)}; ${cpus().length} processors; load average ${run.loadBefore} before, ${loadNow()} after; ${versions}; ${rounds} rounds each, in turn.`,
    '',
    ...markdown(rows, labels, results),
    '',
    ...notes(daemons, results).map((note) => `- ${note}`),
  ];
}

/** What the numbers do not say by themselves. */
function notes(daemons: readonly DaemonUnderTest[], results: Results): string[] {
  return daemons.flatMap(({ label, lowest }) => {
    const lines: string[] = [];
    if (results.summary(label, 'death-lowest') !== undefined) {
      const { ttl, loop_wait, retry_timeout } = lowest;
      lines.push(
        `${label}, lowest settings: ttl ${ttl}, loop_wait ${loop_wait}, retry_timeout ${retry_timeout}`,
      );
    }
    const requests = results.cell(label, 'etcd-requests').samples.at(-1)?.details;
    if (requests !== undefined) {
      const each = Object.entries(requests).map(([name, value]) => `${name} ${value.toFixed(1)}`);
      lines.push(`${label}, requests per node and minute in the last round: ${each.join(', ')}`);
    }
    const pss = results.cell(label, 'idle-memory').samples.at(-1)?.details?.pss;
    if (pss !== undefined) lines.push(`${label}, PSS in the last round: ${pss.toFixed(0)} MB`);
    const checks = results.cell(label, 'health').samples.at(-1)?.details;
    if (checks?.plainServer !== undefined) {
      const plain = Math.round(checks.plainServer).toLocaleString('en-US');
      lines.push(
        `${label}, health checks: in the last round an empty HTTP server of Node gave ${plain} 1/s under the same load`,
      );
    }
    if ((checks?.reconnections ?? 0) > 0) {
      lines.push(`${label} closes the connection after each answer to a health check`);
    }
    return lines;
  });
}

export function phasesLines(
  { daemons, rows }: Run,
  results: Results,
  tellings: Tellings,
): string[] {
  return rows.flatMap(({ id, title }) =>
    daemons.flatMap(({ label }) => {
      const stories = results.stories(label, id);
      if (stories.length === 0) return [];
      return phaseLines(`${title}: ${label}`, phases(tellings.of(stories)));
    }),
  );
}

export function failureLines({ daemons, rows }: Run, results: Results): string[] {
  return rows.flatMap(({ id }) =>
    daemons.flatMap(({ label }) =>
      results.cell(label, id).failures.map((why) => `${label}, ${id}: ${why}`),
    ),
  );
}

/** All samples. */
export function json({ daemons, rows }: Run, results: Results): string {
  const all = daemons.map((daemon) => ({
    ...daemon,
    rows: Object.fromEntries(
      rows.map(({ id }) => [
        id,
        {
          unit: rowOf(id).unit,
          ...results.cell(daemon.label, id),
          summary: results.summary(daemon.label, id),
        },
      ]),
    ),
  }));
  const at = new Date().toISOString();
  return `${JSON.stringify({ at, load: loadavg(), daemons: all }, null, 2)}\n`;
}
