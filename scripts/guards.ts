/**
 * npm run guards: takes each guard against a known bug of the field away, one at a time, in a copy
 * of the tree, and shows that its test fails. A test that passes without its feature is no test.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { guards } from './guards/catalogue.ts';
import type { Guard } from './guards/guard.ts';
import { table } from './table.ts';

const root = join(import.meta.dirname, '..');
const COPIED = [
  'src',
  'test',
  'scripts',
  'deploy',
  'bin',
  'package.json',
  'tsconfig.json',
  'vitest.config.ts',
  'biome.json',
  'config.example.yaml',
  'README.md',
  'docs',
];

const { values: options } = parseArgs({
  options: { only: { type: 'string' }, unit: { type: 'boolean', default: false } },
});

async function copyTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'tenure-guards.'));
  for (const name of COPIED) await cp(join(root, name), join(copy, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** True when the guard's test passes in `copy`. */
async function passes(copy: string, guard: Guard): Promise<boolean> {
  const project = guard.real ? 'integration' : 'unit';
  const result = await execa(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--configLoader',
      'native',
      '--project',
      project,
      guard.test,
      '-t',
      guard.name,
    ],
    { cwd: copy, reject: false, all: true },
  );
  if (/No test files found|\b0 passed|no tests/i.test(result.all))
    throw new Error(`${guard.id}: ${guard.test} has no test named "${guard.name}"`);
  return result.exitCode === 0;
}

async function without(copy: string, guard: Guard): Promise<boolean> {
  const file = join(copy, guard.file);
  const source = await readFile(file, 'utf8');
  const found = source.split(guard.guard).length - 1;
  if (found !== 1)
    throw new Error(`${guard.id}: the guard stands ${found} times in ${guard.file}, expected once`);
  await writeFile(
    file,
    source.replace(guard.guard, () => guard.without),
  );
  try {
    return await passes(copy, guard);
  } finally {
    await writeFile(file, source);
  }
}

async function main(): Promise<number> {
  const { only, unit } = options;
  const chosen = guards.filter(
    (guard) => (only === undefined || guard.id === only) && !(unit && guard.real),
  );
  const copy = await copyTree();
  const rows: string[][] = [['bug', 'rule', 'test', 'guard removed']];
  let wrong = 0;
  try {
    for (const guard of chosen) {
      const sound = (await passes(copy, guard)) && !(await without(copy, guard));
      if (!sound) wrong += 1;
      rows.push([
        guard.id,
        guard.rule,
        guard.test,
        sound ? 'fails without it' : 'WRONG: see the test',
      ]);
      process.stdout.write(`${guard.id} ${sound ? 'fails without its guard' : 'is WRONG'}\n`);
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  process.stdout.write(`\n${table(rows).join('\n')}\n`);
  return wrong === 0 ? 0 : 1;
}

process.exitCode = await main();
