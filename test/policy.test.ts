/** The configuration in force while etcd is away, and when it has garbage (C-6.1). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfig } from '../src/config/index.ts';
import { Policy } from '../src/policy.ts';
import { folder, MINIMAL } from './config/files.ts';
import { cluster } from './core/observations.ts';

const config = (values: Record<string, unknown>) =>
  cluster({ config: { kind: 'valid', values, modRevision: 9 } });

function node() {
  const dir = folder();
  mkdirSync(join(dir, 'data'));
  const text = `${MINIMAL.replace('/srv/n1/data', join(dir, 'data'))}bootstrap: {dcs: {ttl: 50}}\n`;
  const said: string[] = [];
  const open = () =>
    new Policy(loadConfig(undefined, { PATRONI_CONFIGURATION: text }).config, (level, line) =>
      said.push(`${level}: ${line}`),
    );
  return { open, said, cache: join(dir, 'data', 'patroni.dynamic.json') };
}

it('begins with the bootstrap section, then with what etcd had in an earlier life', async () => {
  const { open, said, cache } = node();
  const first = open();
  await first.loadCache();
  expect(first.settings.ttlMs).toBe(50_000);
  expect(first.see(config({ ttl: 40, pause: true }))).toBe(true);
  await first.saveCache();
  expect(JSON.parse(readFileSync(cache, 'utf8'))).toEqual({ ttl: 40, pause: true });
  const second = open();
  await second.loadCache();
  expect(second.settings).toMatchObject({ ttlMs: 40_000, paused: true });
  expect(said).toEqual([]);
});

it('says so when the copy cannot be read, and does without it', async () => {
  const { open, said, cache } = node();
  for (const garbage of ['{"ttl": 4', '[40]']) {
    writeFileSync(cache, garbage);
    const policy = open();
    await policy.loadCache();
    expect(policy.settings.ttlMs).toBe(50_000);
    expect(said.splice(0)).toEqual([
      expect.stringMatching(/^warning: patroni\.dynamic\.json cannot be used until etcd answers: /),
    ]);
  }
});

it('keeps the last good one when /config is garbage or gone', async () => {
  const { open, cache } = node();
  const policy = open();
  policy.see(config({ ttl: 40 }));
  await policy.saveCache();
  for (const bad of [
    { kind: 'garbage', text: '{', modRevision: 10 },
    { kind: 'absent' },
  ] as const) {
    expect(policy.see(cluster({ config: bad }))).toBe(false);
    expect(policy.settings.ttlMs).toBe(40_000);
    await policy.saveCache();
    expect(JSON.parse(readFileSync(cache, 'utf8'))).toEqual({ ttl: 40 });
  }
});

it('raises times that are too low for Patroni while a member runs it, and only then', () => {
  const { open } = node();
  const policy = open();
  const low = { ttl: 5, loop_wait: 1, retry_timeout: 2 };
  policy.see(config(low));
  expect(policy.settings).toMatchObject({ ttlMs: 5000, loopWaitMs: 1000, retryTimeoutMs: 2000 });
  const mixed = config(low);
  const members = mixed.members.map((one) => (one.name === 'n2' ? { ...one, tenure: null } : one));
  expect(policy.see({ ...mixed, members })).toBe(true);
  expect(policy.settings).toMatchObject({ ttlMs: 20_000, loopWaitMs: 1000, retryTimeoutMs: 3000 });
  expect(policy.see(mixed)).toBe(true);
  expect(policy.settings.ttlMs).toBe(5000);
});
