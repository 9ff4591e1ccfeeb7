/**
 * npm run chaos: a cluster of three nodes and three etcd members under random faults of processes,
 * network, disks and clocks, with clients that write all the time. Exit code 1 when a promise was broken.
 */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { enter, nextOf, readLedger, summary } from './chaos/ledger.ts';
import { MODES, type Mode } from './chaos/modes.ts';
import { Network } from './chaos/network.ts';
import { type Played, play } from './chaos/round.ts';
import { Scene } from './chaos/scene.ts';
import { kindsFor, plan } from './chaos/schedule.ts';
import type { Lab } from './lab/index.ts';
import { runScript } from './lab/script.ts';
import { mustBeWritable } from './output.ts';

const HELP = `usage: npm run chaos -- [OPTIONS]
       npm run chaos -- --summary FILE...
  --minutes M     begin no fault after this time (default 5)
  --seed S        of the schedule, a whole number (default 1)
  --mode MODE     ${MODES.join(', ')} (default ${MODES[0]})
  --faults N      play at most so many
  --out FILE      add a line for each fault; a later run with the same seed and mode goes on after the last
  --logs FOLDER   after a violation, copy the daemons' logs there`;

function fail(message: string): never {
  console.error(`${message}\n${HELP}`);
  process.exit(2);
}

function parsed() {
  try {
    return parseArgs({
      options: {
        minutes: { type: 'string', default: '5' },
        seed: { type: 'string', default: '1' },
        mode: { type: 'string', default: MODES[0] },
        faults: { type: 'string' },
        out: { type: 'string' },
        logs: { type: 'string' },
        summary: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    });
  } catch (error) {
    return fail((error as Error).message);
  }
}

const { values, positionals } = parsed();
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if (values.summary) {
  console.log(summary(positionals.flatMap(readLedger)).join('\n'));
  process.exit(0);
}

const number = (name: 'minutes' | 'seed' | 'faults', fallback: number): number => {
  const text = values[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  return value > 0 && (name === 'minutes' || Number.isSafeInteger(value))
    ? value
    : fail(`--${name}: found "${text}"; allowed: a number greater than 0`);
};
const minutes = number('minutes', 5);
const seed = number('seed', 1);
const faults = number('faults', Number.POSITIVE_INFINITY);
const mode: Mode =
  MODES.find((one) => one === values.mode) ??
  fail(`--mode: found "${values.mode}"; allowed: ${MODES.join(', ')}`);
const { out } = values;
const namespaces = process.env.TENURE_CHAOS_NETWORK === 'namespaces';

const LOG_LINES = 30;
/** PostgreSQL has a point before the milliseconds. */
const OWN_LINE = /^[\d-]+ [\d:]+,\d/;

async function chaos(lab: Lab, stopped: AbortSignal): Promise<number> {
  const kinds = kindsFor(namespaces ? 'namespaces' : 'loopback');
  const first = out === undefined ? 0 : nextOf(readLedger(out), seed, mode);
  const network = namespaces ? await Network.create(Scene.members()) : null;
  const scene = await Scene.start(lab, mode, network);
  console.log(
    `${mode}, seed ${seed}, from fault ${first}; ${namespaces ? 'networks of their own' : 'on the loopback'}`,
  );
  const end = performance.now() + minutes * 60_000;
  const played: Played[] = [];
  while (performance.now() < end && played.length < faults && !stopped.aborted) {
    const fault = plan(seed, first + played.length, kinds);
    const result = await play(scene, fault);
    played.push(result);
    if (out !== undefined) enter(out, { at: new Date().toISOString(), seed, ...result });
    tell(result);
    if (result.violations.length > 0) showLogs(scene, result);
    if (result.healedMs === null) break;
  }
  const violations = played.flatMap((one) => one.violations);
  console.log(`${played.length} faults, ${violations.length} violations (${mode}, seed ${seed})`);
  return violations.length === 0 ? 0 : 1;
}

function tell(one: Played): void {
  const healed = one.healedMs === null ? 'not healed' : `healed in ${one.healedMs} ms`;
  const lost =
    one.lost === 0 ? '' : `, ${one.lost} lost (${one.lostBytes} bytes, ${one.lostMs} ms)`;
  const excused = one.excused === 0 ? '' : `, ${one.excused} by a second node right after a pause`;
  console.log(
    `${one.number} ${one.kind}, ${one.on}, ${one.durationMs} ms: outage ${one.outageMs} ms, ${healed}, ${one.acknowledged} acknowledged${lost}${excused}`,
  );
}

/** Without those of its PostgreSQL, which are in the same file. */
const ownLines = (log: string): readonly string[] =>
  readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => OWN_LINE.test(line));

function showLogs(scene: Scene, { violations, number: which }: Played): void {
  for (const violation of violations) {
    console.error(`VIOLATION (${mode}, seed ${seed}, fault ${which}): ${violation}`);
  }
  for (const { name, log } of scene.cluster.nodes) {
    console.error(
      `--- ${name}, end of its daemon's log:\n${ownLines(log).slice(-LOG_LINES).join('\n')}`,
    );
    if (values.logs === undefined) continue;
    const folder = join(values.logs, `${mode}-${seed}-${which}`);
    mkdirSync(folder, { recursive: true });
    copyFileSync(log, join(folder, `${name}.log`));
  }
}

if (out !== undefined) mustBeWritable('--out', out);
await runScript(chaos);
