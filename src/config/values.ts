/** The kinds of value that people write into a configuration, read as generously as Patroni reads them. */
import * as z from 'zod';

/** Bytes of each unit. */
const BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3,
  tb: 1024 ** 4,
};

/** Milliseconds of each unit. */
const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

type Plain = string | number | boolean;

/** A number with an optional unit; `base` is what a bare number counts. Undefined: not understood. */
function withUnit(
  value: unknown,
  units: Readonly<Record<string, number>>,
  base: number,
): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value * base : undefined;
  if (typeof value !== 'string') return undefined;
  const match = /^\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*([a-z]*)\s*$/i.exec(value);
  if (!match) return undefined;
  const unit = match[2] === '' ? base : units[(match[2] ?? '').toLowerCase()];
  return unit === undefined ? undefined : Number(match[1]) * unit;
}

/** Milliseconds of `30`, `30s`, `5min`; a bare number counts seconds. */
export function parseDuration(value: unknown): number | undefined {
  const parsed = withUnit(value, MILLISECONDS, 1000);
  return parsed === undefined ? undefined : Math.round(parsed);
}

/** Bytes of `1048576`, `1MB`. */
export function parseBytes(value: unknown): number | undefined {
  const parsed = withUnit(value, BYTES, 1);
  return parsed === undefined ? undefined : Math.round(parsed);
}

/** on/off, true/false, yes/no, 1/0 in any case. */
export function parseBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  const word = String(value).trim().toLowerCase();
  if (['on', 'true', 'yes', '1'].includes(word)) return true;
  if (['off', 'false', 'no', '0'].includes(word)) return false;
  return undefined;
}

export function parseInteger(value: unknown): number | undefined {
  const parsed = withUnit(value, {}, 1);
  return parsed !== undefined && Number.isSafeInteger(parsed) ? parsed : undefined;
}

/**
 * What the JSON Schema can say about a scalar: `pattern` is for text, the bounds are for numbers.
 * Nothing that is read may be refused by it; to find every fault is the reader's part.
 */
interface Keywords {
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly multipleOf?: number;
  readonly not?: Readonly<Record<string, unknown>>;
}

const NO_BOOLEAN: Keywords = { not: { type: 'boolean' } };

/** A regular expression for a word in any case: JSON Schema has no flags. */
function anyCase(word: string): string {
  return [...word]
    .map((letter) =>
      /[a-z]/i.test(letter) ? `[${letter.toLowerCase()}${letter.toUpperCase()}]` : letter,
    )
    .join('');
}

function words(...names: readonly string[]): string {
  return `^\\s*(?:${names.map(anyCase).join('|')})\\s*$`;
}

function numberPattern(units: readonly string[]): string {
  const unit = units.length === 0 ? '' : `(?:${units.map(anyCase).join('|')})?`;
  return `^\\s*[-+]?(?:\\d+\\.?\\d*|\\.\\d+)\\s*${unit}\\s*$`;
}

/**
 * A scalar that `parse` understands; `allowed` is both the error text and the documentation.
 * Built without inner checks, so that a bad value gives this one message.
 */
function scalar<T>(
  allowed: string,
  parse: (value: Plain) => T | undefined,
  keywords: Keywords = {},
) {
  return z
    .union([z.string(), z.number(), z.boolean()], { error: allowed })
    .transform((value, context): T => {
      const parsed = parse(value);
      if (parsed !== undefined) return parsed;
      context.addIssue({ code: 'custom', message: allowed });
      return z.NEVER;
    })
    .meta({ allowed, ...keywords });
}

const asText = (value: Plain): string | undefined =>
  typeof value === 'boolean' ? undefined : String(value);

/** Text; a number is taken as it is written. */
export function text(allowed = 'text (quote on, off, yes, no, true and false)') {
  const parse = (value: Plain): string | undefined => {
    const read = asText(value)?.trim();
    return read === '' ? undefined : read;
  };
  return scalar(allowed, parse, { ...NO_BOOLEAN, pattern: '\\S' });
}

/** A member's name is the last part of a key in the store, and goes into primary_conninfo. */
export function memberName() {
  const parse = (value: Plain): string | undefined => {
    const read = asText(value);
    return read !== undefined && /^[^\s/]+$/.test(read) ? read : undefined;
  };
  return scalar('text without / and blanks', parse, { ...NO_BOOLEAN, pattern: '^[^\\s/]+$' });
}

/** Text that may hold anything, blanks and emptiness included; numbers as written. */
export function secret() {
  return scalar('text (quote on, off, yes, no, true and false)', asText, NO_BOOLEAN);
}

export function boolean() {
  return scalar('on, off, true, false, yes, no, 1 or 0', parseBoolean, {
    pattern: words('on', 'off', 'true', 'false', 'yes', 'no', '1', '0'),
    minimum: 0,
    maximum: 1,
    multipleOf: 1,
  });
}

export function oneOf<const T extends readonly string[]>(...names: T) {
  const allowed = `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  const parse = (value: Plain): T[number] | undefined => {
    const word = typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value).toLowerCase();
    return names.find((name) => name.toLowerCase() === word);
  };
  const not = [
    ...(names.some((name) => /^\d+$/.test(name)) ? [] : ['number']),
    ...(names.includes('on') || names.includes('off') ? [] : ['boolean']),
  ];
  return scalar<T[number]>(allowed, parse, {
    pattern: `^(?:${names.map(anyCase).join('|')})$`,
    ...(not.length > 0 && { not: { type: not } }),
  });
}

/** Milliseconds out of seconds or text with a unit. */
export function duration(minimumSeconds: number) {
  return scalar(
    `seconds, or a number with ms, s, min, h or d, at least ${minimumSeconds}`,
    (value) => {
      const parsed = parseDuration(value);
      return parsed !== undefined && parsed >= minimumSeconds * 1000 ? parsed : undefined;
    },
    { ...NO_BOOLEAN, pattern: numberPattern(Object.keys(MILLISECONDS)), minimum: minimumSeconds },
  );
}

/** Milliseconds before the end of the lease; -1: half of ttl. */
export function safetyMargin() {
  return scalar(
    'seconds, or -1 for half of ttl',
    (value) => {
      if (Number(value) === -1) return -1;
      const parsed = parseDuration(value);
      return parsed !== undefined && parsed >= 0 ? parsed : undefined;
    },
    { ...NO_BOOLEAN, pattern: numberPattern(Object.keys(MILLISECONDS)), minimum: -1 },
  );
}

export function bytes(minimum: number) {
  return scalar(
    `bytes, or a number with kB, MB, GB or TB, at least ${minimum}`,
    (value) => {
      const parsed = parseBytes(value);
      return parsed !== undefined && parsed >= minimum ? parsed : undefined;
    },
    { ...NO_BOOLEAN, pattern: numberPattern(Object.keys(BYTES)), minimum },
  );
}

export function integer(minimum: number, maximum = Number.MAX_SAFE_INTEGER) {
  const upTo = maximum === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${maximum}`;
  return scalar(
    `a whole number, at least ${minimum}${upTo}`,
    (value) => {
      const parsed = parseInteger(value);
      return parsed !== undefined && parsed >= minimum && parsed <= maximum ? parsed : undefined;
    },
    { ...NO_BOOLEAN, pattern: numberPattern([]), minimum, maximum, multipleOf: 1 },
  );
}

/** YAML reads `0640` as octal; a text is octal too. */
export function fileMode() {
  return scalar(
    'a mode such as 0640, at most 0777',
    (value) => {
      const read = typeof value === 'string' ? octal(value) : parseInteger(value);
      return read !== undefined && read >= 0 && read <= 0o777 ? read : undefined;
    },
    { ...NO_BOOLEAN, pattern: '^(?:0o?)?[0-7]{1,4}$', minimum: 0, maximum: 0o777, multipleOf: 1 },
  );
}

function octal(text: string): number | undefined {
  return /^(?:0o?)?[0-7]{1,4}$/.test(text) ? Number.parseInt(text.replace('o', ''), 8) : undefined;
}

/** A PostgreSQL setting as its configuration file wants it. */
export function settingText(value: Plain): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return String(value);
}

/** Settings of PostgreSQL by name: names in lower case, values as text. */
export function postgresSettings() {
  const value = z.union([z.string(), z.number(), z.boolean()], {
    error: 'text, a number or on/off',
  });
  return z
    .record(z.string(), value.transform(settingText), { error: 'a map of settings' })
    .transform((settings) =>
      Object.fromEntries(Object.entries(settings).map(([name, set]) => [name.toLowerCase(), set])),
    )
    .meta({ allowed: 'a map of settings' });
}

/** A list of lines. */
export function lines(allowed = 'a list of lines') {
  return z.array(text(), { error: allowed }).meta({ allowed });
}

/** One option of a command line tool; `value` null: a switch. */
export interface ToolOption {
  readonly name: string;
  readonly value: string | null;
}

/** `[{ encoding: UTF8 }, data-checksums]`, or a plain map of the same. */
export function toolOptions() {
  const allowed = 'a list of names and of maps from name to value';
  const value = z.union([z.string(), z.number(), z.boolean()], {
    error: 'text, a number or on/off',
  });
  const map = z.record(z.string(), value, { error: allowed });
  const entry = z.union([z.string(), map], { error: 'a name, or a map from name to value' });
  return z
    .union([z.array(entry), map], { error: allowed })
    .transform((options): readonly ToolOption[] =>
      (Array.isArray(options) ? options : [options]).flatMap(optionsOf),
    )
    .meta({ allowed });
}

/** As the tools' own part takes them. */
export function toolOptionList(
  list: readonly ToolOption[],
): readonly (string | Readonly<Record<string, string>>)[] {
  return list.map(({ name, value }) => (value === null ? name : { [name]: value }));
}

function optionsOf(entry: string | Readonly<Record<string, Plain>>): ToolOption[] {
  if (typeof entry === 'string') {
    const [name = '', ...rest] = entry.replace(/^--/, '').split('=');
    return [{ name, value: rest.length > 0 ? rest.join('=') : null }];
  }
  return Object.entries(entry).flatMap(([name, value]) => {
    if (value === false) return [];
    return [{ name: name.replace(/^--/, ''), value: value === true ? null : String(value) }];
  });
}
