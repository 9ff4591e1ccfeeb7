/** docs/configuration.schema.json: current, and of one mind with the daemon. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { configurationSchemaText } from '../../src/config/documentation.ts';
import { parseYaml } from '../../src/config/yaml.ts';
import { MINIMAL } from './files.ts';
import { badValues, goodValue, isActedOn, keysOf, treeOf } from './samples.ts';

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'docs/configuration.schema.json'), 'utf8');
const ajv = new Ajv2020({ strict: false });
const accepts = ajv.compile(JSON.parse(text) as object);
const properties = (JSON.parse(text) as { properties: object }).properties;
/** The same keys, none of them required: one key can be looked at alone. */
const alone = ajv.compile(withoutRequired({ type: 'object', properties }));

function withoutRequired(node: object): object {
  return JSON.parse(JSON.stringify(node), (key, value: unknown) =>
    key === 'required' && Array.isArray(value) ? undefined : value,
  ) as object;
}

describe('docs/configuration.schema.json', () => {
  it('is what the schema says (node scripts/generate-docs.ts writes it)', () => {
    expect(text).toBe(configurationSchemaText());
  });

  it.each([
    ['the example', readFileSync(join(root, 'config.example.yaml'), 'utf8')],
    ['the least configuration', MINIMAL],
    ['Patroni’s own', readFileSync(join(import.meta.dirname, 'fixtures/node.yml'), 'utf8')],
  ])('accepts %s', (_what, yaml) => {
    expect(accepts(parseYaml(yaml, 'test')), JSON.stringify(accepts.errors)).toBe(true);
  });

  it.each([
    ['without what is required', { scope: 'a' }],
    ['with a list for a section', { ...parseYaml(MINIMAL, 'test'), restapi: [] }],
    ['with a store that is refused', { ...parseYaml(MINIMAL, 'test'), consul: { host: 'a' } }],
  ])('refuses one %s', (_what, tree) => {
    expect(accepts(tree)).toBe(false);
  });

  const keys = keysOf().filter((key) => isActedOn(key) && key.node.allowed);
  it.each(keys.map((key) => [key.path, key] as const))(
    '%s: accepts what is allowed',
    (path, key) => {
      const tree = treeOf([[path, goodValue(key)]]);
      expect(alone(tree), JSON.stringify(alone.errors)).toBe(true);
    },
  );

  // Addresses, networks and the like have no words in JSON Schema.
  const plain = keys.filter(({ node }) =>
    /^(?:on, off|seconds|bytes|a whole|a mode)/.test(node.allowed ?? ''),
  );
  it.each(plain.map((key) => [key.path, key] as const))('%s: refuses what is not', (path, key) => {
    for (const value of badValues(key))
      expect(alone(treeOf([[path, value]])), JSON.stringify(value)).toBe(false);
  });
});
