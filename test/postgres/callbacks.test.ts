/** Callbacks run one at a time, beside everything else, and the next one ends the one before (C-5.18). */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { waitFor } from '../../scripts/lab/wait.ts';
import { RealClock } from '../../src/clock.ts';
import { type CallbackCommands, Callbacks } from '../../src/postgres/callbacks.ts';

const DEADLINE_MS = 20_000;
let folder: string;
let said: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tenure-callbacks.'));
  said = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const callbacks = (commands: CallbackCommands): Callbacks =>
  new Callbacks({
    commands: () => commands,
    scope: 'demo',
    clock: new RealClock(),
    log: (level, text) => said.push(`${level} ${text}`),
  });
const told = (name: string): string => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '');
const until = (text: RegExp): Promise<unknown> =>
  waitFor(String(text), DEADLINE_MS, (seen) => {
    seen(said.join('; '));
    return said.some((line) => text.test(line));
  });
/** Notes its last three words, then stays. */
const hangs = (name: string): string => `sh -c 'echo "$@" > ${at(name)}; sleep 60' x`;

it('are told action, role and cluster', async () => {
  callbacks({ on_role_change: `sh -c 'echo "$@" > ${at('told')}' x --vip` }).tell({
    action: 'on_role_change',
    role: 'primary',
  });
  await until(/info callback on_role_change as primary: done/);
  expect(told('told').trim()).toBe('--vip on_role_change primary demo');
});

it('end the one that hangs, and leave the lane of on_reload alone', async () => {
  const commands = {
    on_start: hangs('start'),
    on_stop: 'true',
    on_reload: hangs('reload'),
  };
  const all = callbacks(commands);
  all.tell({ action: 'on_reload', role: 'replica' });
  all.tell({ action: 'on_start', role: 'replica' });
  await waitFor('both', DEADLINE_MS, () => told('start') !== '' && told('reload') !== '');
  all.tell({ action: 'on_stop', role: 'replica' });
  await until(/on_start as replica: sh was cancelled/);
  await until(/on_stop as replica: done/);
  expect(said.filter((line) => line.includes('on_reload'))).toEqual([]);
  commands.on_reload = 'true';
  all.tell({ action: 'on_reload', role: 'replica' });
  await until(/on_reload as replica: sh was cancelled/);
  await until(/on_reload as replica: done/);
});

it('that fail are only logged', async () => {
  const all = callbacks({ on_start: 'false', on_stop: "quo'te" });
  all.tell({ action: 'on_start', role: 'primary' });
  await until(/warn callback on_start as primary: false failed with exit code 1/);
  all.tell({ action: 'on_stop', role: 'primary' });
  await until(/warn callback on_stop as primary: /);
});
