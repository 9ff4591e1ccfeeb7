/**
 * The PostgreSQL of one node: postmaster, role, and how they change in time. What the agent can do
 * to it is in hands.ts; how a standby gets its WAL, in replication.ts.
 */

import { Commits } from './commits.ts';
import { Replication } from './replication.ts';
import { END_OF_RECOVERY_RECORD, type History, newestTimeline, SHUTDOWN_RECORD } from './wal.ts';
import type { Machine, World } from './world.ts';

export type ServerState = 'down' | 'starting' | 'standby' | 'promoting' | 'primary';

/** From commit to commit of a backend that outlived its postmaster, ms. */
const ORPHAN_PACE_MS = 60;
/** Longest wait of a stopping primary for its walsenders, as the agent ends them then, ms. */
const SENDERS_MS = 400;
const HANG_LOOK_MS = 200;
/** Recovery reads more than it waits for the disk. */
const MOST_SLOWNESS = 4;

export class Server {
  readonly #world: World;
  readonly #machine: () => Machine;
  readonly replication: Replication;
  readonly commits: Commits;
  state: ServerState = 'down';
  /** Another for every postmaster. */
  generation = 0;
  startedAt = 0;
  /** Since when it is what it is. */
  since = 0;
  /** Backends whose postmaster is dead; they go on acknowledging. */
  orphans = 0;
  /** SIGSTOP to the postmaster alone: it takes no signals and no connections. */
  postmasterStopped = false;
  /** SIGSTOP to every process. */
  stopped = false;
  stopping: 'fast' | 'immediate' | null = null;
  /** "shut down" is in pg_control of the present stop. */
  shutDown = false;
  #stopHangs = false;
  /** Multiplies the time that recovery, promotion and checkpoints take. */
  slowness = 1;
  #pendingStop: 'fast' | 'immediate' | null = null;
  #clientsUntil = Number.POSITIVE_INFINITY;
  #onEnd: (why: string) => void = () => undefined;

  constructor(world: World, machine: () => Machine) {
    this.#world = world;
    this.#machine = machine;
    this.replication = new Replication(world, machine, this);
    this.commits = new Commits({
      world,
      machine,
      followers: () => this.followers(),
      acknowledges: () => this.alive && this.acknowledges,
    });
  }

  /** Who is told that the postmaster ended; one at a time, the present daemon. */
  set onEnd(listener: (why: string) => void) {
    this.#onEnd = listener;
  }

  get alive(): boolean {
    return this.state !== 'down';
  }

  /** New connections are taken. */
  get accepts(): boolean {
    const machine = this.#machine();
    const running = machine.up && !machine.frozen && !this.stopped && !this.postmasterStopped;
    return running && this.stopping === null && (this.state === 'standby' || this.serves);
  }

  get serves(): boolean {
    return this.state === 'primary';
  }

  /** At this instant a client can be told that its write is committed. */
  get acknowledges(): boolean {
    if (this.state !== 'primary' && this.orphans === 0) return false;
    const machine = this.#machine();
    if (!machine.up || machine.frozen || this.stopped) return false;
    if (this.orphans > 0) return true;
    return this.#world.scheduler.now < this.#clientsUntil;
  }

  get inRecovery(): boolean {
    return this.state === 'standby' || this.state === 'promoting';
  }

  /** Writes and acknowledges. False: it does not. */
  commit(write: number, size: number): boolean {
    if (!this.acknowledges) return false;
    const { wal } = this.#machine().disk;
    const record = wal.append(wal.timeline, size, write, this.#world.scheduler.now);
    // An orphan that waits ends when it finds its postmaster gone.
    if (this.alive) this.commits.written(record);
    else if (this.commits.names === '') this.#world.witness.acknowledged(this.#machine(), record);
    return true;
  }

  start(as: 'primary' | 'standby', recoveryMs: number): void {
    const machine = this.#machine();
    const { disk } = machine;
    this.#begin();
    if (disk.broken !== null) this.#world.witness.startedBroken(machine, disk.broken);
    const clean = disk.control.state.startsWith('shut down');
    this.commits.names = disk.synchronousNames;
    this.#enter('starting');
    machine.guard?.noticeServer();
    this.#world.trap('starting', machine);
    if (as === 'standby') {
      disk.control.state = 'in archive recovery';
      this.replication.target = newestTimeline(disk.wal.timeline, disk.histories);
    } else if (!clean) disk.control.state = 'in crash recovery';
    const slowness = Math.min(this.slowness, MOST_SLOWNESS);
    this.#later((clean ? 60 : 60 + recoveryMs) * slowness, () => {
      if (as === 'standby' && !this.replication.descends()) {
        this.#end("requested timeline is not a child of this server's history");
      } else if (as === 'standby') {
        this.#enter('standby');
        this.replication.begin();
      } else this.#open('started as primary');
    });
  }

  promote(): void {
    if (this.state !== 'standby' || this.stopping !== null) return;
    const { random, witness } = this.#world;
    const machine = this.#machine();
    const { disk } = machine;
    this.replication.advance();
    this.replication.end();
    this.#enter('promoting');
    this.#world.trap('promoting', machine);
    const chance = random(`promote ${machine.name}`);
    this.#later(chance.between(5, 40) * this.slowness, () => {
      const before = disk.wal.head;
      const timeline = newestTimeline(this.replication.target, disk.histories) + 1;
      const history = this.#historyOf();
      // A crash before the first record leaves the history of a promotion that never was.
      disk.histories.set(timeline, history);
      this.#later(chance.between(1, 15) * this.slowness, () => {
        witness.promoted(machine, timeline, before);
        disk.wal.append(timeline, END_OF_RECOVERY_RECORD, null, this.#world.scheduler.now);
        disk.control.minRecoveryEndLsn = disk.wal.end;
        disk.control.minRecoveryEndTimeline = timeline;
        disk.standbySignal = false;
        this.#open(`promoted to timeline ${timeline}`);
        this.#dropFollowers();
      });
    });
  }

  /** The end of the present timeline, in the file of the next. */
  #historyOf(): History {
    const { disk } = this.#machine();
    const own = disk.wal.timeline;
    const entries = disk.histories.get(own)?.entries ?? [];
    const reason = 'no recovery target specified';
    return {
      entries: [...entries, { timeline: own, switchLsn: disk.wal.end, reason }],
      stub: false,
    };
  }

  checkpoint(): void {
    const { disk } = this.#machine();
    if (this.state !== 'primary') return;
    disk.control.timeline = disk.wal.timeline;
    disk.control.checkpointLsn = disk.wal.end;
    // Its record begins there: a timeline that is left later has it.
    disk.wal.append(disk.wal.timeline, SHUTDOWN_RECORD, null, this.#world.scheduler.now);
    disk.control.minRecoveryEndLsn = 0;
    disk.control.minRecoveryEndTimeline = 0;
  }

  /** SIGINT or SIGQUIT to the postmaster. */
  signalStop(mode: 'fast' | 'immediate'): void {
    if (!this.alive || (this.stopping === 'immediate' && mode === 'fast')) return;
    if (this.postmasterStopped) {
      this.#pendingStop = mode;
      return;
    }
    if (this.stopping === mode) return;
    this.stopping = mode;
    this.commits.cancel();
    const chance = this.#world.random(`stop ${this.#machine().name}`);
    if (mode === 'immediate') {
      this.#clientsUntil = Math.min(this.#clientsUntil, this.#world.scheduler.now + 1);
      this.#later(chance.between(5, 120), () => this.#end('stopped at once'));
    } else this.#stopFast(chance.between(5, 150), chance.between(10, 300) * this.slowness);
  }

  #stopFast(clientsMs: number, checkpointMs: number): void {
    const primary = this.state === 'primary';
    if (this.state === 'starting' || this.state === 'promoting') {
      this.#later(clientsMs, () => this.#end('stopped while starting'));
      return;
    }
    this.#clientsUntil = this.#world.scheduler.now + clientsMs;
    this.#later(clientsMs + checkpointMs, () => this.#shutDown(primary));
  }

  #shutDown(primary: boolean): void {
    const { disk } = this.#machine();
    if (this.stopping !== 'fast') return;
    if (this.#stopHangs) {
      this.#later(HANG_LOOK_MS, () => this.#shutDown(primary));
      return;
    }
    if (primary) {
      disk.control.checkpointLsn = disk.wal.end;
      disk.control.timeline = disk.wal.timeline;
      disk.wal.append(disk.wal.timeline, SHUTDOWN_RECORD, null, this.#world.scheduler.now);
    } else this.replication.noteEnd();
    disk.control.state = primary ? 'shut down' : 'shut down in recovery';
    this.shutDown = true;
    this.#world.trap('shut down', this.#machine());
    const lag = Math.max(5, ...this.followers().map(({ lagMs }) => lagMs + 5));
    this.#later(Math.min(lag, SENDERS_MS), () => this.#end('stopped'));
  }

  /** A fast stop does not get on: clients that cannot be ended, or a disk that hangs. */
  set stopHangs(hangs: boolean) {
    this.#stopHangs = hangs;
  }

  /** SIGCONT to the postmaster. */
  postmasterGoesOn(): void {
    this.postmasterStopped = false;
    const pending = this.#pendingStop;
    this.#pendingStop = null;
    if (pending !== null) this.signalStop(pending);
  }

  /** SIGKILL to the postmaster; `orphans` of its backends do not notice. */
  killPostmaster(orphans: number): void {
    if (!this.alive) return;
    // A stop ends the clients first: while it waits for walsenders, nobody is left who could write.
    const hadClients =
      this.state === 'primary' && this.#world.scheduler.now < this.#clientsUntil && !this.shutDown;
    this.#end('the postmaster was killed');
    if (!hadClients || orphans === 0) return;
    this.orphans = orphans;
    this.#orphansWrite();
  }

  /** SIGSTOP to every process of the instance. */
  freeze(): number {
    this.stopped = this.alive || this.orphans > 0;
    return this.stopped ? 1 + this.orphans : 0;
  }

  /** SIGKILL to every process of the instance. */
  kill(): number {
    const count = (this.alive ? 5 : 0) + this.orphans;
    this.endOrphans();
    if (this.alive) this.#end('killed');
    this.stopped = false;
    return count;
  }

  endOrphans(): number {
    const ended = this.orphans;
    this.orphans = 0;
    return ended;
  }

  /** The machine went down: nothing ends in order. */
  powerOff(): void {
    if (this.alive) this.#end('the machine went down', false);
    this.orphans = 0;
    this.generation += 1;
  }

  #orphansWrite(): void {
    const machine = this.#machine();
    machine.later(ORPHAN_PACE_MS, () => {
      if (this.orphans === 0) return;
      this.commit(-1, 128);
      this.#orphansWrite();
    });
  }

  #open(how: string): void {
    const machine = this.#machine();
    machine.disk.control.state = 'in production';
    this.#enter('primary');
    this.#clientsUntil = Number.POSITIVE_INFINITY;
    this.#world.witness.opened(machine, how);
  }

  /** Walreceivers that are connected here. */
  followers(): readonly Replication[] {
    return this.#world.machines
      .map(({ server }) => server.replication)
      .filter((one) => one.source === this);
  }

  #dropFollowers(): void {
    for (const follower of this.followers()) follower.disconnect();
  }

  #begin(): void {
    this.generation += 1;
    this.startedAt = this.#world.scheduler.now;
    this.stopping = null;
    this.shutDown = false;
    this.#pendingStop = null;
    this.#clientsUntil = Number.POSITIVE_INFINITY;
  }

  #end(why: string, tell = true): void {
    for (const follower of this.followers()) follower.advance();
    this.replication.advance();
    this.replication.noteEnd();
    this.replication.end();
    this.commits.cancel();
    this.#dropFollowers();
    this.#enter('down');
    this.generation += 1;
    this.stopping = null;
    this.postmasterStopped = false;
    this.#world.witness.note(this.#machine().name, `PostgreSQL ${why}`);
    if (tell) this.#onEnd(why);
  }

  #enter(state: ServerState): void {
    this.state = state;
    this.since = this.#world.scheduler.now;
  }

  /** Unless the postmaster is another by then. */
  #later(ms: number, call: () => void): void {
    const { generation } = this;
    this.#machine().later(ms, () => {
      if (this.generation === generation) call();
    });
  }
}
