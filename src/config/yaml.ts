/**
 * YAML as Patroni reads it: version 1.1 in the dialect of PyYAML. The library's 1.1 differs in ways
 * that hurt: it takes `y` and `n` as booleans, `0987` and `12e5` (passwords, often) as numbers, and
 * dates as instants.
 */
import { isMap, isScalar, type Pair, parseDocument, type ScalarTag, type Tags, visit } from 'yaml';
import { ConfigError } from './errors.ts';

/** What PyYAML takes as a value of each kind, narrower than the library. */
const NARROWER: Readonly<Record<string, RegExp>> = {
  'bool true': /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/,
  'bool false': /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/,
  int: /^[-+]?(?:0|[1-9][0-9_]*)$/,
  'float EXP': /^[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*[eE][-+][0-9]+$/,
  float: /^[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)$/,
};

function narrowed(tag: ScalarTag): ScalarTag {
  if (tag.test?.test('.nan')) return tag;
  const kind = tag.tag.replace('tag:yaml.org,2002:', '');
  const test =
    kind === 'bool'
      ? NARROWER[tag.identify?.(true) ? 'bool true' : 'bool false']
      : NARROWER[tag.format === undefined ? kind : `${kind} ${tag.format}`];
  return test ? { ...tag, test } : tag;
}

/** Dates stay the text that they are; times such as `12:30` are sixty-based numbers, as in PyYAML. */
function dialect(tags: Tags): Tags {
  return tags
    .filter((tag) => typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:timestamp')
    .map((tag) => (typeof tag !== 'string' && 'test' in tag ? narrowed(tag as ScalarTag) : tag));
}

/**
 * Parses one document; an empty one is an empty map. Keys are text as written; numbers too long to
 * be exact are text as written.
 * @throws ConfigError with file, line, column and reason
 */
export function parseYaml(content: string, source: string): Record<string, unknown> {
  const document = parseDocument(content, {
    version: '1.1',
    customTags: dialect,
    intAsBigInt: true,
    prettyErrors: true,
    logLevel: 'silent',
  });
  const faults = document.errors.map((error) => {
    const at = error.linePos?.[0];
    const where = at ? `line ${at.line}, column ${at.col}: ` : '';
    // The rest of the message quotes the file, which may hold passwords.
    const reason = error.message.split(/ at line \d+|\n/)[0] ?? error.message;
    const key =
      error.code === 'DUPLICATE_KEY'
        ? ` (${/^[\w.-]*/.exec(content.slice(error.pos[0]))?.[0]})`
        : '';
    return `${where}${reason}${key}`;
  });
  if (faults.length > 0) throw new ConfigError(source, faults);
  visit(document, { Pair: (_index, pair) => keepKeyAsWritten(pair) });
  if (document.contents === null) return {};
  if (!isMap(document.contents))
    throw new ConfigError(source, ['line 1: found no map, allowed: a map of sections']);
  try {
    return plain(document.toJS()) as Record<string, unknown>;
  } catch (error) {
    // Aliases and merges are followed only now.
    throw new ConfigError(source, [(error as Error).message], { cause: error });
  }
}

function keepKeyAsWritten(pair: Pair): void {
  const key = pair.key;
  if (isScalar(key) && typeof key.value !== 'symbol' && key.source !== undefined)
    key.value = key.source;
}

/** BigInt to number where that is exact, to text elsewhere. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}
