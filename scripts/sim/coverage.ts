/** What a batch of schedules takes of the decision core: its rules, and V8's count of every branch. */
import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector/promises';
import { relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Batch } from '../../test/sim/batch.ts';
import { ROOT } from '../../test/sim/broken/variant.ts';
import { table } from '../table.ts';

const CORE = pathToFileURL(`${ROOT}/src/core/`).href;

/** Prints it. The simulator is loaded only once V8 counts. */
export async function coverage(batch: Batch): Promise<void> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const { runBatch } = await import('../../test/sim/batch.ts');
  const { showRules } = await import('./show.ts');
  const totals = await runBatch(batch);
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();
  const files = result.filter(({ url }) => url.startsWith(CORE)).map(branchesOf);
  const rows = files
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, taken, count, missed }) => [
      name,
      `${taken}`,
      `${count}`,
      `${((100 * taken) / count).toFixed(0)}%`,
      missed.join(' '),
    ]);
  const taken = files.reduce((sum, file) => sum + file.taken, 0);
  const count = files.reduce((sum, file) => sum + file.count, 0);
  console.log(
    table([['file', 'taken', 'branches', '', 'never, by line'], ...rows], [1, 2, 3]).join('\n'),
  );
  console.log(
    `${totals.schedules} schedules take ${taken} of ${count} branches of src/core: ${((100 * taken) / count).toFixed(1)}%`,
  );
  showRules(totals);
}

interface Branches {
  readonly name: string;
  readonly taken: number;
  readonly count: number;
  /** Lines where branches begin that were never taken. */
  readonly missed: readonly number[];
}

/** Types are blanked, not cut, when Node loads a file: V8's offsets are those of the source. */
function branchesOf({ url, functions }: Profiler.ScriptCoverage): Branches {
  const path = fileURLToPath(url);
  const source = readFileSync(path, 'utf8');
  const ranges = functions.flatMap((one) => one.ranges);
  const missed = ranges
    .filter((range) => range.count === 0)
    .map(({ startOffset }) => lineAt(source, startOffset));
  return {
    name: relative(ROOT, path),
    taken: ranges.length - missed.length,
    count: ranges.length,
    missed: [...new Set(missed)].sort((one, other) => one - other),
  };
}

/** Of the first character that is not blank. */
function lineAt(source: string, offset: number): number {
  const blank = /^[\s{]*/.exec(source.slice(offset))?.[0].length ?? 0;
  return source.slice(0, offset + blank).split('\n').length;
}
