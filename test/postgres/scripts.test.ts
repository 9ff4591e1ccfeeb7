/** The operator's own programs: run without a shell, heard when they say no (C-5.10, C-5.13). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { RealClock } from '../../src/clock.ts';
import { localScripts, PromotionRefused, type ScriptCommands } from '../../src/postgres/scripts.ts';
import { ManualClock } from '../store/manual-clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenure-scripts.'));
afterAll(() => rmSync(folder, { recursive: true }));

function scripts(commands: Partial<ScriptCommands>, clock = new RealClock()) {
  const said: string[] = [];
  const all = { prePromote: null, beforeStop: null, ...commands };
  return {
    said,
    ...localScripts(
      () => all,
      clock,
      (level, text) => said.push(`${level} ${text}`),
    ),
  };
}

it('allow a promotion with exit code 0, and where there is none', async () => {
  await scripts({}).prePromote();
  await scripts({ prePromote: 'true' }).prePromote();
});

it.each([
  ['exit code 1', 'false', /pre_promote: false failed with exit code 1/],
  ['a signal', "sh -c 'kill -9 $$'", /was ended by SIGKILL/],
  ['not being there', '/nowhere/fence', /could not be started/],
  ['quotes that do not match', "fence 'other", /cannot be read/],
])('refuse a promotion with %s', async (_how, prePromote, why) => {
  const refusal = scripts({ prePromote }).prePromote();
  await expect(refusal).rejects.toBeInstanceOf(PromotionRefused);
  await expect(refusal).rejects.toThrow(why);
});

it('refuse a promotion by not ending in time', async () => {
  const clock = new ManualClock();
  const refusal = scripts({ prePromote: 'sleep 3600' }, clock as unknown as RealClock).prePromote();
  refusal.catch(() => undefined);
  let over = false;
  const settled = refusal
    .catch((error: unknown) => error)
    .finally(() => {
      over = true;
    });
  // Its group is killed when the agent's clock says so, and not before.
  while (!over) {
    clock.advance(10_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(String(await settled)).toMatch(/did not end in 60000 ms/);
});

it('get their words as they are configured: no shell reads them', async () => {
  const file = join(folder, 'told');
  const program = 'require("fs").writeFileSync(process.argv[1], process.argv.slice(2).join("|"))';
  const command = `${process.execPath} -e '${program}' ${file} '$HOME; touch x' "a b"`;
  await scripts({ beforeStop: command }).beforeStop();
  expect(readFileSync(file, 'utf8')).toBe('$HOME; touch x|a b');
});

it('do not keep PostgreSQL from being stopped', async () => {
  const { beforeStop, said } = scripts({ beforeStop: 'false' });
  await beforeStop();
  expect(said.at(-1)).toMatch(/^warn before_stop: .*exit code 1.*; stopping all the same$/);
});
