/**
 * What must hold in every run, watched from outside of all agents with the truth about every disk,
 * lease and clock at hand. The first violation ends a run.
 */
import { isDeepStrictEqual } from 'node:util';
import { decide } from '../../src/core/decide.ts';
import type { Decision, Observation } from '../../src/core/model.ts';
import type { Settings } from '../../src/core/settings.ts';
import { Losses } from './losses.ts';
import type { Node } from './node.ts';
import { SynchronousPromises } from './promises.ts';
import type { Modes } from './schedule.ts';
import type { StoreTruth } from './store-truth.ts';
import type { Wal, WalRecord } from './wal.ts';
import type { Machine, Witness, World } from './world.ts';

export interface Violation {
  readonly kind: string;
  /** Virtual ms. */
  readonly at: number;
  readonly text: string;
}

export interface Line {
  readonly at: number;
  readonly name: string;
  readonly text: string;
}

/** After a suspend of the whole machine, ms of run time: the guard looks every 20 ms. */
const THAW_MS = 100;
/** A daemon that goes on after a stop, with no guard beside it, needs this long for overdue timers, ms. */
const RESUME_MS = 120;
/** A guard that goes on after a stop: from look to look, ms. */
const GUARD_MS = 25;
/** Beyond retry_timeout, a look takes this long at the most: peers and the leader's server are asked, ms. */
const LONGEST_LOOK_MS = 5000;
/** Rejoins and starts of one node in one run: more is going in circles. */
const MOST_ATTEMPTS = 60;

export class Checks implements Witness {
  readonly violations: Violation[] = [];
  readonly lines: Line[] = [];
  /** How often each rule decided. */
  readonly rules = new Map<string, number>();
  /** Time that a server whose agent and guard are both gone, stopped or just back acknowledged beside another, ms. */
  unfencedMs = 0;
  shots = 0;
  promotions = 0;
  readonly losses: Losses;
  readonly promises: SynchronousPromises;
  readonly #world: World;
  readonly #nodes: readonly Node[];
  readonly #truth: StoreTruth;
  readonly #recording: boolean;
  /** Who wrote on each timeline. */
  readonly #writers = new Map<number, string>();
  readonly #promotedBy = new Map<number, string>();
  readonly #attempts = new Map<string, number>();
  /** Since when each agent has known of the present pause. */
  readonly #pausedSince = new Map<string, number>();
  readonly #pausedAt = new Map<string, number>();
  /** What each node's last daemon went by. */
  readonly #settings = new Map<string, Settings>();
  #lookedAt = 0;

  constructor(
    world: World,
    nodes: readonly Node[],
    truth: StoreTruth,
    modes: Modes,
    recording: boolean,
  ) {
    this.#world = world;
    this.#nodes = nodes;
    this.#truth = truth;
    this.#recording = recording;
    const violate = (kind: string, text: string): void => this.violate(kind, text);
    this.promises = new SynchronousPromises(
      modes,
      nodes,
      truth,
      () => world.scheduler.now,
      violate,
    );
    this.losses = new Losses(world, nodes, truth, violate, modes.synchronous === 'off');
  }

  violate(kind: string, text: string): void {
    this.note('CHECK', `VIOLATION ${kind}: ${text}`);
    this.violations.push({ kind, at: this.#world.scheduler.now, text });
  }

  /** After every event. */
  look(): void {
    const { now } = this.#world.scheduler;
    const passed = now - this.#lookedAt;
    this.#lookedAt = now;
    let guarded: Node | null = null;
    let unguarded = false;
    for (const node of this.#nodes) {
      this.#notePause(node);
      if (!node.server.acknowledges) continue;
      if (!this.guarded(node)) {
        unguarded = true;
        continue;
      }
      if (guarded !== null) {
        this.violate('two primaries', `${guarded.name} and ${node.name} both acknowledge writes`);
        return;
      }
      guarded = node;
      if (!this.#truth.leased(node.name) && !this.#promised(node))
        this.violate('no lease', `${node.name} acknowledges writes after its lease has ended`);
    }
    if (unguarded && guarded !== null) this.unfencedMs += passed;
  }

  /** Failsafe mode: everybody who may race has promised this leader not to, and it still stands. */
  #promised({ name }: Node): boolean {
    const named = this.#truth.failsafe;
    if (!named.includes(name)) return false;
    return this.#nodes.every(({ name: other, clockNow, disk: { journal, kind } }) => {
      if (other === name || !named.includes(other) || kind === 'empty') return true;
      return journal.promise?.leader === name && journal.promise.until > clockNow;
    });
  }

  #notePause({ name, daemon }: Node): void {
    if (daemon?.policy.settings.paused !== true) {
      if (this.#pausedSince.size > 0) this.#pausedSince.delete(name);
    } else if (!this.#pausedSince.has(name)) this.#pausedSince.set(name, this.#lookedAt);
  }

  /** The agent or its guard is there to keep the promise: running, not just back, and not told to let go. */
  guarded(node: Node): boolean {
    const { now } = this.#world.scheduler;
    const { daemon, guard } = node;
    // Noted in a suspend too: what it learns when it goes on ends the pause for it.
    const paused = this.#paused(node, now);
    if (node.frozen || now - node.thawedAt < THAW_MS) return false;
    const daemonActs = daemon?.process.runs === true && now - daemon.process.resumedAt >= RESUME_MS;
    const guardActs = guard?.runs === true && now - guard.resumedAt >= GUARD_MS;
    if (!daemonActs && !guardActs) return false;
    if (paused) return false;
    // A primary found running, and no guard that knew of its lease, gets its time to be proven (S8).
    if (now < node.adoptedUntil) return false;
    return this.#truth.initialized;
  }

  /** The node's last daemon knew of a pause: its guard is disarmed, and it has one ttl when it ends. */
  #paused({ name, daemon }: Node, now: number): boolean {
    const known = daemon?.policy.settings ?? this.#settings.get(name);
    if (known === undefined) return false;
    if (daemon !== null) this.#settings.set(name, known);
    if (known.paused) this.#pausedAt.set(name, now);
    return now - (this.#pausedAt.get(name) ?? Number.NEGATIVE_INFINITY) < known.ttlMs;
  }

  promoted(machine: Machine, timeline: number, before: WalRecord | null): void {
    this.promotions += 1;
    this.note(machine.name, `PROMOTED to timeline ${timeline} at ${before?.end ?? 0}`);
    const earlier = this.#promotedBy.get(timeline);
    if (earlier !== undefined)
      this.violate('timeline twice', `${earlier} and ${machine.name} promoted to ${timeline}`);
    this.#promotedBy.set(timeline, machine.name);
    const holder = this.#truth.claimant(timeline);
    const node = this.#nodes.find(({ name }) => name === machine.name);
    // With neither a daemon that runs nor a guard nothing keeps a promotion that was begun from its end.
    const kept = node === undefined || this.guarded(node);
    if (holder !== machine.name && kept)
      this.violate('unclaimed timeline', `${machine.name} took ${timeline}, claimed by ${holder}`);
    const { requested, vacancy } = this.#truth;
    const asked = requested === machine.name || vacancy?.candidate === machine.name;
    // What was decided before the agent could know of the pause is carried through.
    const known = this.#pausedSince.get(machine.name);
    if (known !== undefined && known < this.#truth.since && !asked)
      this.violate(
        'promoted in pause',
        `${machine.name} was promoted although it knows of the pause`,
      );
    this.promises.promoted(machine);
    this.losses.promoted(machine, before);
  }

  acknowledged(machine: Machine, record: WalRecord): void {
    const writer = this.#writers.get(record.timeline);
    if (writer === undefined) this.#writers.set(record.timeline, machine.name);
    else if (writer !== machine.name)
      this.violate('timeline twice', `${writer} and ${machine.name} write on ${record.timeline}`);
    const node = this.#nodes.find(({ name }) => name === machine.name);
    const bound = node !== undefined && this.guarded(node) && machine.server.alive;
    this.losses.acknowledged(record, bound);
    this.promises.acknowledged(machine, record);
  }

  opened(machine: Machine, how: string): void {
    this.#attempt(machine.name);
    this.note(machine.name, `takes writes: ${how}`);
  }

  guardShot(machine: Machine, killed: number): void {
    this.shots += 1;
    this.note(machine.name, `the guard killed ${killed} processes of PostgreSQL`);
  }

  startedBroken(machine: Machine, why: string): void {
    this.violate('started broken', `${machine.name} starts what a ${why} left in pieces`);
  }

  diverged(machine: Machine, upstream: Machine, why: string): void {
    this.violate('silent divergence', `${machine.name} streams from ${upstream.name} ${why}`);
  }

  discarding(machine: Machine, wal: Wal, why: string, _from: Machine | null): void {
    this.#attempt(machine.name);
    this.note(machine.name, `gives up its data directory (${why})`);
    this.losses.discarding(machine, wal, why);
    this.promises.discarding(machine, why);
  }

  #attempt(name: string): void {
    const count = (this.#attempts.get(name) ?? 0) + 1;
    this.#attempts.set(name, count);
    if (count === MOST_ATTEMPTS)
      this.violate('going in circles', `${name} rejoined ${count} times`);
  }

  decided(machine: Machine, decision: Decision, observation: Observation): void {
    this.rules.set(decision.rule, (this.rules.get(decision.rule) ?? 0) + 1);
    this.note(machine.name, `${decision.why} [${decision.rule}]`);
    if (decision.rule === 'none' || decision.why === '')
      this.violate('no rule', `${machine.name}: ${JSON.stringify(decision)}`);
    if (!isDeepStrictEqual(decide(observation), decision))
      this.violate('undetermined', `${machine.name} decides ${decision.rule} otherwise next time`);
    this.#fresh(machine, observation);
  }

  /** S3: the view shows whatever this agent knew that it had written when the look began. */
  #fresh({ name }: Machine, { cluster, settings }: Observation): void {
    const node = this.#nodes.find((one) => one.name === name);
    const daemon = node?.daemon ?? null;
    if (node === undefined || daemon === null || !cluster.known) return;
    const { now } = this.#world.scheduler;
    const latest = now - settings.retryTimeoutMs - LONGEST_LOOK_MS;
    // Stopped in the middle of a look, it decides on what it saw before.
    if (Math.max(daemon.process.resumedAt, node.thawedAt) > latest) return;
    const known = daemon.client.writtenBefore(latest);
    if (cluster.value.revision < known)
      this.violate(
        'stale view',
        `${name} decides on revision ${cluster.value.revision}, after its own write ${known}`,
      );
  }

  said(machine: Machine, level: string, text: string): void {
    if (level === 'crash' || text.includes('please report it as a bug'))
      this.violate('agent error', `${machine.name}: ${text}`);
    else if (level !== 'debug') this.note(machine.name, `${level}: ${text}`);
  }

  note(name: string, text: string): void {
    if (this.#recording) this.lines.push({ at: this.#world.scheduler.now, name, text });
  }
}
