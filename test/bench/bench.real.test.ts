/** `npm run bench` itself, with one daemon: a table, and no ratio. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../../scripts/lab/index.ts';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const script = join(CHECKOUT, 'scripts', 'bench.ts');
    const options = { timeout: 110_000, killSignal: 'SIGTERM' } as const;
    execFile(process.execPath, [script, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? 1);
      resolve({ code, stdout, stderr });
    });
  });
}

describe('npm run bench', () => {
  it('measures a daemon, tells its phases, and gives no ratio for it alone', {
    timeout: 120_000,
  }, async () => {
    const daemon = 'ours=bin/tenure {config}';
    const { code, stdout, stderr } = await bench(
      ...['--daemon', daemon, '--rows', 'sigterm', '--rounds', '1', '--phases', '--ratio'],
    );
    expect(stderr).toContain('no ratio: it takes two daemons measured in the same run');
    expect(stdout).toMatch(
      /\| SIGTERM of the leader's daemon \| ≤ 0.35 s \| \d+\.\d\d s .* \| 0 \|/,
    );
    expect(stdout).not.toContain('÷');
    expect(stdout).toMatch(/\| \d+ \| \+\d+ \| new leader \| PostgreSQL: told to promote \|/);
    expect(code).toBe(3);
  });

  it('says what it cannot start', async () => {
    const { code, stderr } = await bench('--daemon', 'patroni=no-such-patroni {config}');
    expect(stderr).toMatch(/cannot start no-such-patroni.*apt-get install/s);
    expect(code).toBe(2);
  });
});
