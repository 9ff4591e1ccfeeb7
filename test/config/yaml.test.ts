import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/errors.ts';
import { parseYaml } from '../../src/config/yaml.ts';

const parse = (text: string): Record<string, unknown> => parseYaml(text, 'test.yml');

describe('YAML as PyYAML reads it', () => {
  it.each([
    // PostgreSQL gets decimal 416, which is octal 0640: with YAML 1.2 it would get 640.
    ['a: 0640', 416],
    ['a: on', true],
    ['a: No', false],
    ['a: y', 'y'],
    ['a: N', 'N'],
    ['a: 2026-07-01', '2026-07-01'],
    ['a: 2026-07-01 12:00:00', '2026-07-01 12:00:00'],
    ['a: 12:30', 750],
    ['a: 0987', '0987'],
    ['a: 12e5678', '12e5678'],
    ['a: 1.5', 1.5],
    ['a: 12345678901234567890', '12345678901234567890'],
    ['a: 1_000', 1000],
    ['a: 0x1F', 31],
    ['a: ~', null],
    ['a: host all all 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 trust'],
  ])('%s', (text, expected) => {
    expect(parse(text)).toEqual({ a: expected });
  });

  it('keeps keys as they are written', () => {
    expect(parse('n: 1\non: 2\n0640: 3\n1.10: 4')).toEqual({ n: 1, on: 2, '0640': 3, '1.10': 4 });
  });

  it('merges anchors with <<', () => {
    const text = 'base: &base {a: 1, b: 2}\nother:\n  <<: *base\n  b: 3\n';
    expect(parse(text).other).toEqual({ a: 1, b: 3 });
  });

  it('takes an empty document as an empty map', () => {
    expect(parse('# nothing\n')).toEqual({});
  });
});

describe('what is not YAML', () => {
  it.each([
    ['a key twice', 'scope: a\nname: b\nscope: c\n', /line 3, column 1: .*unique.*scope/],
    ['a broken list', 'a: [1\nb: 2\n', /line 2, column 1: /],
    ['a tab', 'a:\n\tb: 1\n', /line 2, column 1: .*[Tt]ab/],
    ['a list at the top', '- a\n', /allowed: a map of sections/],
    ['an alias to nothing', 'a: *gone\n', /gone/],
    ['a merge of something else', 'a:\n  <<: 3\n', /[Mm]erge/],
  ])('%s is one readable error', (_what, text, expected) => {
    let thrown: unknown;
    try {
      parse(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigError);
    expect((thrown as ConfigError).message).toMatch(/^test\.yml:\n {2}/);
    expect((thrown as ConfigError).message).toMatch(expected);
  });

  it('does not quote the text, which may hold a password', () => {
    expect(() => parse('password: "geheim\nb: 1\n')).toThrow(/^(?![\s\S]*geheim)/);
  });
});
