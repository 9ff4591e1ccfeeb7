/**
 * npm run bench: the table of docs/performance.md for one or two daemons, given by command, with the
 * same configuration and the same haproxy.cfg. Exit codes: 0 all rows measured; 1 a round failed;
 * 2 bad arguments; 3 a ratio was asked for and there is none. Stopped early, it prints what it has.
 */
import { writeFileSync } from 'node:fs';
import { bootstrap } from './bench/bootstrap.ts';
import { nodeDeath, nodeDeathLowest, postmasterKilled } from './bench/crashes.ts';
import { BadDaemon, type DaemonUnderTest, findDaemon, parseTiming } from './bench/daemons.ts';
import { health } from './bench/health.ts';
import { idleFor } from './bench/idle.ts';
import type { Measurement } from './bench/measurement.ts';
import { BadOption, type BenchOptions, parseOptions, USAGE } from './bench/options.ts';
import { idleSwitchover, loadedSwitchover, terminated } from './bench/planned.ts';
import { play } from './bench/play.ts';
import { failureLines, json, loadNow, pageLines, phasesLines, type Run } from './bench/print.ts';
import { misses, NoComparison, ratio } from './bench/report.ts';
import { Results } from './bench/results.ts';
import { ROWS } from './bench/rows.ts';
import { Tellings } from './bench/tellings.ts';
import { runScript } from './lab/script.ts';
import { mustBeWritable } from './output.ts';

const EXIT = { failed: 1, badArguments: 2, noRatio: 3, stopped: 130 } as const;

const options = parsedOptions();
if (options.json !== undefined) mustBeWritable('--json', options.json);
const results = new Results();
const tellings = new Tellings();
let run: Run | undefined;

function measurements(): readonly Measurement[] {
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

async function daemonsUnderTest(): Promise<readonly DaemonUnderTest[]> {
  const lowest = new Map(options.lowest.map(parseTiming));
  const found: DaemonUnderTest[] = [];
  for (const text of options.daemons) found.push(await findDaemon(text, lowest));
  return found;
}

async function bench(): Promise<number> {
  const daemons = await daemonsUnderTest();
  const rows = ROWS.filter(({ id }) => options.rows.includes(id));
  const current: Run = { daemons, rows, rounds: options.rounds, loadBefore: loadNow() };
  run = current;
  await play({
    daemons,
    measurements: measurements(),
    rounds: options.rounds,
    results,
    tell: (text) => console.error(text),
    onRound: ({ label }) => {
      for (const { id } of rows) tellings.keep(results.stories(label, id));
      if (options.json !== undefined) writeFileSync(options.json, json(current, results));
    },
  });
  return report(current);
}

function report(current: Run): number {
  console.log(pageLines(current, results).join('\n'));
  if (options.phases) console.log(`\n${phasesLines(current, results, tellings).join('\n')}`);
  const failed = failureLines(current, results);
  for (const line of failed) console.error(`FAILED: ${line}`);
  // The targets are this project's.
  for (const { label } of current.daemons.filter(({ version }) => version.startsWith('tenure'))) {
    for (const line of misses(current.rows, label, results)) {
      console.error(`${label} missed its target: ${line}`);
    }
  }
  const why = noRatios(current);
  if (why !== null) console.error(why);
  if (failed.length > 0) return EXIT.failed;
  return why !== null && options.ratio ? EXIT.noRatio : 0;
}

/** Why there are no ratios; null when there are. */
function noRatios({ rows, daemons }: Run): string | null {
  const labels = daemons.map(({ label }) => label);
  try {
    for (const row of rows) ratio(row, labels, results);
    return null;
  } catch (error) {
    if (error instanceof NoComparison) return error.message;
    throw error;
  }
}

function parsedOptions(): BenchOptions {
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

await runScript(
  async () => {
    try {
      return await bench();
    } catch (error) {
      if (!(error instanceof BadDaemon)) throw error;
      console.error(error.message);
      return EXIT.badArguments;
    }
  },
  () => {
    if (run !== undefined) report(run);
    return EXIT.stopped;
  },
);
