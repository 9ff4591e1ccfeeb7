/**
 * npm run sim: the whole agent in virtual time, schedule after schedule. A violation is made as
 * small as possible and written down with its story; --replay shows it again.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { catalogue } from '../test/sim/broken/catalogue.ts';
import { breakIt } from '../test/sim/broken/variant.ts';
import type { Schedule } from '../test/sim/schedule.ts';
import type { Totals } from '../test/sim/totals.ts';
import type { Message } from './sim/worker.ts';

const USAGE = `usage: npm run sim -- [options]
  --schedules N     how many (default 1000)
  --seed S          schedule i has the seed S-i (default 1)
  --first I         begin with schedule I (default 0): ranges can be taken up again
  --nodes A..B      members of a cluster (default 3..7)
  --workers N       threads (default 2)
  --out DIR         where violations are written (default ./sim-violations)
  --replay FILE     run one schedule again and print its story
  --seed-of SEED    print the story of the schedule with exactly this seed
  --torn            with --seed-of: a crash may tear a promotion in two (an open problem)
  --variant NAME    break the agent on purpose; succeeds when that is noticed
  --variants        every broken variant, one after the other
  --help            this text`;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    first: { type: 'string', default: '0' },
    nodes: { type: 'string', default: '3..7' },
    workers: { type: 'string', default: '2' },
    out: { type: 'string', default: 'sim-violations' },
    replay: { type: 'string' },
    'seed-of': { type: 'string' },
    variant: { type: 'string' },
    variants: { type: 'boolean', default: false },
    torn: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const CRASHES = ['agent error', 'simulator error', 'unhandled rejection'];

process.exitCode = await main();

async function main(): Promise<number> {
  if (values.help) return say(USAGE);
  if (values.variants) return (await import('./sim/variants.ts')).everyVariant(values.seed);
  if (values.variant !== undefined) return variant(values.variant);
  if (values.replay !== undefined)
    return story(JSON.parse(readFileSync(values.replay, 'utf8')) as Schedule);
  const { generate } = await import('../test/sim/schedule.ts');
  if (values['seed-of'] !== undefined) {
    const schedule = generate(values['seed-of'], nodes());
    return story(values.torn ? { ...schedule, tornPromotions: true } : schedule);
  }
  return search();
}

function say(text: string): number {
  console.log(text);
  return 0;
}

function nodes(): readonly [number, number] {
  const [least = '3', most = least] = values.nodes.split('..');
  return [Number(least), Number(most)];
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
    mostViolations: 1,
  });
  const found = totals.found[0]?.violation;
  console.log(JSON.stringify({ schedules: totals.schedules, ...found }));
  // An agent that merely crashes says nothing about what this variant breaks.
  return found === undefined || CRASHES.includes(found.kind) ? 1 : 0;
}

async function search(): Promise<number> {
  const { add, newTotals } = await import('../test/sim/totals.ts');
  const { showTotals, Progress } = await import('./sim/show.ts');
  const wanted = Number(values.schedules);
  const first = Number(values.first);
  const workers = Math.max(1, Math.min(2, Number(values.workers)));
  const progress = new Progress(wanted);
  const totals = newTotals();
  await Promise.all(
    Array.from({ length: workers }, (_, index) =>
      share(first + index, workers, first + wanted, (sofar) => progress.show(index, sofar)),
    ),
  ).then((shares) => {
    for (const one of shares) add(totals, one);
  });
  progress.end();
  showTotals(totals, progress.seconds);
  for (const { schedule, violation } of totals.found) {
    console.log(`\nseed ${schedule.seed}: ${violation.kind}: ${violation.text}`);
    await writeDown(schedule, violation.kind);
  }
  return totals.found.length === 0 ? 0 : 1;
}

function share(
  first: number,
  stride: number,
  end: number,
  onProgress: (sofar: Totals) => void,
): Promise<Totals> {
  const workerData = {
    seed: values.seed,
    first,
    stride,
    end,
    nodes: nodes(),
    kinds: [],
    mostViolations: 5,
  };
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./sim/worker.ts', import.meta.url), { workerData });
    worker.on('message', ({ totals, done }: Message) => {
      onProgress(totals);
      if (done) resolve(totals);
    });
    worker.on('error', reject);
  });
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
