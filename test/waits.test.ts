/** No polls in disguise: every timer, and every wait of less than a second, is listed with its reason. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BARE_TIMERS, type Listed, SHORT_CONSTANTS, WAITS, WAKE_UPS } from './waits/list.ts';
import {
  bareTimers,
  clockWaits,
  isLong,
  shortConstants,
  type Wait,
  wakeUps,
} from './waits/reading.ts';

const root = resolve(import.meta.dirname, '..');

interface Source {
  readonly file: string;
  readonly text: string;
}

/** All of src but the clock itself. */
const sources: readonly Source[] = readdirSync(join(root, 'src'), {
  recursive: true,
  withFileTypes: true,
})
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  .filter((file) => file !== 'src/clock.ts')
  .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

type Reading = (file: string, text: string) => readonly Wait[];

/** One line for each wait that is not certainly a second or more, sorted. */
function found(reading: Reading, from: readonly Source[]): string[] {
  return from
    .flatMap(({ file, text }) => reading(file, text).filter(({ ms }) => !isLong(ms, text)))
    .map(({ where, ms }) => `${where}: ${ms}`)
    .sort();
}

const listed = (list: readonly Listed[]): string[] =>
  list.map(([where, ms]) => `${where}: ${ms}`).sort();

describe('waiting', () => {
  it('on the clock is listed with what it waits for and what bounds it', () => {
    expect(found(clockWaits, sources)).toEqual(listed(WAITS));
  });

  it('of decisions is listed with what it waits for and what bounds it', () => {
    expect(found(wakeUps, sources)).toEqual(listed(WAKE_UPS));
  });

  it('has constants of less than a second only where they are listed', () => {
    const inUse = sources.flatMap(({ file, text }) =>
      shortConstants(text).map((name) => `${file}: ${name}`),
    );
    const known = Object.entries(SHORT_CONSTANTS).flatMap(([file, names]) =>
      Object.keys(names).map((name) => `${file}: ${name}`),
    );
    expect(inUse.sort()).toEqual(known.sort());
  });

  it('uses timers of its own only where they are listed', () => {
    const inUse = sources
      .map(({ file, text }) => [file, bareTimers(text)] as const)
      .filter(([, count]) => count > 0);
    const known = Object.entries(BARE_TIMERS).map(([file, [count]]) => [file, count]);
    expect(Object.fromEntries(inUse)).toEqual(Object.fromEntries(known));
  });
});

describe('a poll in disguise', () => {
  it.each([
    { text: 'await clock.wait(50);', is: ['x.ts: 50'], because: 'a number' },
    {
      text: 'const A = 50;\nawait this.#clock.wait(A, signal);',
      is: ['x.ts: A'],
      because: 'a name',
    },
    { text: 'const A_MS = 5000;\nawait clock.wait(A_MS);', is: [], because: 'a long one' },
    {
      text: 'clock.after(\n  jitter(20, 30),\n  () => look(),\n);',
      is: ['x.ts: jitter(20, 30)'],
      because: 'a timer that begins itself anew',
    },
    {
      text: '// clock.wait(5)\nconst why = "clock.wait"; /* clock.wait(9) */',
      is: [],
      because: 'not code',
    },
  ])('is seen on the clock: $because', ({ text, is }) => {
    expect(found(clockWaits, [{ file: 'x.ts', text }])).toEqual(is);
  });

  it.each([
    { text: "decision(seen, 'a.b', `why, (so`, [], 40)", is: ['a.b: 40'] },
    {
      text: "decision(seen, 'a.b', 'why', [{ do: 'resign', x: [1, 2] }], SOON_MS)",
      is: ['a.b: SOON_MS'],
    },
    { text: "decision(seen, 'a.b', 'why, (really')", is: [] },
    { text: `decision(seen, 'a.b', "this node's, (its", [], 0)`, is: ['a.b: 0'] },
    { text: "decision(seen, 'a.b', 'why', [], 1000)", is: [] },
    { text: 'return { rule, why, steps, wakeInMs: 20 };', is: ['x.ts: 20'] },
    { text: 'return { waitMs: near(1, 2), exit: null };', is: ['x.ts: near(1, 2)'] },
    { text: 'interface A { readonly waitMs: number; }', is: [] },
  ])('is seen in a decision: $text', ({ text, is }) => {
    expect(found(wakeUps, [{ file: 'x.ts', text }])).toEqual(is);
  });

  it.each([
    { text: 'const timer = setInterval(look, 100);', is: 1 },
    { text: "import { setTimeout } from 'node:timers/promises';\nawait setTimeout(5);", is: 2 },
    { text: 'socket.setTimeout(0);', is: 0 },
  ])('is seen as a timer: $text', ({ text, is }) => {
    expect(bareTimers(text)).toBe(is);
  });

  it.each([
    { text: 'const LOOK_MS = 10;', is: ['LOOK_MS'] },
    { text: 'const BACK_OFF_MS = { first: 100, last: 2000 };', is: ['BACK_OFF_MS'] },
    { text: 'const DAY_MS = 24 * 3_600_000;', is: [] },
  ])('is seen as a constant: $text', ({ text, is }) => {
    expect(shortConstants(text)).toEqual(is);
  });
});
