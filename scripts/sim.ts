/**
 * npm run sim: the whole agent in virtual time, schedule after schedule. A violation is made as
 * small as possible and written down with its story; --replay shows it again.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { catalogue } from '../test/sim/broken/catalogue.ts';
import { breakIt } from '../test/sim/broken/variant.ts';
import type { Modes, Schedule } from '../test/sim/schedule.ts';

const USAGE = `usage: npm run sim -- [options]
  --schedules N     how many (default 1000)
  --seed S          schedule i has the seed S-i (default 1)
  --first I         begin with schedule I (default 0): ranges can be taken up again
  --nodes A..B      members of a cluster (default 3..7)
  --modes JSON      instead of what the seed draws, as {"failsafe":true,"synchronous":"quorum"}
  --workers N       threads (default 2)
  --out DIR         where violations are written (default ./sim-violations)
  --ledger FILE     enter what was run into FILE, and go on where it ends for this source and seed
  --summary         with --ledger: the sum of all that is in it
  --coverage        which rules and branches of the decision core the schedules take
  --replay FILE     run one schedule again and print its story
  --seed-of SEED    print the story of the schedule with exactly this seed
  --variant NAME    break the agent on purpose; succeeds when that is noticed
  --variants        every broken variant, one after the other
  --help            this text`;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    first: { type: 'string' },
    nodes: { type: 'string', default: '3..7' },
    modes: { type: 'string', default: '{}' },
    workers: { type: 'string', default: '2' },
    out: { type: 'string', default: 'sim-violations' },
    replay: { type: 'string' },
    'seed-of': { type: 'string' },
    variant: { type: 'string' },
    variants: { type: 'boolean', default: false },
    ledger: { type: 'string' },
    summary: { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** Entered into the ledger at a time: what is lost when the run is broken off. */
const STRETCH = 1000;

const CRASHES = ['agent error', 'simulator error', 'unhandled rejection'];

process.exitCode = await main();

async function main(): Promise<number> {
  if (values.help) return say(USAGE);
  if (values.variants) return (await import('./sim/variants.ts')).everyVariant(values.seed);
  if (values.variant !== undefined) return variant(values.variant);
  if (values.replay !== undefined)
    return story(JSON.parse(readFileSync(values.replay, 'utf8')) as Schedule);
  if (values.summary) return summed();
  const { generate } = await import('../test/sim/schedule.ts');
  if (values['seed-of'] !== undefined) {
    return story(generate(values['seed-of'], nodes(), [], modes()));
  }
  if (values.coverage) return covered();
  return search();
}

async function summed(): Promise<number> {
  const { readLedger, summary } = await import('./sim/ledger.ts');
  return say(summary(readLedger(values.ledger ?? 'docs/simulation-runs.jsonl')).join('\n'));
}

async function covered(): Promise<number> {
  const { coverage } = await import('./sim/coverage.ts');
  await coverage({ ...range(), first: 0, stride: 1, end: Number(values.schedules) });
  return 0;
}

function say(text: string): number {
  console.log(text);
  return 0;
}

function nodes(): readonly [number, number] {
  const [least = '3', most = least] = values.nodes.split('..');
  return [Number(least), Number(most)];
}

function modes(): Partial<Modes> {
  return JSON.parse(values.modes) as Partial<Modes>;
}

async function story(schedule: Schedule): Promise<number> {
  const { simulate } = await import('../test/sim/batch.ts');
  const { timeline } = await import('../test/sim/timeline.ts');
  const outcome = await simulate(schedule, true);
  process.stdout.write(timeline(schedule, outcome));
  return outcome.violations.length === 0 ? 0 : 1;
}

/** Exit code 0: the break was noticed in time. */
async function variant(name: string): Promise<number> {
  const broken = catalogue.find((one) => one.name === name);
  if (broken === undefined) throw new Error(`no variant ${name}`);
  breakIt(broken);
  const { runBatch } = await import('../test/sim/batch.ts');
  const totals = await runBatch({
    seed: values.seed,
    first: 0,
    stride: 1,
    end: broken.within,
    nodes: [3, 4],
    kinds: broken.kinds ?? [],
    modes: broken.modes ?? {},
    mostViolations: 1,
  });
  const found = totals.found[0]?.violation;
  console.log(JSON.stringify({ schedules: totals.schedules, ...found }));
  // An agent that merely crashes says nothing about what this variant breaks.
  return found === undefined || CRASHES.includes(found.kind) ? 1 : 0;
}

function range(): {
  seed: string;
  nodes: readonly [number, number];
  kinds: [];
  modes: Partial<Modes>;
  mostViolations: number;
} {
  return { seed: values.seed, nodes: nodes(), kinds: [], modes: modes(), mostViolations: 5 };
}

async function search(): Promise<number> {
  const { add, newTotals } = await import('../test/sim/totals.ts');
  const { showTotals, Progress } = await import('./sim/show.ts');
  const { Threads } = await import('./sim/threads.ts');
  const ledger = await import('./sim/ledger.ts');
  const same = { source: ledger.sourceDigest(), seed: values.seed, nodes: values.nodes };
  const path = values.ledger;
  const known = path === undefined ? [] : ledger.readLedger(path);
  const wanted = Number(values.schedules);
  const begin = Number(values.first ?? ledger.nextOf(known, same));
  const progress = new Progress(wanted);
  const threads = new Threads(Math.max(1, Math.min(2, Number(values.workers))));
  const totals = newTotals();
  for (let first = begin; first < begin + wanted && totals.found.length === 0; first += STRETCH) {
    const end = Math.min(first + STRETCH, begin + wanted);
    const before = progress.seconds;
    const more = await threads.run({ ...range(), first, end }, (sofar) =>
      progress.show(totals.schedules + sofar.schedules, sofar.found.length),
    );
    add(totals, more);
    if (path !== undefined)
      ledger.enter(path, { ...same, first, end }, more, progress.seconds - before);
  }
  await threads.end();
  progress.end();
  showTotals(totals, progress.seconds);
  for (const { schedule, violation } of totals.found) {
    console.log(`\nseed ${schedule.seed}: ${violation.kind}: ${violation.text}`);
    await writeDown(schedule, violation.kind);
  }
  return totals.found.length === 0 ? 0 : 1;
}

async function writeDown(schedule: Schedule, kind: string): Promise<void> {
  const { shrink } = await import('../test/sim/shrink.ts');
  const { simulate } = await import('../test/sim/batch.ts');
  const { timeline } = await import('../test/sim/timeline.ts');
  const small = await shrink(schedule, kind);
  mkdirSync(values.out, { recursive: true });
  const path = join(values.out, `${schedule.seed}.json`);
  writeFileSync(path, `${JSON.stringify(small, null, 2)}\n`);
  writeFileSync(path.replace(/json$/, 'txt'), timeline(small, await simulate(small, true)));
  console.log(`  ${schedule.faults.length} faults, ${small.faults.length} after shrinking`);
  console.log(`  story: ${path.replace(/json$/, 'txt')}`);
  console.log(`  again: npm run sim -- --replay ${path}`);
}
