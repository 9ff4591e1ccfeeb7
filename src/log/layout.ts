/** One line of the plain log, in the layout of Patroni's: `2026-07-01 12:00:00,123 INFO: text`. */

export interface Line {
  readonly time: Date;
  readonly level: string;
  readonly message: string;
}

export const DEFAULT_FORMAT = '%(asctime)s %(levelname)s: %(message)s';

const two = (value: number): string => String(value).padStart(2, '0');
const three = (value: number): string => String(value).padStart(3, '0');

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS =
  'January February March April May June July August September October November December'.split(
    ' ',
  );

function offset(time: Date): string {
  const minutes = -time.getTimezoneOffset();
  const sign = minutes < 0 ? '-' : '+';
  return `${sign}${two(Math.floor(Math.abs(minutes) / 60))}${two(Math.abs(minutes) % 60)}`;
}

/** The letters of strftime that log layouts use; local time. */
const STRFTIME: Readonly<Record<string, (time: Date) => string>> = {
  Y: (time) => String(time.getFullYear()),
  y: (time) => two(time.getFullYear() % 100),
  m: (time) => two(time.getMonth() + 1),
  d: (time) => two(time.getDate()),
  H: (time) => two(time.getHours()),
  I: (time) => two(((time.getHours() + 11) % 12) + 1),
  M: (time) => two(time.getMinutes()),
  S: (time) => two(time.getSeconds()),
  f: (time) => `${three(time.getMilliseconds())}000`,
  p: (time) => (time.getHours() < 12 ? 'AM' : 'PM'),
  a: (time) => (DAYS[time.getDay()] ?? '').slice(0, 3),
  A: (time) => DAYS[time.getDay()] ?? '',
  b: (time) => (MONTHS[time.getMonth()] ?? '').slice(0, 3),
  B: (time) => MONTHS[time.getMonth()] ?? '',
  F: (time) => `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`,
  T: (time) => `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`,
  z: offset,
  s: (time) => String(Math.floor(time.getTime() / 1000)),
  '%': () => '%',
};

function clockText(time: Date, layout: string): string {
  return layout.replace(/%(.)/g, (all, letter: string) => STRFTIME[letter]?.(time) ?? all);
}

const LEVEL_NUMBER: Readonly<Record<string, number>> = {
  DEBUG: 10,
  INFO: 20,
  WARNING: 30,
  ERROR: 40,
  CRITICAL: 50,
};

type Attribute = (line: Line, dateformat: string | undefined) => string;

/** What `%(name)s` may name. */
const ATTRIBUTES: Readonly<Record<string, Attribute>> = {
  asctime: ({ time }, dateformat) =>
    dateformat === undefined
      ? `${clockText(time, '%F %T')},${three(time.getMilliseconds())}`
      : clockText(time, dateformat),
  levelname: ({ level }) => level,
  levelno: ({ level }) => String(LEVEL_NUMBER[level] ?? 0),
  message: ({ message }) => message,
  name: () => 'tenure',
  process: () => String(process.pid),
  processName: () => 'MainProcess',
  thread: () => '0',
  threadName: () => 'MainThread',
  msecs: ({ time }) => String(time.getMilliseconds()),
  created: ({ time }) => String(time.getTime() / 1000),
  module: () => 'tenure',
};

const PLACE = /%\((\w+)\)(-?)(0?)(\d*)(?:\.\d+)?[sdif]|%%/g;

/** Names in `format` that nothing stands for. */
export function unknownAttributes(format: string): string[] {
  return [...format.matchAll(PLACE)].flatMap(([, name]) =>
    name === undefined || name in ATTRIBUTES ? [] : [name],
  );
}

/** Lines of text after the first are indented: nothing in a message can pass for a line of its own. */
export function layOut(line: Line, format: string, dateformat: string | undefined): string {
  const text = format.replace(
    PLACE,
    (all, name?: string, left?: string, zero?: string, width?: string) => {
      if (name === undefined) return '%';
      const value = ATTRIBUTES[name]?.(line, dateformat);
      if (value === undefined) return all;
      const size = Number(width || 0);
      return left ? value.padEnd(size) : value.padStart(size, zero ? '0' : ' ');
    },
  );
  return text.trimEnd().replace(/\r?\n|\r/g, '\n    ');
}

/** Attribute and key of each field of a JSON line, as `log.format` lists them. */
export type JsonLayout = readonly (readonly [attribute: string, key: string])[];

/** `[message, {levelname: level}]`, or the names in a text of the plain kind; null: neither. */
export function jsonLayout(format: unknown): JsonLayout | null {
  if (typeof format === 'string')
    return [...format.matchAll(PLACE)].flatMap(([, name]) => (name ? [[name, name] as const] : []));
  if (!Array.isArray(format)) return null;
  return format.flatMap((entry: unknown): JsonLayout => {
    if (typeof entry === 'string') return [[entry, entry]];
    if (typeof entry !== 'object' || entry === null) return [];
    return Object.entries(entry).map(([name, key]) => [name, String(key)]);
  });
}

/** A field that nobody knows is left out; {@link unknownFields} has named it. */
export function layOutJson(
  line: Line,
  layout: JsonLayout,
  dateformat: string | undefined,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    layout.flatMap(([name, key]) => {
      const value = ATTRIBUTES[name]?.(line, dateformat);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

export function unknownFields(layout: JsonLayout): string[] {
  return layout.flatMap(([name]) => (name in ATTRIBUTES ? [] : [name]));
}
