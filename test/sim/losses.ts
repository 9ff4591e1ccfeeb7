/**
 * Acknowledged writes and what becomes of them. Asynchronous mode: a planned hand-over loses
 * nothing; a crash loses only what no living member had, and no more than maximum_lag_on_failover
 * behind the last published position; nothing is destroyed while it is the only copy.
 */
import type { Node } from './node.ts';
import type { StoreTruth } from './store-truth.ts';
import type { Wal, WalRecord } from './wal.ts';
import type { Machine, World } from './world.ts';

/** A member counts as living when nothing has disturbed it for this long, ms. */
const STEADY_MS = 4000;

export class Losses {
  /** Acknowledged under a guarded lease, not lost so far. */
  #kept: WalRecord[] = [];
  acknowledgedCount = 0;
  lostCount = 0;
  /** Acknowledged while no agent guarded the server; whatever becomes of them. */
  unguardedCount = 0;
  readonly #world: World;
  readonly #nodes: readonly Node[];
  readonly #truth: StoreTruth;
  readonly #violate: (kind: string, text: string) => void;
  /** Positions and lag decide who leads, not `/sync`. */
  readonly #racing: boolean;
  readonly #disturbedAt = new Map<string, number>();

  constructor(
    world: World,
    nodes: readonly Node[],
    truth: StoreTruth,
    violate: (kind: string, text: string) => void,
    racing: boolean,
  ) {
    this.#racing = racing;
    this.#world = world;
    this.#nodes = nodes;
    this.#truth = truth;
    this.#violate = violate;
  }

  acknowledged(record: WalRecord, guarded: boolean): void {
    this.acknowledgedCount += 1;
    if (guarded) this.#kept.push(record);
    else this.unguardedCount += 1;
  }

  /** A fault hit this node, or ended there. */
  disturbed(name: string): void {
    this.#disturbedAt.set(name, this.#world.scheduler.now);
  }

  /** An operator's doing: what only this disk had is gone. */
  diskLost(node: Node): void {
    const others = this.#nodes.filter((other) => other !== node);
    this.#kept = this.#kept.filter((record) => others.some(({ disk }) => disk.wal.holds(record)));
  }

  promoted(machine: Machine, before: WalRecord | null): void {
    const { wal } = machine.disk;
    const lost = this.#kept.filter((record) => !wal.holds(record));
    this.#planned(machine, lost);
    if (this.#racing) {
      this.#better(machine, before, lost);
      this.#bound(machine, before);
    }
    this.lostCount += lost.length;
    if (lost.length > 0) {
      this.#world.witness.note(machine.name, `${lost.length} acknowledged writes are lost`);
      this.#kept = this.#kept.filter((record) => wal.holds(record));
    }
  }

  discarding(machine: Machine, wal: Wal, why: string): void {
    const last = this.#kept.findLast((record) => wal.holds(record));
    if (last === undefined) return;
    const others = this.#world.machines.filter(({ disk }) => disk.broken === null);
    if (others.some((other) => other !== machine && other.disk.wal.holds(last))) return;
    this.#violate(
      'only copy',
      `${machine.name} gives up the only copy of acknowledged write ${last.write} (${why})`,
    );
  }

  /** F4: the end of the hand-over is the floor of the race while a living member has it. */
  #planned(machine: Machine, lost: readonly WalRecord[]): void {
    const { vacancy } = this.#truth;
    const floor = vacancy?.floor?.record ?? null;
    if (vacancy === null || floor === null || vacancy.by === machine.name) return;
    if (machine.disk.wal.holds(floor)) {
      if (lost.length > 0)
        this.#violate('hand-over lost', `${lost.length} writes, with the floor on ${machine.name}`);
      return;
    }
    const holder = this.#nodes.find(
      (node) => node !== machine && this.#living(node, machine) && node.disk.wal.holds(floor),
    );
    if (holder !== undefined && lost.length > 0)
      this.#violate(
        'hand-over lost',
        `${machine.name} leads without the end of ${vacancy.by}, which ${holder.name} has`,
      );
  }

  /** Nobody is promoted while a living member on the same timeline has more. */
  #better(machine: Machine, before: WalRecord | null, lost: readonly WalRecord[]): void {
    if (before === null || lost.length === 0 || this.#truth.requested === machine.name) return;
    if (this.#truth.vacancy?.candidate != null) return;
    const asked = this.#truth.since - STEADY_MS;
    const missed = lost.findLast(({ at }) => at < asked);
    if (missed === undefined) return;
    const { failsafe } = this.#truth;
    const better = this.#nodes.find((node) => {
      const { wal } = node.disk;
      // Whom `/failsafe` leaves out may not race (contract 5.9a).
      if (failsafe.length > 0 && !failsafe.includes(node.name)) return false;
      return (
        node !== machine && this.#living(node, machine) && wal.holds(before) && wal.holds(missed)
      );
    });
    if (better !== undefined)
      this.#violate('better candidate', `${machine.name} leads although ${better.name} has more`);
  }

  #bound(machine: Machine, before: WalRecord | null): void {
    const { vacancy, optime, requested, config } = this.#truth;
    if (vacancy === null || vacancy.floor !== null || optime === null || before === null) return;
    if (requested === machine.name || vacancy.by === machine.name) return;
    const lag = optime - before.end;
    const allowed = Number(config.maximum_lag_on_failover);
    if (lag > allowed)
      this.#violate('lag', `${machine.name} leads ${lag} bytes behind, ${allowed} are allowed`);
  }

  /** As a standby, undisturbed for a while, and able to say so to `asking`. */
  #living(node: Node, asking: Machine): boolean {
    const { now } = this.#world.scheduler;
    const { network } = this.#world;
    const daemon = node.daemon;
    return (
      node.up &&
      daemon?.process.runs === true &&
      this.#truth.isMember(node.name) &&
      now - daemon.process.startedAt > STEADY_MS &&
      node.server.state === 'standby' &&
      node.server.stopping === null &&
      !node.server.postmasterStopped &&
      now - node.server.since > STEADY_MS &&
      now - (this.#disturbedAt.get(node.name) ?? Number.NEGATIVE_INFINITY) > STEADY_MS &&
      network.connectedFor(node.name, asking.name, STEADY_MS) &&
      network.connectedFor(node.name, 'store', STEADY_MS)
    );
  }
}
