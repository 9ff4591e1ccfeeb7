/**
 * The agent's hands on the simulated PostgreSQL: the same interface as the real ones, with the same
 * order of effects on disk. All waiting is on the daemon's own clock, so that work dies with it.
 */

import type { Clock } from '../../src/clock.ts';
import type { PostgresFacts, Upstream, UpstreamFacts } from '../../src/core/model.ts';
import { SynchronousNames } from '../../src/postgres/names.ts';
import {
  type BootstrapOutcome,
  type Postgres,
  PostgresError,
  type Progress,
  type ServerSettings,
} from '../../src/postgres/postgres.ts';
import { abandoned } from './disk.ts';
import { factsOf, senderOf } from './facts.ts';
import type { DaemonProcess } from './process.ts';
import type { Random } from './random.ts';
import { removeStrangers, removeStubs, writeStubs } from './stubs.ts';
import { cloneDirectory, initialise, rewindDirectory, type Tools } from './tools.ts';
import type { Machine, World } from './world.ts';

const LOOK_MS = 20;
const LEFTOVERS_MS = 5000;

export class SimPostgres implements Postgres {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #process: DaemonProcess;
  readonly #clock: Clock;
  readonly #chance: Random;
  readonly #listeners: ((why: string) => void)[] = [];
  #working = false;
  #tidied = false;

  readonly #names = new SynchronousNames();
  #settings: ServerSettings;

  constructor(
    world: World,
    machine: Machine,
    process: DaemonProcess,
    clock: Clock,
    settings: ServerSettings,
  ) {
    this.#settings = settings;
    this.#world = world;
    this.#machine = machine;
    this.#process = process;
    this.#clock = clock;
    this.#chance = world.random(`hands ${machine.name}`);
    machine.server.onEnd = (why) => {
      world.scheduler.after(this.#chance.between(1, 5), () =>
        process.deliver(() => {
          for (const listener of this.#listeners) listener(why);
        }),
      );
    };
  }

  async observe({ searchWalEnd }: { readonly searchWalEnd: boolean }): Promise<PostgresFacts> {
    this.#tidy();
    await this.#clock.wait(this.#chance.between(1, 6));
    return factsOf(this.#machine, { searchWalEnd, working: this.#working });
  }

  async askUpstream(upstream: Upstream, timeoutMs: number): Promise<UpstreamFacts> {
    return this.#tools().ask(upstream, timeoutMs);
  }

  onHint(listener: (why: string) => void): void {
    this.#listeners.push(listener);
  }

  async configure(settings: ServerSettings): Promise<void> {
    this.#settings = settings;
    await this.#clock.wait(1);
    if (this.#machine.disk.kind === 'cluster' && this.#write()) this.#reload();
  }

  /** Writes postgresql.conf. False: it is as it was. */
  #write(): boolean {
    const { disk } = this.#machine;
    const role = disk.standbySignal ? 'standby' : 'primary';
    const { synchronous_standby_names: names = '' } = this.#names.parameters(
      this.#settings,
      role,
      disk.conf,
    );
    const before = disk.conf;
    disk.conf = `synchronous_standby_names = '${names}'\n`;
    return disk.conf !== before;
  }

  /** SIGHUP; every process has read the file a little later, whatever becomes of the daemon. */
  #reload(): void {
    const { server, disk } = this.#machine;
    const { generation } = server;
    this.#machine.later(this.#chance.between(1, 20), () => {
      if (server.generation === generation) server.commits.reload(disk.synchronousNames);
    });
  }

  async bootstrap(progress: Progress, signal: AbortSignal): Promise<BootstrapOutcome> {
    this.#tidy();
    return this.#work(() => initialise(this.#tools(), progress, signal));
  }

  async start(
    as: 'primary' | 'standby',
    upstream: Upstream | null,
    timeoutMs: number,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<void> {
    this.#refuseUnfinished();
    const { server, disk } = this.#machine;
    const deadline = this.#clock.now() + timeoutMs;
    if (server.alive) throw new PostgresError('PostgreSQL already runs');
    progress('ending processes without a postmaster');
    await this.killOrphans(LEFTOVERS_MS);
    await this.#clock.wait(this.#chance.between(2, 20));
    if (as === 'standby') {
      disk.standbySignal = true;
      disk.upstream = upstream?.name ?? null;
      removeStubs(disk);
      const facts =
        upstream === null ? null : await this.askUpstream(upstream, 1000).catch(() => null);
      if (facts !== null && !facts.inRecovery) {
        const ancestors = facts.history.map(({ timeline }) => timeline);
        removeStrangers(disk, [facts.timeline, ...ancestors]);
      }
      this.#names.startsAsStandby();
    } else disk.standbySignal = false;
    this.#write();
    if (signal.aborted) throw new PostgresError('the start was cancelled');
    this.#world.trap('permitted', this.#machine);
    await this.#clock.wait(this.#chance.between(2, 8));
    if (server.alive) throw new PostgresError('PostgreSQL already runs');
    const slow = this.#chance.chance(0.1);
    server.start(as, slow ? this.#chance.between(1000, 8000) : this.#chance.between(50, 500));
    const { generation } = server;
    while (server.generation === generation && server.state === 'starting') {
      if (signal.aborted) {
        server.kill();
        throw new PostgresError('the start was cancelled');
      }
      if (this.#clock.now() >= deadline) throw new PostgresError('it is not up in time');
      await this.#clock.wait(LOOK_MS);
    }
    if (server.generation !== generation)
      throw new PostgresError('PostgreSQL ended while starting');
  }

  async stop(mode: 'fast' | 'immediate', options: Parameters<Postgres['stop']>[1]): Promise<void> {
    const { server, disk } = this.#machine;
    const deadline = this.#clock.now() + options.timeoutMs;
    await this.#clock.wait(this.#chance.between(0.5, 3));
    if (options.becomeStandby) disk.standbySignal = true;
    const { generation } = server;
    const primary = server.state === 'primary';
    server.signalStop(mode);
    let told = false;
    const tell = (): void => {
      if (told || mode !== 'fast' || !primary || !server.shutDown) return;
      told = true;
      options.onShutDown?.({ timeline: disk.wal.timeline, lsn: disk.wal.end });
    };
    while (server.alive && server.generation === generation) {
      if (this.#clock.now() >= deadline) {
        if (mode === 'fast') throw new PostgresError('PostgreSQL did not stop in time');
        server.kill();
        break;
      }
      tell();
      await this.#clock.wait(LOOK_MS);
    }
    tell();
    await this.killOrphans(LEFTOVERS_MS);
  }

  async checkpoint(timeoutMs: number): Promise<void> {
    const { server } = this.#machine;
    const { generation } = server;
    const takes = this.#chance.between(20, 300) * server.slowness;
    await this.#clock.wait(Math.min(takes, timeoutMs));
    if (takes > timeoutMs) throw new PostgresError('checkpoint: no answer in time');
    if (!server.alive || server.generation !== generation || server.stopping !== null)
      throw new PostgresError('checkpoint: the connection was lost');
    server.checkpoint();
  }

  async promote(
    claim: number | null,
    timeoutMs: number,
    permission: () => Promise<void>,
  ): Promise<number> {
    const { server, disk } = this.#machine;
    const deadline = this.#clock.now() + timeoutMs;
    await this.#clock.wait(this.#chance.between(1, 5));
    if (server.state === 'standby') {
      server.replication.advance();
      if (claim !== null) writeStubs(disk, claim);
      await permission();
      this.#world.trap('permitted', this.#machine);
      await this.#clock.wait(this.#chance.between(1, 5));
      server.promote();
    }
    while (server.state !== 'primary') {
      if (!server.alive) throw new PostgresError('PostgreSQL ended while it was promoted');
      if (this.#clock.now() >= deadline) throw new PostgresError('not promoted in time');
      await this.#clock.wait(LOOK_MS);
    }
    return disk.wal.timeline;
  }

  async follow(upstream: Upstream | null): Promise<boolean> {
    const { server, disk } = this.#machine;
    await this.#clock.wait(this.#chance.between(1, 5));
    if (!server.alive) throw new PostgresError('follow: PostgreSQL does not run');
    if (disk.upstream === (upstream?.name ?? null)) return false;
    disk.upstream = upstream?.name ?? null;
    if (this.#write()) this.#reload();
    server.replication.reload();
    return true;
  }

  async clone(from: Upstream, progress: Progress, signal: AbortSignal): Promise<void> {
    this.#tidy();
    await this.#work(() => cloneDirectory(this.#tools(), from, progress, signal));
  }

  async rewind(from: Upstream, progress: Progress): Promise<void> {
    this.#refuseUnfinished();
    await this.#work(() => rewindDirectory(this.#tools(), from, progress));
  }

  async slots({ create, drop, advance }: Parameters<Postgres['slots']>[0]): Promise<void> {
    const { server, disk } = this.#machine;
    await this.#clock.wait(this.#chance.between(1, 5));
    if (!server.alive) throw new PostgresError('slots: PostgreSQL does not run');
    for (const name of create) disk.slots.set(name, disk.wal.end);
    for (const name of drop) disk.slots.delete(name);
    for (const [name, lsn] of Object.entries(advance)) disk.slots.set(name, lsn);
  }

  async setSynchronousNames(
    names: string | null,
    timeoutMs: number,
  ): ReturnType<Postgres['setSynchronousNames']> {
    const { server, disk } = this.#machine;
    const deadline = this.#clock.now() + timeoutMs;
    await this.#clock.wait(this.#chance.between(1, 5));
    if (!server.alive) throw new PostgresError('synchronous_standby_names: not running');
    this.#names.set(names);
    this.#write();
    const wanted = disk.synchronousNames;
    const { generation } = server;
    if (server.commits.names !== wanted) this.#reload();
    while (server.commits.names !== wanted) {
      if (this.#clock.now() >= deadline || server.generation !== generation)
        throw new PostgresError('synchronous_standby_names: not in force in time');
      await this.#clock.wait(LOOK_MS / 2);
    }
    await this.#clock.wait(this.#chance.between(1, 5));
    if (!server.alive || server.generation !== generation || server.stopping !== null)
      throw new PostgresError('synchronous_standby_names: the connection was lost');
    return { names: wanted, flushedLsn: server.inRecovery ? null : disk.wal.end };
  }

  async endSender(pid: number, startedAt: string): Promise<void> {
    await this.#clock.wait(1);
    for (const follower of this.#machine.server.followers())
      if (senderOf(follower).pid === pid && senderOf(follower).startedAt === startedAt)
        follower.disconnect();
  }

  async history(timeline: number): ReturnType<Postgres['history']> {
    await this.#clock.wait(1);
    if (timeline <= 1) return { entries: [], writtenAt: null };
    const history = this.#machine.disk.histories.get(timeline);
    if (history === undefined) throw new PostgresError(`${timeline}.history is not in pg_wal`);
    return { entries: history.entries, writtenAt: this.#clock.wall() };
  }

  killEverything(): { readonly signalled: number } {
    return { signalled: this.#machine.server.kill() };
  }

  freezeEverything(): { readonly signalled: number } {
    return { signalled: this.#machine.server.freeze() };
  }

  signalStop(mode: 'fast' | 'immediate'): void {
    this.#machine.server.signalStop(mode);
  }

  async killOrphans(_timeoutMs: number): Promise<number> {
    const ended = this.#machine.server.endOrphans();
    if (ended > 0) await this.#clock.wait(this.#chance.between(5, 30));
    return ended;
  }

  async close(): Promise<void> {}

  #tools(): Tools {
    return {
      world: this.#world,
      machine: this.#machine,
      process: this.#process,
      clock: this.#clock,
      chance: this.#chance,
      ask: (upstream, timeoutMs) => this.#ask(upstream, timeoutMs),
    };
  }

  /** There, an answer, and back, on a new connection. */
  #ask(upstream: Upstream, timeoutMs: number): Promise<UpstreamFacts> {
    const { network, machine } = this.#world;
    const { name } = this.#machine;
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(timeoutMs, () =>
        reject(new PostgresError(`${upstream.name}: no answer in ${Math.round(timeoutMs)} ms`)),
      );
      const answer = (call: () => void): void =>
        network.send(upstream.name, name, () =>
          this.#process.deliver(() => {
            cancel();
            call();
          }),
        );
      network.send(name, upstream.name, () => {
        const other = machine(upstream.name);
        // A machine that is away, or a postmaster that is stopped, gives no answer at all.
        if (other === null || !other.up || other.frozen || other.server.postmasterStopped) return;
        if (!other.server.accepts) {
          answer(() => reject(new PostgresError(`${upstream.name}: connection refused`)));
          return;
        }
        other.server.replication.advance();
        const { disk, server } = other;
        const { timeline, end: lsn } = disk.wal;
        const facts: UpstreamFacts = {
          name: upstream.name,
          systemIdentifier: disk.systemIdentifier,
          timeline,
          lsn,
          history: disk.histories.get(timeline)?.entries ?? [],
          inRecovery: server.inRecovery,
        };
        answer(() => resolve(facts));
      });
    });
  }

  async #work<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working) throw new PostgresError('other work on the data directory is in progress');
    this.#working = true;
    try {
      return await work();
    } finally {
      this.#working = false;
    }
  }

  #refuseUnfinished(): void {
    this.#tidy();
    const marker = abandoned(this.#machine.disk.marker);
    if (marker !== null) throw new PostgresError(`a ${marker.kind} was begun and never finished`);
  }

  /** What a former agent left of a clone beside the data directory goes; the directory is whole. */
  #tidy(): void {
    if (this.#tidied) return;
    this.#tidied = true;
    const { disk } = this.#machine;
    disk.marker = abandoned(disk.marker);
  }
}
