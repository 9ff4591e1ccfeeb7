/** Two daemons of one node end in one (field D3): a healthy one keeps its place, any other is ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../scripts/lab/wait.ts';
import { RealClock } from '../src/clock.ts';
import { endEarlier, recordDaemon } from '../src/earlier.ts';
import { identify, isAlive, type ProcessIdentity, readProcess } from '../src/postgres/proc.ts';

const API = 'http://127.0.0.1:8008/patroni';
const clock = new RealClock();
let folder: string;
let other: ChildProcess;
let daemon: ProcessIdentity;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tenure-earlier.'));
  other = spawn('sleep', ['600'], { stdio: 'ignore' });
  daemon = await waitFor('a process', 5000, () => identify(other.pid ?? 0) ?? undefined);
});
afterEach(() => {
  other.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const record = (text: string): void => writeFileSync(join(folder, 'daemon.json'), text);
const recordOf = (change: object = {}): void =>
  record(
    JSON.stringify({ pid: daemon.pid, startTicks: daemon.startTicks, apiUrl: API, ...change }),
  );
const look = async (answers: boolean): Promise<string> =>
  (await endEarlier(folder, clock, { liveness: async (url) => answers && url === API })).kind;

describe('the daemon before this one', () => {
  it('keeps its place while it answers', async () => {
    recordOf();
    expect(await look(true)).toBe('healthy');
    expect(isAlive(daemon)).toBe(true);
  });

  it('is ended when it gives no answer', async () => {
    recordOf();
    expect(await look(false)).toBe('ended');
    expect(isAlive(daemon)).toBe(false);
  });

  it('is ended when it is stopped, though its port takes connections', async () => {
    recordOf();
    other.kill('SIGSTOP');
    await waitFor('it to be stopped', 5000, () => readProcess(daemon.pid)?.state === 'T');
    expect(await look(true)).toBe('ended');
    expect(isAlive(daemon)).toBe(false);
  });

  it('is not taken for another process that has its pid now', async () => {
    recordOf({ startTicks: daemon.startTicks + 1 });
    expect(await look(false)).toBe('none');
    expect(isAlive(daemon)).toBe(true);
  });

  it.each(['', '{}', '{"pid":0}', 'null'])('is nobody when the record says %j', async (text) => {
    record(text);
    expect(await look(false)).toBe('none');
  });

  it('is nobody when there is no record, and never this process', async () => {
    expect(await look(false)).toBe('none');
    await recordDaemon(folder, API);
    expect(JSON.parse(readFileSync(join(folder, 'daemon.json'), 'utf8'))).toEqual({
      ...identify(process.pid),
      apiUrl: API,
    });
    expect(await look(false)).toBe('none');
  });
});
