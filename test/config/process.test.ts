/** The program itself: exit codes and what it says of configurations (C-6.9). */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { file, folder, MINIMAL } from './files.ts';

vi.setConfig({ testTimeout: 60_000 });

const AGENT = join(import.meta.dirname, '../../src/agent.ts');

function tenure(...words: readonly string[]) {
  const environment = { PATH: process.env.PATH, HOME: '/nowhere' };
  const run = spawnSync(process.execPath, [AGENT, ...words], {
    encoding: 'utf8',
    env: environment,
  });
  return { code: run.status, out: run.stdout, error: run.stderr };
}

it('lists everything that is wrong, and ends with 1', () => {
  const wrong = MINIMAL.replace('scope: bench', 'log: {level: loud, mode: rw}').replace(
    '127.0.0.1:8008',
    'nowhere',
  );
  const { code, out, error } = tenure('--validate-config', '-p', file(wrong));
  expect(code).toBe(1);
  expect(out).toBe('');
  expect(error.trimEnd().split('\n').slice(1)).toEqual([
    '  scope: found nothing, allowed: text (quote on, off, yes, no, true and false)',
    '  log.level: found "loud", allowed: DEBUG, INFO, WARNING, WARN, ERROR, CRITICAL or FATAL',
    '  log.mode: found "rw", allowed: a mode such as 0640, at most 0777',
    '  restapi.listen: found "nowhere", allowed: host:port or host,host:port',
  ]);
});

it('writes a sample that it takes itself, and writes over nothing', () => {
  const path = join(folder(), 'sample.yml');
  expect(tenure('--generate-sample-config', path)).toMatchObject({ code: 0, out: '', error: '' });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const before = readFileSync(path, 'utf8');
  const again = tenure('--generate-sample-config', path);
  expect(again).toMatchObject({ code: 1, error: expect.stringContaining('EEXIST') as string });
  expect(readFileSync(path, 'utf8')).toBe(before);
  const checked = tenure('--validate-config', '-i', '-p', path);
  expect(checked.code).toBe(0);
  expect(checked.out).toContain('scope: "demo" # ');
  expect(checked.out).not.toContain('change-me');
});

it('says who cannot be asked for a configuration', () => {
  const { code, error } = tenure('--generate-config', '--dsn', 'host=127.0.0.1 port=1');
  expect(code).toBe(1);
  expect(error).toMatch(/^tenure: PostgreSQL cannot be asked: .*ECONNREFUSED/);
});
