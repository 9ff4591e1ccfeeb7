/** The guard process itself: at its time everything of the data directory dies, and nothing else (rule S1). */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../scripts/lab/wait.ts';
import { GuardError } from '../../src/fence/guard.ts';
import { GuardLink } from '../../src/fence/guard-link.ts';
import { findGuards, startGuard } from '../../src/fence/guard-start.ts';
import { isAlive, readProcess, signalProcess } from '../../src/postgres/proc.ts';
import { DEADLINE_MS, GuardScene } from './guard-scene.ts';

const LATER_MS = 600_000;
let scene: GuardScene;
beforeEach(() => {
  scene = new GuardScene();
});
afterEach(() => scene.close());

describe('the guard process', { timeout: 60_000 }, () => {
  it('kills a server with all its children when it is time, and not before', async () => {
    const guard = await scene.guard();
    const server = await scene.server();
    const children = await scene.childrenOf(server, 1);
    expect(children[0]?.command).toBe('sleep');
    expect(await scene.told(guard, scene.arming(LATER_MS))).toBe('armed 0');
    expect(isAlive(server)).toBe(true);
    await scene.told(guard, scene.arming(50));
    await scene.gone([server, ...children]);
    expect(await scene.told(guard, 'ask')).toBe('fired 2');
  });

  it('leaves alone whatever is not a server of this data directory', async () => {
    const elsewhere = join(scene.folder, 'other');
    mkdirSync(elsewhere);
    const foreign = await scene.server(elsewhere);
    const visitor = await scene.server(scene.ward.dataDir, 'sleep 600; :', 'psql');
    const server = await scene.server();
    const guard = await scene.guard();
    await scene.told(guard, scene.arming(0));
    await scene.gone([server]);
    expect(readProcess(foreign.pid)?.state).toBe('S');
    expect(readProcess(visitor.pid)?.state).toBe('S');
  });

  it('kills a frozen postmaster and a frozen child', async () => {
    const frozen = await scene.server();
    const children = await scene.childrenOf(frozen, 1);
    for (const one of [frozen, ...children]) signalProcess(one, 'SIGSTOP');
    const guard = await scene.guard();
    await scene.told(guard, scene.arming(0));
    await scene.gone([frozen, ...children]);
  });

  it('is not outrun by a server that forks all the time', async () => {
    const forking = 'while :; do sleep 600 & read -t 0.002; done < /dev/zero';
    const server = await scene.server(scene.ward.dataDir, forking);
    const children = await scene.childrenOf(server, 20);
    const guard = await scene.guard();
    await scene.told(guard, scene.arming(0));
    await scene.gone([server, ...children]);
    await waitFor('nothing left', DEADLINE_MS, async () => {
      const [, killed] = (await scene.told(guard, 'ask')).split(' ');
      return Number(killed) > 20;
    });
  });

  it('knows the processes of a directory that was renamed or deleted', async () => {
    const server = await scene.server();
    const guard = await scene.guard();
    await scene.told(guard, scene.arming(LATER_MS));
    const order = scene.arming(0);
    renameSync(scene.ward.dataDir, `${scene.ward.dataDir}.old`);
    rmSync(`${scene.ward.dataDir}.old`, { recursive: true });
    await scene.told(guard, order);
    await scene.gone([server]);
  });

  it('stays after its shot: what appears later dies too, until it is told otherwise', async () => {
    const guard = await scene.guard();
    expect(await scene.told(guard, scene.arming(0))).toBe('fired 0');
    await scene.gone([await scene.server()]);
    await scene.gone([await scene.server()]);
    expect(await scene.told(guard, 'disarm')).toMatch(/^disarmed [1-9]/);
    const legitimate = await scene.server();
    expect(await scene.told(guard, 'ask')).toBe('disarmed 0');
    expect(isAlive(legitimate)).toBe(true);
  });

  it('is called off by a later time', async () => {
    const guard = await scene.guard();
    const server = await scene.server();
    await scene.told(guard, scene.arming(DEADLINE_MS));
    expect(await scene.told(guard, scene.arming(LATER_MS))).toBe('armed 0');
    expect(isAlive(server)).toBe(true);
  });

  it('is not ended by what ends a daemon, its terminal or its service', async () => {
    const guard = await scene.guard();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)
      signalProcess(guard.identity, signal);
    expect(await scene.told(guard, 'ask')).toBe('disarmed 0');
    expect(readProcess(guard.identity.pid)?.session).toBe(guard.identity.pid);
  });

  it('outlives the daemon that talked to it, and keeps what it was told', async () => {
    const guard = await scene.guard();
    await scene.told(guard, scene.arming(LATER_MS));
    guard.close();
    expect(findGuards(scene.ward)).toEqual([guard.identity]);
    const again = new GuardLink(guard.identity);
    expect(await scene.told(again, 'ask')).toBe('armed 0');
    again.close();
  });

  it('is the only one of its data directory, and of no other', async () => {
    const guard = await scene.guard();
    await expect(startGuard(scene.ward, scene.clock)).rejects.toThrow(GuardError);
    expect(findGuards({ ...scene.ward, dataDir: scene.folder })).toEqual([]);
    signalProcess(guard.identity, 'SIGKILL');
    expect((await scene.guard()).identity).not.toEqual(guard.identity);
  });

  it('is not held up by answers that nobody reads', async () => {
    const guard = await scene.guard();
    // More than the pipe holds.
    for (let count = 0; count < 6000; count += 1) {
      guard.send(`${count} ask`);
      if (count % 500 === 0) await scene.clock.wait(1);
    }
    guard.send(`last ${scene.arming(0)}`);
    await scene.gone([await scene.server()]);
  });

  it('takes no notice of what it does not understand', async () => {
    const guard = await scene.guard();
    guard.send('1 arm soon');
    guard.send('garbage');
    expect(await scene.told(guard, 'ask')).toBe('disarmed 0');
  });

  it('ends when it is told to', async () => {
    const guard = await scene.guard();
    guard.send('1 end');
    await scene.gone([guard.identity]);
  });
});
