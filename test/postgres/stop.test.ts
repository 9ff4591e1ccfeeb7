/** How a stop goes on when something is in its way. Real processes play the server, time runs faster. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Clock, RealClock } from '../../src/clock.ts';
import type { PostmasterProcess } from '../../src/core/model.ts';
import type { Parts } from '../../src/postgres/parts.ts';
import { identify, isAlive, type ProcessIdentity, readProcess } from '../../src/postgres/proc.ts';
import { type StopRequest, stopServer } from '../../src/postgres/stop.ts';

const disk = vi.hoisted(() => ({ write: async (): Promise<void> => undefined }));
vi.mock('../../src/postgres/files.ts', () => ({
  writeStandbySignal: async () => await disk.write(),
}));

const SPEED = 10;
const real = new RealClock();
const clock: Clock = {
  now: () => real.now() * SPEED,
  wall: () => real.wall(),
  wait: async (ms, signal) => await real.wait(ms / SPEED, signal),
  after: (ms, call) => real.after(ms / SPEED, call),
  at: (instant, call) => real.at(instant / SPEED, call),
};

const hanging = async (): Promise<void> => await new Promise(() => undefined);
const readOnly = async (): Promise<void> => {
  throw new Error('EROFS: read-only file system');
};

let dataDir: string;
let children: ChildProcess[];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'tenure-stop.'));
  children = [];
  disk.write = async () => undefined;
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

/** A process that ignores some signals. */
async function stubborn(ignored: string): Promise<ProcessIdentity> {
  const child = spawn('sh', ['-c', `trap '' ${ignored}; exec sleep 60`], { stdio: 'ignore' });
  children.push(child);
  const pid = child.pid as number;
  while (readProcess(pid)?.command !== 'sleep') await real.wait(1);
  return identify(pid) as ProcessIdentity;
}

/** pg_control as a server leaves it that has shut down, or with another of its states. */
function shutDown(state = 1): void {
  const bytes = Buffer.alloc(52);
  bytes.writeUInt32LE(state, 16);
  mkdirSync(join(dataDir, 'global'), { recursive: true });
  writeFileSync(join(dataDir, 'global', 'pg_control'), bytes);
}

interface Server {
  readonly look: () => Promise<PostmasterProcess>;
  readonly senders?: readonly ProcessIdentity[];
  readonly killed: string[];
  readonly orphans?: readonly ProcessIdentity[];
}

function alive(identity: ProcessIdentity): () => Promise<PostmasterProcess> {
  return async () =>
    isAlive(identity) ? { kind: 'alive', ...identity, adopted: false } : { kind: 'none' };
}

async function stop(server: Server, request: Partial<StopRequest>): Promise<void> {
  const parts = {
    clock,
    places: { dataDir },
    postmaster: { look: server.look, current: () => null },
    instance: {
      learnDirectory: () => undefined,
      processes: () => [],
      orphans: () => (server.orphans ?? []).filter(isAlive),
      walSenders: () => server.senders ?? [],
      kill: () => server.killed.push('all'),
    },
    session: { reset: () => undefined },
    log: () => undefined,
  } as unknown as Parts;
  await stopServer(parts, { mode: 'fast', becomeStandby: false, timeoutMs: 20_000, ...request });
}

test('walsenders are left alone while they are held, and ended then', async () => {
  shutDown();
  const postmaster = await stubborn('INT');
  const sender = await stubborn('');
  let held = true;
  const server = { look: alive(postmaster), senders: [sender], killed: [] };
  const stopping = stop(server, { holdSenders: () => held });
  await clock.wait(5000);
  expect([postmaster, sender].map(isAlive)).toEqual([true, true]);
  held = false;
  await clock.wait(1000);
  expect([postmaster, sender].map(isAlive)).toEqual([true, false]);
  await stopping;
});

test('held walsenders do not keep the time-out from coming', async () => {
  shutDown();
  const postmaster = await stubborn('INT');
  const stopping = stop({ look: alive(postmaster), killed: [] }, { holdSenders: () => true });
  await expect(stopping).rejects.toThrow('did not stop in 20000 ms');
  expect(isAlive(postmaster)).toBe(true);
});

test('a postmaster that is shut down and waits for something else gets SIGQUIT', async () => {
  shutDown();
  const postmaster = await stubborn('INT');
  const begun = clock.now();
  await stop({ look: alive(postmaster), killed: [] }, {});
  expect(isAlive(postmaster)).toBe(false);
  expect(clock.now() - begun).toBeGreaterThan(3000);
});

test('without a shutdown checkpoint it gets none', async () => {
  const postmaster = await stubborn('INT');
  const stopping = stop({ look: alive(postmaster), killed: [] }, { timeoutMs: 6000 });
  await expect(stopping).rejects.toThrow('did not stop');
  expect(isAlive(postmaster)).toBe(true);
});

test('nor when a first look at pg_control was wrong', async () => {
  shutDown();
  const postmaster = await stubborn('INT');
  const stopping = stop({ look: alive(postmaster), killed: [] }, { timeoutMs: 6000 });
  const late = expect(stopping).rejects.toThrow('did not stop');
  await clock.wait(1000);
  shutDown(6);
  await late;
  expect(isAlive(postmaster)).toBe(true);
});

test.each([
  ['hangs', hanging],
  ['is read-only', readOnly],
])('fast: a disk that %s keeps the signal from being sent (S8)', async (_what, write) => {
  disk.write = write;
  const postmaster = await stubborn('');
  const stopping = stop({ look: alive(postmaster), killed: [] }, { becomeStandby: true });
  await expect(stopping).rejects.toThrow('cannot write standby.signal');
  expect(isAlive(postmaster)).toBe(true);
});

test.each([
  ['hangs', hanging],
  ['is read-only', readOnly],
])('immediate: a disk that %s keeps nothing', async (_what, write) => {
  disk.write = write;
  const postmaster = await stubborn('INT');
  await stop({ look: alive(postmaster), killed: [] }, { mode: 'immediate', becomeStandby: true });
  expect(isAlive(postmaster)).toBe(false);
});

test('immediate: the signal is sent before anything is written', async () => {
  const postmaster = await stubborn('INT');
  let order = '';
  disk.write = async () => {
    while (isAlive(postmaster)) await real.wait(1);
    order = 'signal first';
  };
  await stop({ look: alive(postmaster), killed: [] }, { mode: 'immediate', becomeStandby: true });
  expect(order).toBe('signal first');
  expect(existsSync(dataDir)).toBe(true);
});

test.each([
  ['cannot be read', async () => ({ kind: 'unknown', why: 'EIO' }) as const],
  ['is on a disk that hangs', async () => await new Promise<never>(() => undefined)],
])(
  'immediate: a pid file that %s: what is known of the instance is killed',
  async (_what, look) => {
    const killed: string[] = [];
    await stop({ look, killed }, { mode: 'immediate' });
    expect(killed.length).toBeGreaterThan(0);
    await expect(stop({ look, killed: [] }, { mode: 'fast' })).rejects.toThrow('cannot tell');
  },
);

test('immediate: what does not even end by SIGKILL is an error, after it was sent', async () => {
  const postmaster = await stubborn('QUIT');
  const killed: string[] = [];
  const stopping = stop({ look: alive(postmaster), killed }, { mode: 'immediate', timeoutMs: 500 });
  await expect(stopping).rejects.toThrow('not even by SIGKILL');
  expect(killed).toEqual(['all']);
});
