/**
 * npm run bench: the table of docs/performance.md for one or two daemons, given by command, with the
 * same configuration and the same haproxy.cfg. Exit codes: 0 all rows measured; 1 a round failed;
 * 2 bad arguments; 3 a ratio was asked for and there is none.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { bootstrap } from './bench/bootstrap.ts';
import { nodeDeath, nodeDeathLowest, postmasterKilled } from './bench/crashes.ts';
import { BadDaemon, type DaemonUnderTest, findDaemon, parseTiming } from './bench/daemons.ts';
import { health } from './bench/health.ts';
import { idleFor } from './bench/idle.ts';
import type { Measurement, Story } from './bench/measurement.ts';
import { BadOption, type BenchOptions, parseOptions, USAGE } from './bench/options.ts';
import { parseLog, phaseLines, phases, type Telling } from './bench/phases.ts';
import { idleSwitchover, loadedSwitchover, terminated } from './bench/planned.ts';
import { play } from './bench/play.ts';
import { markdown, misses, NoComparison, ratio } from './bench/report.ts';
import type { Results } from './bench/results.ts';
import { ROWS, type Row, rowOf } from './bench/rows.ts';
import { runScript } from './lab/script.ts';
import { mustBeWritable } from './output.ts';

const EXIT = { failed: 1, badArguments: 2, noRatio: 3 } as const;

function measurements(options: BenchOptions): readonly Measurement[] {
  const all = [
    bootstrap,
    idleSwitchover,
    terminated,
    postmasterKilled,
    loadedSwitchover,
    nodeDeath,
    health,
    idleFor(options.idleSeconds),
    nodeDeathLowest,
  ];
  return all.filter(({ rows }) => rows.some((row) => options.rows.includes(row)));
}

const load = (): string =>
  loadavg()
    .map((value) => value.toFixed(2))
    .join(' ');

/** Read while the files are there: a cluster takes its logs with it. */
class Tellings {
  readonly #read = new Map<Story, Telling>();

  keep(stories: readonly Story[]): void {
    for (const story of stories) {
      if (this.#read.has(story)) continue;
      const lines = story.logs.map(({ who, file }) => ({
        who,
        lines: parseLog(readFileSync(file, 'utf8')),
      }));
      this.#read.set(story, { ...story, lines });
    }
  }

  of(stories: readonly Story[]): readonly Telling[] {
    return stories.flatMap((story) => this.#read.get(story) ?? []);
  }
}

function head(daemons: readonly DaemonUnderTest[], rounds: number, before: string): string[] {
  const versions = daemons.map(({ label, version }) => `${label}: ${version}`).join('; ');
  return [
    `${new Date().toISOString().slice(0, 10)}; ${cpus().length} processors; load average ${before} before, ${load()} after; ${versions}; ${rounds} rounds each, in turn.`,
    '',
  ];
}

function failures(rows: readonly Row[], labels: readonly string[], results: Results): string[] {
  return rows.flatMap((row) =>
    labels.flatMap((label) =>
      results.cell(label, row.id).failures.map((why) => `${label}, ${row.id}: ${why}`),
    ),
  );
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
    const again = results.cell(label, 'health').samples.at(-1)?.details?.reconnections ?? 0;
    const plain = results.cell(label, 'health').samples.at(-1)?.details?.plainServer;
    if (plain !== undefined) {
      lines.push(
        `${label}, health checks: in the last round an empty HTTP server of Node gave ${Math.round(plain).toLocaleString('en-US')} 1/s under the same load`,
      );
    }
    if (again > 0) lines.push(`${label} closes the connection after each answer to a health check`);
    return lines;
  });
}

async function bench(options: BenchOptions): Promise<number> {
  const daemons: DaemonUnderTest[] = [];
  const lowest = new Map(options.lowest.map(parseTiming));
  for (const text of options.daemons) daemons.push(await findDaemon(text, lowest));
  const labels = daemons.map(({ label }) => label);
  const rows = ROWS.filter(({ id }) => options.rows.includes(id));
  const before = load();
  const tellings = new Tellings();
  const results = await play({
    daemons,
    measurements: measurements(options),
    rounds: options.rounds,
    tell: (text) => console.error(text),
    onRound: ({ label }, sofar) => {
      for (const { id } of rows) tellings.keep(sofar.stories(label, id));
    },
  });
  console.log(
    [...head(daemons, options.rounds, before), ...markdown(rows, labels, results)].join('\n'),
  );
  for (const note of notes(daemons, results)) console.log(`\n${note}`);
  if (options.phases) {
    for (const row of rows) {
      for (const label of labels) {
        const told = phases(tellings.of(results.stories(label, row.id)));
        if (results.stories(label, row.id).length === 0) continue;
        console.log(`\n${phaseLines(`${row.title}: ${label}`, told).join('\n')}`);
      }
    }
  }
  if (options.json !== undefined) writeFileSync(options.json, json(rows, daemons, results));
  const failed = failures(rows, labels, results);
  for (const line of failed) console.error(`FAILED: ${line}`);
  // The targets are this project's.
  for (const { label } of daemons.filter(({ version }) => version.startsWith('tenure'))) {
    for (const line of misses(rows, label, results)) {
      console.error(`${label} missed its target: ${line}`);
    }
  }
  const compared = comparison(rows, labels, results);
  if (compared !== null) console.error(compared);
  if (failed.length > 0) return EXIT.failed;
  return compared !== null && options.ratio ? EXIT.noRatio : 0;
}

/** Why there are no ratios; null when there are. */
function comparison(
  rows: readonly Row[],
  labels: readonly string[],
  results: Results,
): string | null {
  try {
    for (const row of rows) ratio(row, labels, results);
    return null;
  } catch (error) {
    if (error instanceof NoComparison) return error.message;
    throw error;
  }
}

function json(rows: readonly Row[], daemons: readonly DaemonUnderTest[], results: Results): string {
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
  return `${JSON.stringify({ at: new Date().toISOString(), load: loadavg(), daemons: all }, null, 2)}\n`;
}

function options(): BenchOptions {
  try {
    const parsed = parseOptions(process.argv.slice(2));
    if (parsed !== 'help') return parsed;
    console.log(USAGE);
    return process.exit(0);
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    console.error(`${error.message}\n${USAGE}`);
    return process.exit(EXIT.badArguments);
  }
}

const asked = options();
if (asked.json !== undefined) mustBeWritable('--json', asked.json);
await runScript(async () => {
  try {
    return await bench(asked);
  } catch (error) {
    if (!(error instanceof BadDaemon)) throw error;
    console.error(error.message);
    return EXIT.badArguments;
  }
});
