/** A daemon that is started with a broken file goes on with the last good one, if that is still who it is. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changedAtStartOnly, keepLastGood, lastGood, loadConfig } from '../../src/config/index.ts';
import { folder, MINIMAL } from './files.ts';

/** A node whose good file was kept. */
async function node() {
  const root = folder();
  const path = join(root, 'node.yml');
  const good = MINIMAL.replace('/srv/n1/data', join(root, 'data'));
  writeFileSync(path, good);
  expect(await keepLastGood(path, loadConfig(path, {}), new Date(0))).toBe(true);
  return { root, path, good };
}

describe('the last good configuration', () => {
  it.each<[string, (good: string) => string]>([
    ['a wrong value', (good) => good.replace('127.0.0.1:8008', 'nowhere')],
    ['a key that is refused', (good) => `${good}citus: {group: 1}\n`],
    ['broken YAML', (good) => good.replace('restapi:', 'restapi: [')],
    ['a key that is gone', (good) => good.replace(/etcd3:\n.*\n/, '')],
  ])('stands in for a file with %s', async (_what, broken) => {
    const { root, path, good } = await node();
    writeFileSync(path, broken(good));
    expect(() => loadConfig(path, {})).toThrow();
    const old = lastGood(path, {});
    expect(old).toMatchObject({
      savedAt: '1970-01-01T00:00:00.000Z',
      config: { scope: 'bench', name: 'n1', postgresql: { data_dir: join(root, 'data') } },
    });
  });

  it.each<[string, (good: string) => string]>([
    ['another cluster', (good) => good.replace('scope: bench', 'scope: other')],
    ['another member', (good) => good.replace('name: n1', 'name: n2')],
    ['another data directory', (good) => good.replace('/data', '/data2')],
  ])('does not stand in for a file of %s', async (_what, changed) => {
    const { root, path, good } = await node();
    mkdirSync(join(root, 'data2.tenure'));
    const kept = join(root, 'data.tenure', 'last-good.json');
    writeFileSync(join(root, 'data2.tenure', 'last-good.json'), readFileSync(kept));
    for (const broken of ['127.0.0.1:8008', 'restapi:']) {
      writeFileSync(
        path,
        changed(good).replace(broken, broken === 'restapi:' ? 'restapi: [' : 'x'),
      );
      expect(lastGood(path, {})).toBeNull();
    }
  });

  it('is kept for its own file alone, where nobody else can read it', async () => {
    const { root, path, good } = await node();
    const other = join(root, 'other.yml');
    writeFileSync(other, good.replace('127.0.0.1:8008', 'x'));
    expect(lastGood(other, {})).toBeNull();
    expect(lastGood(path, {})).not.toBeNull();
    const kept = join(root, 'data.tenure', 'last-good.json');
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    expect(statSync(join(root, 'data.tenure')).mode & 0o777).toBe(0o700);
    writeFileSync(kept, '{"half":');
    expect(lastGood(path, {})).toBeNull();
  });

  it('says so when it cannot be kept', async () => {
    const { root, path } = await node();
    const loaded = loadConfig(path, {});
    writeFileSync(join(root, 'file'), '');
    const config = {
      ...loaded.config,
      tenure: { ...loaded.config.tenure, state_dir: join(root, 'file') },
    };
    expect(await keepLastGood(path, { ...loaded, config }, new Date(0))).toBe(false);
  });
});

it('what a reload cannot change is named', () => {
  const load = (text: string) => loadConfig(undefined, { PATRONI_CONFIGURATION: text }).config;
  const changed = `${MINIMAL.replace('rep-secret', 'new')}  parameters: {work_mem: 1MB}\ntags: {clonefrom: true}\n`;
  expect(changedAtStartOnly(load(MINIMAL), load(changed))).toEqual(['postgresql.authentication']);
  expect(changedAtStartOnly(load(MINIMAL), load(MINIMAL))).toEqual([]);
});
