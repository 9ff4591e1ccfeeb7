/** Every key of the schema with wrong values: one line that names path, found and allowed. */
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { ConfigError, loadConfig } from '../../src/config/index.ts';
import { file, MINIMAL } from './files.ts';
import { badValues, goodValue, isActedOn, type Key, keysOf, treeOf } from './samples.ts';

const minimal = parse(MINIMAL) as Record<string, unknown>;

function merged(base: unknown, over: unknown): unknown {
  if (typeof base !== 'object' || typeof over !== 'object' || !base || !over) return over;
  if (Array.isArray(over) || Array.isArray(base)) return over;
  const all: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) all[key] = merged(all[key], value);
  return all;
}

/** What is said about the least configuration with this over it. */
function linesFor(over: Record<string, unknown>): readonly string[] {
  const path = file(stringify(merged(minimal, over), { version: '1.1' }));
  try {
    loadConfig(path, {});
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
}

/** What else a section needs when it is there at all. */
function companions(key: Key): readonly (readonly [string, unknown])[] {
  const { path } = key;
  if (path.startsWith('restapi.authentication.'))
    return [
      ['restapi.authentication.username', 'u'],
      ['restapi.authentication.password', 'p'],
    ];
  if (path.startsWith('postgresql.authentication.rewind.'))
    return [['postgresql.authentication.rewind.username', 'r']];
  return [];
}

const keys = keysOf().filter(isActedOn);

describe('every key', () => {
  it('is known to this test', () => {
    expect(keys.length).toBeGreaterThan(130);
    for (const key of keys) if (key.node.allowed !== undefined) badValues(key);
  });

  it.each(keys.filter(({ node }) => node.allowed).map((key) => [key.path, key] as const))(
    '%s: wrong values are named, with what is allowed',
    (path, key) => {
      for (const value of badValues(key)) {
        const lines = linesFor(treeOf([...companions(key), [path, value]]));
        const about = lines.filter((line) => line.startsWith(path));
        expect(about, `${JSON.stringify(value)} for ${path}: ${lines.join(' | ')}`).not.toEqual([]);
        const [line = ''] = about;
        expect(line).toMatch(/: found .+, allowed: .+/);
        if (/password/.test(path))
          expect(line).toMatch(/found (?:a list|a map|a \w+ \(not shown\)),/);
      }
    },
  );

  it.each(keys.filter(({ node }) => node.allowed).map((key) => [key.path, key] as const))(
    '%s: a value that is allowed is taken',
    (path, key) => {
      const value = goodValue(key);
      const lines = linesFor(treeOf([...companions(key), [path, value]]));
      // What belongs together, such as certificate and key, is asked for elsewhere.
      expect(lines.filter((line) => line.startsWith(`${path}:`))).toEqual([]);
    },
  );

  it('that is wrong is listed beside all others that are', () => {
    const all = keys.filter((key) => key.node.allowed && badValues(key).length > 0);
    const wrong = all.map((key): [string, unknown] => [key.path, badValues(key)[0]]);
    const lines = linesFor(treeOf(wrong));
    const silent = all.filter(({ path }) => !lines.some((line) => line.startsWith(path)));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });
});
