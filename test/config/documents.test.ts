import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configurationJsonSchema, configurationMarkdown } from '../../src/config/documentation.ts';
import { effectiveSettings, loadConfig } from '../../src/config/index.ts';
import { inspect, jsonSchema } from '../../src/config/inspect.ts';
import { localSchema } from '../../src/config/schema.ts';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

describe('docs/configuration.md', () => {
  it('is what the schema says (node scripts/generate-docs.ts writes it)', () => {
    expect(read('docs/configuration.md')).toBe(configurationMarkdown());
  });

  it('has a description of every key that can be set', () => {
    const empty = configurationMarkdown().match(/^\|[^|]*\|[^|]*\| +\|$/gm);
    expect(empty).toBeNull();
  });
});

describe('config.example.yaml', () => {
  const path = join(root, 'config.example.yaml');

  it('gives no error and no warning', () => {
    const { config, warnings } = loadConfig(path, {});
    expect(warnings).toEqual([]);
    expect(effectiveSettings(config, null, { allMembersRunTenure: false }).warnings).toEqual([]);
  });

  it('shows every section that can be used', () => {
    const sections = Object.entries(jsonSchema(localSchema).properties ?? {});
    const usable = sections.filter(([name, node]) => node.properties && name !== 'watchdog');
    const text = read('config.example.yaml');
    for (const [name] of usable) expect(text).toMatch(new RegExp(`^${name}:`, 'm'));
  });
});

describe('the JSON Schema', () => {
  it('has types, required keys and descriptions', () => {
    const schema = configurationJsonSchema();
    expect(schema).toMatchObject({
      type: 'object',
      required: expect.arrayContaining([
        'scope',
        'name',
        'restapi',
        'etcd3',
        'postgresql',
      ]) as unknown,
      properties: { postgresql: { properties: { pg_hba: { type: 'array' } } } },
    });
  });

  it('finds the known key that was probably meant, and only then', () => {
    const node = jsonSchema(localSchema);
    const warningsOf = (key: string) => inspect(node, { [key]: 1 }).warnings[0];
    expect(warningsOf('restpai')).toContain('did you mean restapi?');
    expect(warningsOf('Tags')).toContain('did you mean tags?');
    expect(warningsOf('something')).not.toContain('did you mean');
  });
});
