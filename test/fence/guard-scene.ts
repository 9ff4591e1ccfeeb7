/** A guard process beside processes that look like a PostgreSQL: named postgres, at work in one folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../scripts/lab/wait.ts';
import { RealClock } from '../../src/clock.ts';
import { GuardLink } from '../../src/fence/guard-link.ts';
import { findGuards, startGuard, type Ward } from '../../src/fence/guard-start.ts';
import {
  allProcesses,
  directoryKey,
  isAlive,
  type ProcessEntry,
  type ProcessIdentity,
  readProcess,
  signalProcess,
} from '../../src/postgres/proc.ts';

export const DEADLINE_MS = 10_000;

export class GuardScene {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'tenure-guard.')));
  readonly clock = new RealClock();
  readonly ward: Ward;
  readonly #children: ChildProcess[] = [];
  readonly #links: GuardLink[] = [];

  constructor() {
    this.ward = {
      dataDir: join(this.folder, 'data'),
      stateDir: join(this.folder, 'data.tenure'),
      commands: ['postgres', 'postmaster'],
    };
    mkdirSync(this.ward.dataDir);
    mkdirSync(this.ward.stateDir);
  }

  /** An order to shoot in `ms` from now. */
  arming(ms: number): string {
    const at = Math.floor(uptime() * 1000 + ms);
    return `arm ${at} ${directoryKey(this.ward.dataDir) ?? '-'}`;
  }

  async guard(): Promise<GuardLink> {
    const link = new GuardLink(await startGuard(this.ward, this.clock));
    this.#links.push(link);
    return link;
  }

  /** What it answers to one order: its state, and how many it has killed. */
  async told(link: GuardLink, order: string): Promise<string> {
    const id = String(Math.random());
    link.send(`${id} ${order}`);
    const answer = await waitFor(`an answer to ${order}`, DEADLINE_MS, () =>
      link.answers().find((one) => one.id === id),
    );
    return `${answer.state} ${answer.killed}`;
  }

  /** A process that looks like a server at work in `folder`; `script` is what it does. */
  async server(
    folder = this.ward.dataDir,
    script = 'while :; do sleep 600 & wait; done',
    name = 'postgres',
  ): Promise<ProcessIdentity> {
    const file = join(this.folder, name);
    copyFileSync('/bin/bash', file);
    chmodSync(file, 0o755);
    const child = spawn(file, ['-c', script], { cwd: folder, stdio: 'ignore' });
    rmSync(file);
    this.#children.push(child);
    return waitFor(`process ${name}`, DEADLINE_MS, () => {
      const found = child.pid === undefined ? null : readProcess(child.pid);
      return found?.command === name ? found : undefined;
    });
  }

  async childrenOf({ pid }: ProcessIdentity, count: number): Promise<ProcessEntry[]> {
    return waitFor(`${count} children of ${pid}`, DEADLINE_MS, () => {
      const found = allProcesses().filter(({ parent }) => parent === pid);
      return found.length >= count ? found : undefined;
    });
  }

  async gone(processes: readonly ProcessIdentity[]): Promise<void> {
    await waitFor('the end of the processes', DEADLINE_MS, () => !processes.some(isAlive));
  }

  close(): void {
    for (const link of this.#links) link.close();
    for (const identity of findGuards(this.ward)) signalProcess(identity, 'SIGKILL');
    for (const { pid } of this.#children) {
      if (pid === undefined) continue;
      for (const child of allProcesses()) {
        if (child.parent === pid) signalProcess(child, 'SIGKILL');
      }
      const found = readProcess(pid);
      if (found !== null) signalProcess(found, 'SIGKILL');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
