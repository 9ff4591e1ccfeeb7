/**
 * How a standby gets its WAL: connects, compares timelines by their numbers as PostgreSQL does,
 * and then holds whatever its source had a moment ago. Nothing happens between two looks at it.
 */
import type { Server } from './server.ts';
import { newestTimeline, timelineAt, type WalRecord } from './wal.ts';
import type { Machine, World } from './world.ts';

/** wal_retrieve_retry_interval as the agent sets it, ms. */
const RETRY_MS = 500;

export class Replication {
  readonly #world: World;
  readonly #machine: () => Machine;
  readonly #own: Server;
  /** Timeline that recovery is heading for. */
  target = 1;
  source: Server | null = null;
  /** Sent by the source, not yet here, ms. */
  lagMs = 0;
  /** Position received since the start; null before the first connection. */
  received: number | null = null;
  #advancing = false;
  #cancelTry: () => void = () => undefined;

  constructor(world: World, machine: () => Machine, own: Server) {
    this.#world = world;
    this.#machine = machine;
    this.#own = own;
  }

  get name(): string {
    return this.#machine().name;
  }

  #flushed = 0;
  /** Whom it last lost as its upstream, and when, virtual ms. */
  ended: { readonly source: Server; readonly at: number } | null = null;
  /** Which connection this is: with the name, its identity. */
  connection = 0;

  /** What the upstream has been told is flushed here, bytes. */
  confirmed(): number {
    if (!this.#linked() || this.#own.state !== 'standby' || this.#machine().frozen)
      return this.#flushed;
    this.advance();
    this.#flushed = this.#machine().disk.wal.end;
    return this.#flushed;
  }

  get streaming(): boolean {
    return this.#linked();
  }

  /** As PostgreSQL looks at pg_control before recovery: is the own past part of the timeline ahead? */
  descends(): boolean {
    const { control, histories } = this.#machine().disk;
    const { checkpointLsn, timeline, minRecoveryEndLsn, minRecoveryEndTimeline } = control;
    const on = (lsn: number): number => timelineAt(lsn, this.target, histories);
    if (on(checkpointLsn) !== timeline) return false;
    return minRecoveryEndLsn === 0 || on(minRecoveryEndLsn - 1) === minRecoveryEndTimeline;
  }

  /** Recovery has begun. */
  begin(): void {
    this.received = null;
    this.#try(1);
  }

  /** primary_conninfo was changed and reloaded. */
  reload(): void {
    this.disconnect();
    this.#try(10);
  }

  disconnect(): void {
    if (this.source === null) return;
    this.advance();
    this.ended = { source: this.source, at: this.#world.scheduler.now };
    this.source = null;
    this.#try(this.#world.random('reconnect').between(10, RETRY_MS));
  }

  end(): void {
    if (this.source !== null) this.ended = { source: this.source, at: this.#world.scheduler.now };
    this.source = null;
  }

  /** pg_control of a standby names where recovery has to reach at least. */
  noteEnd(): void {
    const { control, wal } = this.#machine().disk;
    if (this.#own.state !== 'standby' && this.#own.state !== 'promoting') return;
    control.minRecoveryEndLsn = wal.end;
    control.minRecoveryEndTimeline = wal.timeline;
  }

  /** Takes over what has arrived by now. */
  advance(): void {
    const source = this.source;
    if (source === null || this.#own.state !== 'standby' || this.#machine().frozen) return;
    const { scheduler } = this.#world;
    const from = this.#machineOf(source);
    // Two standbys that were pointed at each other get nothing from each other.
    if (from === null || this.#advancing) return;
    this.#advancing = true;
    if (source.inRecovery) source.replication.advance();
    this.#advancing = false;
    const { wal, histories } = this.#machine().disk;
    const theirs = from.disk.wal.records;
    const until = scheduler.now - this.lagMs;
    for (let next = theirs[wal.records.length]; next !== undefined; ) {
      if (next.at > until) break;
      wal.records.push(next);
      next = theirs[wal.records.length];
    }
    if (wal.timeline > this.target) {
      // Whoever streams beyond the end of a timeline has fetched the history of the next.
      this.target = wal.timeline;
      const history = from.disk.histories.get(wal.timeline);
      if (history !== undefined) histories.set(wal.timeline, history);
    }
    this.received = wal.end;
  }

  /** Called when a link was cut: what has arrived by now is kept, the rest is lost. */
  linkChanged(): void {
    if (this.source === null || this.#linked()) return;
    this.disconnect();
  }

  #linked(): boolean {
    const source = this.source;
    if (source === null || !source.alive) return false;
    const from = this.#machineOf(source);
    const own = this.#machine();
    return from?.up === true && this.#world.network.connected(own.name, from.name);
  }

  #machineOf(server: Server): Machine | null {
    return this.#world.machines.find((machine) => machine.server === server) ?? null;
  }

  /** One try at a time; a newer one takes the place of an older. */
  #try(ms: number): void {
    this.#cancelTry();
    const { generation } = this.#own;
    this.#cancelTry = this.#machine().later(ms, () => {
      if (this.#own.generation !== generation || this.#own.state !== 'standby') return;
      if (this.source === null && !this.#connect()) this.#try(RETRY_MS);
    });
  }

  #connect(): boolean {
    const own = this.#machine();
    const { disk } = own;
    const { network, random } = this.#world;
    const from = disk.upstream === null ? null : this.#world.machine(disk.upstream);
    if (from === null || from === own || own.frozen || !from.server.accepts) return false;
    if (!network.connected(own.name, from.name)) return false;
    if (from.disk.systemIdentifier !== disk.systemIdentifier) return false;
    if (from.server.inRecovery) from.server.replication.advance();
    if (!this.#agree(from)) return false;
    this.source = from.server;
    this.connection += 1;
    this.#flushed = 0;
    const chance = random(`lag ${own.name}`);
    this.lagMs = chance.chance(0.8) ? chance.between(1, 10) : chance.between(10, 300);
    this.advance();
    return true;
  }

  /** What walreceiver and startup process compare: numbers and history files, never contents. */
  #agree(from: Machine): boolean {
    const { disk } = this.#machine();
    const { wal, histories } = disk;
    const theirs = from.disk;
    let start = timelineAt(wal.end, this.target, histories);
    if (theirs.wal.timeline < start) return false;
    for (let timeline = start + 1; timeline <= theirs.wal.timeline; timeline += 1) {
      if (histories.has(timeline)) continue;
      const history = theirs.histories.get(timeline);
      if (history === undefined) return false;
      histories.set(timeline, history);
    }
    const newest = newestTimeline(this.target, histories);
    if (newest !== this.target) {
      const left = histories.get(newest)?.entries.find(({ timeline }) => timeline === this.target);
      if (left !== undefined && left.switchLsn >= wal.end) this.target = newest;
    }
    start = timelineAt(wal.end, this.target, histories);
    if (start === theirs.wal.timeline) {
      if (wal.end > theirs.wal.end) return false;
    } else {
      const left = theirs.histories.get(theirs.wal.timeline)?.entries;
      const entry = left?.find(({ timeline }) => timeline === start);
      if (entry === undefined || entry.switchLsn < wal.end) return false;
    }
    return this.#continues(from, theirs.wal.records);
  }

  /** Numbers agree; whether contents do, only the simulator sees. */
  #continues(from: Machine, theirs: readonly WalRecord[]): boolean {
    const { wal } = this.#machine().disk;
    const { head } = wal;
    if (head === null || theirs[head.depth] === head) return true;
    const next = theirs.find((record) => record.start >= head.end);
    // Where a record begins in the middle of ours, PostgreSQL finds garbage and gives up.
    if (next !== undefined && next.start !== head.end) return false;
    this.#world.witness.diverged(
      this.#machine(),
      from,
      `at position ${head.end} of timeline ${head.timeline} with other contents`,
    );
    return false;
  }
}
