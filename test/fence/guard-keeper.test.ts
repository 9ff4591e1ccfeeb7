/** Whoever keeps the guard: it confirms, it is replaced when it is good for nothing, it is found again. */
import { mkdirSync, renameSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../scripts/lab/wait.ts';
import { GuardError } from '../../src/fence/guard.ts';
import { GuardKeeper } from '../../src/fence/guard-keeper.ts';
import { findGuards } from '../../src/fence/guard-start.ts';
import { isAlive, type ProcessIdentity, signalProcess } from '../../src/postgres/proc.ts';
import { DEADLINE_MS, GuardScene } from './guard-scene.ts';

const LATER_MS = 600_000;
let scene: GuardScene;
let said: string[];
let shots: number;
let keepers: GuardKeeper[];

beforeEach(() => {
  scene = new GuardScene();
  said = [];
  shots = 0;
  keepers = [];
});
afterEach(() => {
  for (const keeper of keepers) keeper.close(false);
  scene.close();
});

function newKeeper(): GuardKeeper {
  const keeper = new GuardKeeper({
    clock: scene.clock,
    ward: scene.ward,
    log: (level, text) => said.push(`${level}: ${text}`),
    onShot: () => {
      shots += 1;
    },
  });
  keepers.push(keeper);
  return keeper;
}

async function opened(): Promise<GuardKeeper> {
  const keeper = newKeeper();
  await keeper.open();
  return keeper;
}

const inMs = (ms: number): number => scene.clock.now() + ms;

function theGuard(): ProcessIdentity {
  const [found, ...others] = findGuards(scene.ward);
  if (found === undefined || others.length > 0) throw new Error(`${others.length} other guards`);
  return found;
}

async function replaced(former: ProcessIdentity): Promise<ProcessIdentity> {
  return waitFor('another guard', DEADLINE_MS, () => {
    const [found] = findGuards(scene.ward).filter(({ pid }) => pid !== former.pid);
    return found;
  });
}

describe('the keeper of the guard', { timeout: 60_000 }, () => {
  it('has what it told the guard confirmed', async () => {
    const keeper = await opened();
    await keeper.ready(DEADLINE_MS);
    expect(keeper.facts()).toEqual({ state: 'disarmed', pid: theGuard().pid });
    keeper.arm(inMs(LATER_MS));
    await keeper.ready(DEADLINE_MS);
    expect(keeper.facts().state).toBe('armed');
  });

  it('is not ready when the guard has fired', async () => {
    const keeper = await opened();
    keeper.arm(inMs(50));
    await expect(keeper.ready(DEADLINE_MS)).rejects.toThrow(GuardError);
    keeper.disarm();
    await keeper.ready(DEADLINE_MS);
  });

  it.each([
    ['killed', 'SIGKILL'],
    ['stopped', 'SIGSTOP'],
  ] as const)('replaces a guard that was %s, with the deadline in force', async (word, signal) => {
    const keeper = await opened();
    const deadline = inMs(LATER_MS);
    keeper.arm(deadline);
    const former = theGuard();
    signalProcess(former, signal);
    await replaced(former);
    expect(isAlive(former)).toBe(false);
    await keeper.ready(DEADLINE_MS);
    expect(keeper.facts().state).toBe('armed');
    expect(said.join()).toMatch(new RegExp(`warning: .*${former.pid} was ${word}; \\d+ has taken`));
    keeper.close(false);
    expect(Math.abs(((await newKeeper().open()) ?? 0) - deadline)).toBeLessThan(LATER_MS / 2);
  });

  it('replaces a killed guard at once when somebody waits for it', async () => {
    const keeper = await opened();
    const former = theGuard();
    signalProcess(former, 'SIGKILL');
    await scene.gone([former]);
    keeper.arm(inMs(LATER_MS));
    await keeper.ready(DEADLINE_MS);
    expect(theGuard().pid).not.toBe(former.pid);
  });

  it('finds the guard of an earlier life, with the deadline that it has', async () => {
    const before = await opened();
    const deadline = inMs(LATER_MS);
    before.arm(deadline);
    await before.ready(DEADLINE_MS);
    before.close(false);
    const guard = theGuard();
    const after = newKeeper();
    const found = await after.open();
    // The clock that both read has steps of 10 ms.
    expect(found).toBeLessThanOrEqual(deadline + 10);
    expect(found).toBeGreaterThan(deadline - LATER_MS / 2);
    expect(theGuard()).toEqual(guard);
    await after.ready(DEADLINE_MS);
  });

  it('ends a guard of an earlier life that does not answer, and starts one', async () => {
    const before = await opened();
    before.arm(inMs(LATER_MS));
    const former = theGuard();
    before.close(false);
    signalProcess(former, 'SIGSTOP');
    const after = newKeeper();
    expect(await after.open()).toBeNull();
    expect(theGuard().pid).not.toBe(former.pid);
  });

  it('says what the guard did while nobody looked, and when', async () => {
    const before = await opened();
    const server = await scene.server();
    before.arm(inMs(0));
    before.close(false);
    await scene.gone([server]);
    said = [];
    const after = await opened();
    expect(shots).toBe(1);
    expect(said[0]).toMatch(/critical: the guard killed \d+ processes of PostgreSQL at \d{4}-.*Z/);
    after.disarm();
    await after.ready(DEADLINE_MS);
    const legitimate = await scene.server();
    await after.ready(DEADLINE_MS);
    expect(isAlive(legitimate)).toBe(true);
  });

  it('knows the directory that a clone has put in place of another', async () => {
    const keeper = await opened();
    renameSync(scene.ward.dataDir, `${scene.ward.dataDir}.old`);
    mkdirSync(scene.ward.dataDir);
    const server = await scene.server();
    keeper.arm(inMs(LATER_MS));
    await keeper.ready(DEADLINE_MS);
    keeper.arm(inMs(0));
    await scene.gone([server]);
  });

  it('ends it when it is not needed any more', async () => {
    const keeper = await opened();
    const guard = theGuard();
    keeper.close(true);
    await scene.gone([guard]);
  });

  it('says in one line what is missing when there is no perl', async () => {
    const path = process.env.PATH;
    process.env.PATH = scene.folder;
    try {
      await expect(newKeeper().open()).rejects.toThrow(/cannot be started: .*perl-base/);
    } finally {
      process.env.PATH = path;
    }
  });
});
