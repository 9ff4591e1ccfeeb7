import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { isAlive, parseStat, readProcess, signalProcess } from '../../src/postgres/proc.ts';
import {
  failureOf,
  lastLines,
  type RunRequest,
  run,
  toolSessions,
} from '../../src/postgres/run.ts';
import { shellWords, toolArguments } from '../../src/postgres/tooloptions.ts';
import { clock, until } from './lab.ts';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

async function shell(script: string, more: Partial<RunRequest> = {}) {
  return await run({ file: 'sh', args: ['-c', script], clock, timeoutMs: 10_000, ...more });
}

describe('run', () => {
  test('gives the result, in LC_ALL=C and without our own variables', async () => {
    process.env.TENURE_TEST_SECRET = 'x';
    process.env.PGHOST = 'elsewhere';
    try {
      const result = await shell('env; echo no >&2; exit 3');
      expect(result).toMatchObject({ exitCode: 3, stderr: 'no\n', timedOut: false });
      expect(result.stdout).toContain('LC_ALL=C\n');
      expect(result.stdout).not.toMatch(/TENURE_TEST_SECRET|PGHOST/);
      expect(failureOf(result, 1)).toMatch(/^sh failed with exit code 3: no /);
    } finally {
      delete process.env.TENURE_TEST_SECRET;
      delete process.env.PGHOST;
    }
  });

  test('what cannot be started is a result too', async () => {
    const result = await run({ file: '/nowhere/tool', args: [], clock, timeoutMs: 5000 });
    expect(result.notStarted).toContain('ENOENT');
    expect(failureOf(result, 1)).toContain('could not be started');
  });

  test('the deadline bounds the wait, and ends the grandchildren too', async () => {
    const before = clock.now();
    const result = await shell('sleep 60 & echo $!; trap "" TERM; wait', { timeoutMs: 200 });
    expect(result.timedOut).toBe(true);
    expect(clock.now() - before).toBeLessThan(5000);
    const grandchild = Number(result.stdout);
    await until('the grandchild is gone', () => readProcess(grandchild) === null);
  });

  test('a grandchild that holds the output does not hold the result', async () => {
    const before = clock.now();
    const result = await shell('sleep 60 & echo $!');
    expect(result.exitCode).toBe(0);
    expect(clock.now() - before).toBeLessThan(5000);
    process.kill(Number(result.stdout), 'SIGKILL');
  });

  test('an abort ends it', async () => {
    const control = new AbortController();
    const running = shell('echo $$ >&2; sleep 60', {
      signal: control.signal,
      onLine: () => control.abort(),
    });
    expect(await running).toMatchObject({ cancelled: true, exitCode: null, signal: 'SIGTERM' });
    expect(await shell('true', { signal: control.signal })).toMatchObject({ cancelled: true });
  });

  test('it has a group and session of its own, so that ours does not take it along (D62)', async () => {
    const result = await shell('cat /proc/$$/stat');
    const tool = parseStat(result.stdout);
    const own = parseStat(readFileSync('/proc/self/stat', 'utf8'));
    expect(tool?.session).toBe(tool?.pid);
    expect(tool?.session).not.toBe(own?.session);
    expect(toolSessions().size).toBe(0);
  });

  test('output is kept up to a bound, the end of it', async () => {
    const result = await shell('head -c 5000000 /dev/zero | tr "\\0" x; echo end');
    expect(result.stdout.length).toBeLessThan(400_000);
    expect(result.stdout.endsWith('xend\n')).toBe(true);
  });

  test('the last lines leave out progress', () => {
    expect(lastLines('a\nb\n  1/2 kB (50%), 0/1 tablespace\n')).toBe(': a | b');
    expect(lastLines(' \n')).toBe('');
  });
});

describe('processes', () => {
  test('a name with spaces and parentheses', () => {
    const fields = Array.from({ length: 40 }, (_unused, index) => String(index + 4));
    const line = `12 (a) (b c) S ${fields.join(' ')}`;
    expect(parseStat(line)).toEqual({
      pid: 12,
      command: 'a) (b c',
      state: 'S',
      parent: 4,
      session: 6,
      startTicks: 22,
    });
  });

  test('a zombie is dead although kill finds it (D60)', async () => {
    // The child ends after sleep has taken the shell's place: a shell might ask for it, sleep does not.
    const script = '(until grep -q sleep /proc/$$/comm; do :; done) & echo $!; exec sleep 60';
    const parent = spawn('sh', ['-c', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    started.push(parent);
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
    });
    await until('it is a zombie', () => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
    expect(process.kill(pid, 0)).toBe(true);
    expect(readProcess(pid)).toBeNull();
  });

  test('a pid with another start time is another process', () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    started.push(child);
    const entry = readProcess(child.pid as number);
    if (entry === null) throw new Error('no child');
    expect(isAlive(entry)).toBe(true);
    const other = { pid: entry.pid, startTicks: entry.startTicks - 1 };
    expect(isAlive(other)).toBe(false);
    expect(signalProcess(other, 'SIGKILL')).toBe(false);
    expect(isAlive(entry)).toBe(true);
  });
});

describe('options of tools', () => {
  const forbidden = new Set(['pgdata', 'pwfile']);

  test('lists and maps (C-6.7)', () => {
    const list = [{ encoding: 'UTF8' }, 'data-checksums', 'auth=trust', '--locale=C'];
    const args = ['--encoding=UTF8', '--data-checksums', '--auth=trust', '--locale=C'];
    expect(toolArguments('initdb', list, forbidden)).toEqual(args);
    const map = { checkpoint: 'fast', verbose: true, progress: null, 'max-rate': 100, slow: false };
    expect(toolArguments('basebackup', map, forbidden)).toEqual([
      '--checkpoint=fast',
      '--verbose',
      '--progress',
      '--max-rate=100',
    ]);
    expect(toolArguments('initdb', undefined, forbidden)).toEqual([]);
  });

  test.each([[['pgdata=/x']], [[{ PwFile: '/x' }]], [['--pgdata']], [{ pgdata: '/x' }]])(
    'forbidden ones are refused by name: %j',
    (options) => {
      expect(() => toolArguments('bootstrap.initdb', options, forbidden)).toThrow(
        /bootstrap.initdb: option (pgdata|PwFile)/,
      );
    },
  );

  test('what is no option is refused', () => {
    expect(() => toolArguments('x', ['; rm -rf'], forbidden)).toThrow('is no option');
    expect(() => toolArguments('x', [{ a: [1] }], forbidden)).toThrow('no plain value');
  });

  test('shell words', () => {
    expect(shellWords(`/bin/x 'a b' "c \\"d\\"" e\\ f ''`)).toEqual([
      '/bin/x',
      'a b',
      'c "d"',
      'e f',
      '',
    ]);
    expect(shellWords('  ')).toEqual([]);
    expect(() => shellWords("a 'b")).toThrow('not a command');
  });
});
