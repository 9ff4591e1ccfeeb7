/**
 * Keeps one guard process: tells it the deadline, has it confirm, notices when it is killed, stopped
 * or silent, and then puts another in its place with the same deadline (rule S1).
 */
import { stat } from 'node:fs/promises';
import { uptime } from 'node:os';
import { type Clock, within } from '../clock.ts';
import type { GuardFacts } from '../core/model.ts';
import { fenceStages } from '../core/timing.ts';
import { makePrivateFolder, messageOf } from '../postgres/disk.ts';
import { waitUntilGone } from '../postgres/ending.ts';
import { type ProcessIdentity, readProcess, signalProcess } from '../postgres/proc.ts';
import { type Guard, GuardError } from './guard.ts';
import { type Answer, GuardLink, type GuardState } from './guard-link.ts';
import { findGuards, startGuard, type Ward } from './guard-start.ts';

/** From look to look at it, ms. */
const LOOK_MS = 250;
/** Silent for longer, ms: it is replaced. */
const SILENT_MS = 1000;
/** For the guard of an earlier life to answer, ms: with it goes what it knows of the deadline. */
const ADOPT_MS = 3000;
/** From look to look for a confirmation, ms: it comes within one. */
const CONFIRM_LOOK_MS = 2;
/** After it could not be replaced, ms. */
const RETRY_MS = 1000;
/** For one that was sent SIGKILL to let go of its lock, ms. */
const GONE_MS = 1000;
/** For the disk to say what the data directory's inode is, ms. */
const DIRECTORY_MS = 500;

export interface GuardKeeperOptions {
  readonly clock: Clock;
  readonly ward: Ward;
  readonly log: (level: 'info' | 'warning' | 'error' | 'critical', text: string) => void;
  /** It has killed processes of PostgreSQL: a hint to look. */
  readonly onShot: (why: string) => void;
}

export class GuardKeeper implements Guard {
  readonly #options: GuardKeeperOptions;
  readonly #stop = new AbortController();
  #link: GuardLink | null = null;
  /** Monotonic ms; null: disarmed. */
  #deadline: number | null = null;
  /** The data directory as the guard is to know it: device and inode. */
  #directory = '-';
  #sent = 0;
  /** Of the last order that says what it is to do. */
  #ordered = '';
  #confirmed = '';
  #state: GuardState = 'disarmed';
  /** Since when an order has been without any answer, monotonic ms. */
  #silentSince: number | null = null;
  #shotTold = 0;
  #replacing: Promise<void> | null = null;
  #complaint = '';

  constructor(options: GuardKeeperOptions) {
    this.#options = options;
  }

  async open(): Promise<number | null> {
    const { ward, log } = this.#options;
    try {
      await makePrivateFolder(ward.stateDir);
    } catch (error) {
      throw new GuardError(`the guard has no place: ${messageOf(error)}`, { cause: error });
    }
    await this.#learnDirectory();
    const found = await this.#adopt();
    if (found === null) await this.#start();
    else log('info', `took over the guard process ${this.#link?.identity.pid} (${found.state})`);
    this.#watch().catch((error: unknown) => log('error', `watching the guard: ${String(error)}`));
    return found === null || found.state === 'disarmed' ? null : this.#deadline;
  }

  arm(deadline: number): void {
    this.#deadline = deadline;
    this.#order();
  }

  disarm(): void {
    if (this.#deadline === null) return;
    this.#deadline = null;
    this.#order();
  }

  async ready(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const until = clock.now() + timeoutMs;
    const before = this.#directory;
    await this.#learnDirectory();
    if (this.#directory !== before) this.#order();
    this.#listen();
    if (this.#trouble() !== null) await within(clock, timeoutMs, 'guard', this.#replace());
    for (;;) {
      this.#listen();
      const wanted = this.#deadline === null ? 'disarmed' : 'armed';
      const confirmed = this.#link !== null && this.#confirmed === this.#ordered;
      if (confirmed && this.#state === wanted) return;
      if (confirmed) throw new GuardError(`the guard is ${this.#state}, not ${wanted}`);
      if (clock.now() >= until)
        throw new GuardError(`the guard has not confirmed that it is ${wanted}`);
      await clock.wait(CONFIRM_LOOK_MS);
    }
  }

  facts(): GuardFacts {
    if (this.#link === null) return { state: 'missing', pid: null };
    return { state: this.#state, pid: this.#link.identity.pid };
  }

  close(end: boolean): void {
    this.#stop.abort();
    if (end) this.#link?.send(`${this.#next()} end`);
    this.#link?.close();
    this.#link = null;
  }

  #next(): string {
    this.#sent += 1;
    return `${process.pid}.${this.#sent}`;
  }

  /** Tells it what it is to do. */
  #order(): void {
    this.#ordered = this.#next();
    const { clock } = this.#options;
    let line = `${this.#ordered} disarm`;
    if (this.#deadline !== null) {
      // Uptime first: should this process be stopped in between, the instant is too early, not too late.
      const boot = uptime() * 1000;
      const fireAt = boot + (this.#deadline - clock.now()) - fenceStages.killMs;
      line = `${this.#ordered} arm ${Math.max(0, Math.floor(fireAt))} ${this.#directory}`;
    }
    this.#say(line);
  }

  #say(line: string): void {
    if (this.#link === null) return;
    const now = this.#options.clock.now();
    // A pipe that takes nothing more has been silent for long.
    if (!this.#link.send(line)) this.#silentSince = Number.NEGATIVE_INFINITY;
    this.#silentSince ??= now;
  }

  #listen(): readonly Answer[] {
    const answers = this.#link?.answers() ?? [];
    const last = answers.at(-1);
    if (last === undefined) return answers;
    this.#silentSince = null;
    this.#state = last.state;
    this.#confirmed = answers.findLast(({ id }) => id === this.#ordered)?.id ?? this.#confirmed;
    for (const answer of answers) this.#tellShot(answer);
    return answers;
  }

  #tellShot({ shotAt, killed }: Answer): void {
    if (killed === 0 || shotAt === this.#shotTold) return;
    this.#shotTold = shotAt;
    const agoMs = Math.max(0, uptime() * 1000 - shotAt);
    const at = new Date(this.#options.clock.wall().getTime() - agoMs).toISOString();
    this.#options.log(
      'critical',
      `the guard killed ${killed} processes of PostgreSQL at ${at}, ${Math.round(agoMs)} ms ago: the lease had not been proven in time`,
    );
    this.#options.onShot('the guard killed PostgreSQL');
  }

  /** Why the guard cannot be relied on; null when it can. */
  #trouble(): string | null {
    const { clock } = this.#options;
    if (this.#link === null) return 'is not there';
    const { pid, startTicks } = this.#link.identity;
    const found = readProcess(pid);
    if (found?.startTicks !== startTicks) return 'was killed';
    if (isStopped(found)) return 'was stopped';
    const silentMs = this.#silentSince === null ? 0 : clock.now() - this.#silentSince;
    return silentMs > SILENT_MS ? 'does not answer' : null;
  }

  async #watch(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#listen();
      if (this.#trouble() === null) this.#say(`${this.#next()} ask`);
      else if (!(await this.#replace())) await clock.wait(RETRY_MS, signal);
      await clock.wait(LOOK_MS, signal);
    }
  }

  /** False: there is none now. One at a time. */
  async #replace(): Promise<boolean> {
    this.#replacing ??= this.#repair().finally(() => {
      this.#replacing = null;
    });
    await this.#replacing;
    return this.#link !== null;
  }

  async #repair(): Promise<void> {
    const { log } = this.#options;
    const why = this.#trouble();
    if (why === null || this.#stop.signal.aborted) return;
    const former = this.#link?.identity ?? null;
    try {
      this.#link?.close();
      this.#link = null;
      if (former !== null) await this.#kill(former);
      await this.#start();
      const pid = (this.#link as GuardLink | null)?.identity.pid;
      const what = former === null ? 'the guard' : `the guard process ${former.pid}`;
      log('warning', `${what} ${why}; ${pid} has taken its place`);
      this.#complaint = '';
    } catch (error) {
      const text = messageOf(error);
      if (text !== this.#complaint)
        log('error', `the guard ${why}, and there is no other: ${text}`);
      this.#complaint = text;
    }
  }

  async #kill(identity: ProcessIdentity): Promise<void> {
    signalProcess(identity, 'SIGKILL');
    if (!(await waitUntilGone(this.#options.clock, [identity], GONE_MS)))
      throw new GuardError(`the guard process ${identity.pid} does not end`);
  }

  /** The guard of an earlier life that answers; others are ended. Null: there is none. */
  async #adopt(): Promise<Answer | null> {
    const { ward, clock, log } = this.#options;
    let adopted: Answer | null = null;
    for (const identity of findGuards(ward)) {
      const answer: Answer | null = adopted === null ? await this.#asked(identity) : null;
      adopted ??= answer;
      if (answer !== null) continue;
      log('warning', `ending the guard process ${identity.pid}, which does not answer`);
      await this.#kill(identity).catch((error: unknown) => log('error', messageOf(error)));
    }
    if (adopted !== null && adopted.state !== 'disarmed') {
      // Our clock first: should this process be stopped in between, the instant is too early.
      const now = clock.now();
      this.#deadline = now + (adopted.fireAt + fenceStages.killMs - uptime() * 1000);
    }
    return adopted;
  }

  /** What it says, when it says anything: then it is the guard from now on. */
  async #asked(identity: ProcessIdentity): Promise<Answer | null> {
    const { clock } = this.#options;
    let link: GuardLink;
    try {
      link = new GuardLink(identity);
    } catch {
      return null;
    }
    const id = this.#next();
    link.send(`${id} ask`);
    const until = clock.now() + ADOPT_MS;
    while (clock.now() < until && !isStopped(identity)) {
      const answer = link.answers().find((one) => one.id === id);
      if (answer !== undefined) {
        this.#link = link;
        this.#ordered = id;
        this.#confirmed = id;
        this.#state = answer.state;
        this.#tellShot(answer);
        return answer;
      }
      await clock.wait(CONFIRM_LOOK_MS);
    }
    link.close();
    return null;
  }

  async #start(): Promise<void> {
    const { ward, clock } = this.#options;
    const link = new GuardLink(await startGuard(ward, clock));
    if (this.#stop.signal.aborted) {
      link.send(`${this.#next()} end`);
      link.close();
      return;
    }
    this.#link = link;
    this.#silentSince = null;
    this.#order();
  }

  /** A clone or an initdb puts another directory in its place. What cannot be told now stays as it was. */
  async #learnDirectory(): Promise<void> {
    const { clock, ward } = this.#options;
    const looking = stat(ward.dataDir, { bigint: true });
    try {
      const { dev, ino } = await within(clock, DIRECTORY_MS, 'data directory', looking);
      this.#directory = `${dev}:${ino}`;
    } catch {
      // There is none yet, or the disk hangs.
    }
  }
}

/** By SIGSTOP or a debugger. */
function isStopped({ pid }: ProcessIdentity): boolean {
  const state = readProcess(pid)?.state;
  return state === 'T' || state === 't';
}
