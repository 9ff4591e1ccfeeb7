import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { DEPLOYED_CONFIG, labConfig } from '../../scripts/lab/haproxy.ts';
import { identify, isAlive, merge, signalProcess, waitFor } from '../../scripts/lab/index.ts';
import { reservePort } from '../../scripts/lab/ports.ts';
import { run } from '../../scripts/lab/run.ts';

test('waitFor says what was last seen', async () => {
  const waiting = waitFor('a swallow', 30, (seen) => {
    seen('only sparrows');
    return false;
  });
  await expect(waiting).rejects.toThrow('waited 30 ms for a swallow; last seen: only sparrows');
});

test('waitFor is not held up by a probe that hangs, and takes a throw for an answer', async () => {
  await expect(waitFor('an answer', 30, () => new Promise(() => {}))).rejects.toThrow('an answer');
  const throwing = waitFor('a server', 30, () => {
    throw new Error('connection refused');
  });
  await expect(throwing).rejects.toThrow('last seen: connection refused');
});

test('reserved ports are low, distinct, free, and given again after their release', async () => {
  const reserved = await Promise.all(Array.from({ length: 40 }, reservePort));
  const ports = reserved.map((one) => one.port);
  expect(new Set(ports).size).toBe(40);
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(10_000);
  expect(Math.max(...ports)).toBeLessThan(32_768);
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(ports[0], '127.0.0.1', resolve);
  });
  server.close();
  for (const one of reserved) one.release();
});

test('a process is its pid and its start time', () => {
  const self = identify(process.pid);
  if (self === undefined) throw new Error('this process is not to be found in /proc');
  expect(isAlive(self)).toBe(true);
  const earlier = { pid: self.pid, startTime: '1' };
  expect(isAlive(earlier)).toBe(false);
  expect(signalProcess(earlier, 'SIGKILL')).toBe(false);
});

test('a tool that does not read its input is judged by its exit code', async () => {
  const input = 'x'.repeat(1_000_000);
  expect(await run(['true'], { input })).toBe('');
  await expect(run(['false'], { input })).rejects.toThrow('false: ');
});

test('merge replaces values, merges objects and removes what is undefined', () => {
  const base = { a: 1, b: { c: 2, d: [1] }, e: 3 };
  expect(merge(base, { b: { d: [2] }, e: undefined })).toEqual({ a: 1, b: { c: 2, d: [2] } });
});

test('the lab’s HAProxy has the deployed settings and its own addresses', () => {
  const deployed = readFileSync(DEPLOYED_CONFIG, 'utf8');
  const nodes = [{ name: 'n1', postgresPort: 11, restPort: 12 }];
  const config = labConfig(deployed, nodes, { primary: 21, replicas: 22, stats: 23 });
  expect(config).not.toMatch(/node1|10\.0\.0|bind \*/);
  expect(config.match(/server n1 127\.0\.0\.1:11 check port 12/g)).toHaveLength(2);
  expect(config).toMatch(/bind 127\.0\.0\.1:21\n.*\n\s+option httpchk OPTIONS \/primary/);
  for (const setting of [
    'retries 0',
    'timeout connect 200ms',
    'on-marked-down shutdown-sessions',
  ]) {
    expect(deployed).toContain(setting);
    expect(config).toContain(setting);
  }
});
