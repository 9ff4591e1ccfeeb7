/** Every key of the schema with a value that is allowed and values that are not, by what the key says of itself. */
import { jsonSchema, type SchemaNode } from '../../src/config/inspect.ts';
import { localSchema } from '../../src/config/schema.ts';

export interface Key {
  readonly path: string;
  readonly node: SchemaNode;
}

/** All keys that hold a value, marked ones included. */
export function keysOf(node: SchemaNode = jsonSchema(localSchema), at = ''): readonly Key[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, below]) => {
    const path = at === '' ? name : `${at}.${name}`;
    return below.properties === undefined ? [{ path, node: below }] : keysOf(below, path);
  });
}

export function isActedOn({ node }: Key): boolean {
  return node.unsupported === undefined && node.refused === undefined && node.noEffect !== true;
}

interface Kind {
  readonly says: RegExp;
  readonly good: unknown;
  readonly bad: readonly unknown[];
}

const LISTS = [[], {}, null].slice(0, 2);

/** The first whose words fit. */
const KINDS: readonly Kind[] = [
  { says: /^text or a list$/, good: '%(message)s', bad: [] },
  { says: /^a map$/, good: { a: 'b' }, bad: [3, 'text', ['a list']] },
  { says: /^a map of settings$/, good: { work_mem: '1MB' }, bad: [3, 'text', ['a'], { a: [1] }] },
  {
    says: /^a map from slot name/,
    good: { a_slot: { type: 'physical' } },
    bad: [3, 'x', ['a'], { 'No-Name': 1 }],
  },
  { says: /^a list of lines$/, good: ['one line'], bad: ['text', 3, { a: 1 }, [[1]], [true]] },
  {
    says: /^a list of names$/,
    good: ['basebackup'],
    bad: ['text', 3, { a: 1 }, [], [[1]], [false]],
  },
  {
    says: /^a list of maps with name/,
    good: [{ name: 'a' }],
    bad: ['text', 3, ['a'], [{ name: [] }]],
  },
  {
    says: /^a list of names and of maps/,
    good: [{ 'max-rate': '1M' }, 'verbose'],
    bad: [3, 'text', [3], [[1]]],
  },
  {
    says: /^a list of IP addresses/,
    good: ['10.0.0.0/8'],
    bad: ['10.0.0.1', 3, ['somewhere.example'], ['10.0.0.0/99']],
  },
  { says: /^on, off, true/, good: true, bad: ['maybe', 2, -1, '', ...LISTS] },
  { says: /^seconds/, good: 90, bad: ['soon', -5, '5 weeks', '', true, ...LISTS] },
  { says: /^bytes/, good: 65_536, bad: ['much', -5, '5PB', '', true, ...LISTS] },
  { says: /^a whole number/, good: 7, bad: ['seven', 1.5, -2_000_000, '', true, ...LISTS] },
  { says: /^a mode/, good: 0o640, bad: ['rw', 4096, -1, 1.5, true, ...LISTS] },
  {
    says: /^host:port or/,
    good: '127.0.0.1:7001',
    bad: ['a b', '127.0.0.1:99999', 'http://a:1', true, ...LISTS],
  },
  { says: /^host:port, a comma/, good: 'a:1,b:2', bad: ['http://a:1', 3, true, ...LISTS, 'a:b'] },
  {
    says: /^host:port/,
    good: '127.0.0.1:7002',
    bad: ['0.0.0.0:1', 'a:99999', 'a b', true, ...LISTS],
  },
  { says: /^http:\/\//, good: 'http://a:2379', bad: ['a:2379', 'ftp://a:1', true, ...LISTS] },
  { says: /^text without/, good: 'n7', bad: ['a b', 'a/b', '', true, ...LISTS] },
  { says: /^a (?:folder|file)$/, good: '/srv/somewhere', bad: ['', ' ', true, ...LISTS] },
  { says: /^a device/, good: '/dev/watchdog', bad: ['', true, ...LISTS] },
  { says: /^a list of ciphers/, good: 'HIGH', bad: ['', true, ...LISTS] },
  {
    says: /^a map from header names/,
    good: { 'X-Member': 'n7' },
    bad: [3, 'text', ['a'], { connection: 'close' }],
  },
  { says: /^a command/, good: '/bin/something', bad: ['', true, ...LISTS] },
  { says: /^text/, good: 'some_text', bad: [true, ...LISTS] },
  { says: / or /, good: undefined, bad: ['no-such-word', 17, ...LISTS] },
];

function kindOf({ path, node }: Key): Kind {
  const kind = KINDS.find(({ says }) => says.test(node.allowed ?? ''));
  if (kind === undefined) throw new Error(`${path}: no samples for "${node.allowed}"`);
  return kind;
}

/** Of a choice the last word that is no synonym of "off". */
export function goodValue(key: Key): unknown {
  const { good } = kindOf(key);
  if (good !== undefined) return good;
  const words = (key.node.allowed ?? '').split(/, | or /);
  return words.find((word) => !['off', 'plain', 'required', 'http', 'DEBUG'].includes(word));
}

export function badValues(key: Key): readonly unknown[] {
  return kindOf(key).bad;
}

/** A tree with one value at each path. */
export function treeOf(values: readonly (readonly [path: string, value: unknown])[]) {
  const tree: Record<string, unknown> = {};
  for (const [path, value] of values) {
    const parts = path.split('.');
    const last = parts.pop() ?? '';
    let at = tree;
    for (const part of parts) {
      const below = at[part];
      at[part] = typeof below === 'object' && below !== null ? below : {};
      at = at[part] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return tree;
}
