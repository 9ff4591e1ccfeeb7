/** `log.dir`: files that are exchanged when they are full; and the fields of JSON lines. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLogger, logOptions } from '../src/log.ts';
import { folder } from './config/files.ts';

const section = { type: 'plain', level: 'INFO' } as const;

function openIn(dir: string, more: object = {}) {
  return createLogger(logOptions({ ...section, dir, ...more }).options);
}

it('goes into patroni.log with the mode that is asked for, after what is there', async () => {
  const dir = join(folder(), 'deep', 'log');
  const first = openIn(dir);
  first.info('one');
  expect(await first.close(5000)).toBe(true);
  const second = openIn(dir, { mode: 0o640 });
  second.info('two');
  expect(await second.close(5000)).toBe(true);
  expect(readFileSync(join(dir, 'patroni.log'), 'utf8')).toMatch(/INFO: one\n.*INFO: two\n$/);
  expect(statSync(join(dir, 'patroni.log')).mode & 0o777).toBe(0o640);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
});

it('begins another file when one is full, and keeps so many', async () => {
  const dir = folder();
  const log = openIn(dir, { file_size: 1024, file_num: 2 });
  for (let number = 0; number < 12; number++) {
    log.info(`line ${number} ${'x'.repeat(400)}`);
    // One line is one write here: what waits is written in one piece.
    expect(await log.close(5000)).toBe(true);
  }
  expect(readdirSync(dir).sort()).toEqual(['patroni.log', 'patroni.log.1', 'patroni.log.2']);
  const numbers = ['patroni.log.2', 'patroni.log.1', 'patroni.log'].flatMap((name) => [
    ...readFileSync(join(dir, name), 'utf8').matchAll(/line (\d+)/g),
  ]);
  expect(numbers.map(([, number]) => Number(number))).toEqual([6, 7, 8, 9, 10, 11]);
  for (const name of readdirSync(dir)) {
    expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(1024);
    expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  }
});

it('says which file cannot be opened', () => {
  const path = join(folder(), 'file');
  writeFileSync(path, '');
  expect(() => openIn(join(path, 'log'))).toThrow(/ENOTDIR|EEXIST/);
});

it('has the fields that are listed, under their names', async () => {
  const dir = folder();
  const format = ['message', { levelname: 'severity' }, { colour: 'c' }];
  const { options, warnings } = logOptions({
    ...section,
    type: 'json',
    dir,
    format,
    static_fields: { app: 'pg' },
  });
  expect(warnings).toEqual(['log.format: colour is not known: left out']);
  const log = createLogger(options);
  log.warning('text', { more: 1 });
  expect(await log.close(5000)).toBe(true);
  expect(JSON.parse(readFileSync(join(dir, 'patroni.log'), 'utf8'))).toEqual({
    message: 'text',
    severity: 'WARNING',
    app: 'pg',
    more: 1,
  });
});

it('follows another level without a new start', async () => {
  const dir = folder();
  const log = openIn(dir);
  log.debug('before');
  log.setLevel('DEBUG');
  log.debug('after');
  expect(await log.close(5000)).toBe(true);
  expect(readFileSync(join(dir, 'patroni.log'), 'utf8')).toMatch(/^[^\n]*DEBUG: after\n$/);
});
