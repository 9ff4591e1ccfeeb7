/**
 * What was run so far, range by range: one line of JSON each. A range counts for the source that it
 * was run with; the next one begins where the last one of the same source and seed ended.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ROOT } from '../../test/sim/broken/variant.ts';
import type { Totals } from '../../test/sim/totals.ts';

const ENTRY = z.object({
  /** When it ended, for people. */
  at: z.string(),
  source: z.string(),
  seed: z.string(),
  nodes: z.string(),
  first: z.int(),
  /** Up to here, exclusive. */
  end: z.int(),
  /** Fewer than the range has when violations ended it early. */
  schedules: z.int(),
  virtualSeconds: z.int(),
  seconds: z.number(),
  promotions: z.int(),
  /** Writes. */
  acknowledged: z.int(),
  faults: z.record(z.string(), z.int()),
  /** Seeds of schedules with a violation, and its kind. */
  violations: z.array(z.tuple([z.string(), z.string()])),
});

export type Entry = z.infer<typeof ENTRY>;

/** What decides how a schedule runs: the agent's code and the simulator's. */
export function sourceDigest(): string {
  const files = ['src/**/*.ts', 'test/sim/**/*.ts', 'test/store/memory*.ts']
    .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
    .filter((file) => !file.endsWith('.test.ts'))
    .sort();
  const digest = createHash('sha256');
  for (const file of files) digest.update(`${file}\n`).update(readFileSync(join(ROOT, file)));
  return digest.digest('hex').slice(0, 12);
}

/** @throws Error a line is not what this program writes */
export function readLedger(path: string): readonly Entry[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    try {
      return [ENTRY.parse(JSON.parse(line))];
    } catch (error) {
      throw new Error(`${path}, line ${index + 1}: ${String(error)}`);
    }
  });
}

type Same = Pick<Entry, 'source' | 'seed' | 'nodes'>;

/** Number of the first schedule that was not run yet. */
export function nextOf(entries: readonly Entry[], { source, seed, nodes }: Same): number {
  const same = entries.filter(
    (one) => one.source === source && one.seed === seed && one.nodes === nodes,
  );
  return Math.max(0, ...same.map(({ end }) => end));
}

export function enter(
  path: string,
  range: Same & Pick<Entry, 'first' | 'end'>,
  { schedules, virtualMs, promotions, acknowledged, faults, found }: Totals,
  seconds: number,
): void {
  const entry: Entry = {
    at: new Date().toISOString(),
    ...range,
    schedules,
    virtualSeconds: Math.round(virtualMs / 1000),
    seconds: Math.round(seconds * 10) / 10,
    promotions,
    acknowledged,
    faults,
    violations: found.map(({ schedule, violation }) => [schedule.seed, violation.kind]),
  };
  appendFileSync(path, `${JSON.stringify(entry)}\n`);
}

/** The sum of all ranges, as lines. */
export function summary(entries: readonly Entry[]): readonly string[] {
  const sum = (of: (entry: Entry) => number): number =>
    entries.reduce((total, entry) => total + of(entry), 0);
  const faults = new Map<string, number>();
  for (const entry of entries)
    for (const [kind, count] of Object.entries(entry.faults))
      faults.set(kind, (faults.get(kind) ?? 0) + count);
  const sorted = [...faults].sort((one, other) => other[1] - one[1]);
  const violations = entries.flatMap((entry) => entry.violations);
  const sources = new Set(entries.map(({ source }) => source));
  return [
    `${sum(({ schedules }) => schedules)} schedules in ${entries.length} ranges, of ${sources.size} versions of the source`,
    `${Math.round(sum(({ virtualSeconds }) => virtualSeconds) / 3600)} virtual hours in ${(sum(({ seconds }) => seconds) / 3600).toFixed(1)} hours`,
    `${sum(({ promotions }) => promotions)} promotions, ${sum(({ acknowledged }) => acknowledged)} writes acknowledged`,
    `${sorted.reduce((total, [, count]) => total + count, 0)} faults: ${sorted.map(([kind, count]) => `${kind} ${count}`).join(', ')}`,
    `violations: ${violations.length}${violations.map(([seed, kind]) => `\n  ${seed}: ${kind}`).join('')}`,
  ];
}
