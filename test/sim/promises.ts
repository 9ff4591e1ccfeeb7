/**
 * Synchronous modes: no acknowledged commit is missing on the leader of a later timeline, and at every
 * moment what `/sync` says is true (S5): of the voters and the leader, no more than `quorum` lack a
 * commit that was acknowledged. Strict: nothing is acknowledged that no standby has.
 */
import type { Node } from './node.ts';
import type { Modes } from './schedule.ts';
import type { StoreTruth, SyncTruth } from './store-truth.ts';
import type { WalRecord } from './wal.ts';
import type { Machine } from './world.ts';

/** Well within ttl / 2, ms for each second of ttl. */
const SOON_PER_TTL = 300;

export class SynchronousPromises {
  readonly #modes: Modes;
  readonly #nodes: readonly Node[];
  readonly #truth: StoreTruth;
  readonly #now: () => number;
  readonly #violate: (kind: string, text: string) => void;
  /** Acknowledged under the promise of `/sync`. */
  #kept: WalRecord[] = [];
  /** The names were set for the first time: from then on the strict mode is in force. */
  #begun = false;

  constructor(
    modes: Modes,
    nodes: readonly Node[],
    truth: StoreTruth,
    now: () => number,
    violate: (kind: string, text: string) => void,
  ) {
    this.#modes = modes;
    this.#nodes = nodes;
    this.#truth = truth;
    this.#now = now;
    this.#violate = violate;
    if (this.on)
      truth.onSync = (before) => {
        this.#check('/sync is written', this.#kept);
        if (before !== null) this.#emptied(before);
      };
  }

  get on(): boolean {
    return this.#modes.synchronous !== 'off';
  }

  acknowledged(machine: Machine, record: WalRecord): void {
    if (!this.on) return;
    const { names } = machine.server.commits;
    const { sync } = this.#truth;
    // Before `/sync` is first written nobody is promised anything; an ex-primary whose set was emptied
    // is a matter of the lease.
    if (names === '' && sync?.leader !== machine.name) return;
    this.#begun ||= names !== '';
    this.#kept.push(record);
    if (sync?.leader === machine.name)
      this.#check(`write ${record.write} is acknowledged`, [record]);
    if (!this.#modes.strict || !this.#begun) return;
    const others = this.#nodes.filter(({ name }) => name !== machine.name);
    if (!others.some((other) => holds(other, record)))
      this.#violate('strict', `write ${record.write} is acknowledged by ${machine.name} alone`);
  }

  promoted(machine: Machine): void {
    if (!this.on) return;
    const { wal } = machine.disk;
    const lost = this.#kept.filter((record) => !wal.holds(record));
    if (lost.length === 0) return;
    this.#kept = this.#kept.filter((record) => wal.holds(record));
    this.#violate(
      'synchronous loss',
      `${machine.name} leads without ${lost.length} acknowledged writes, the first of them ${lost[0]?.write}`,
    );
  }

  /** A voter asks to be left out before its data directory is touched. */
  discarding({ name }: Machine, why: string): void {
    const { sync } = this.#truth;
    if (!this.on || sync === null || sync.leader === name) return;
    if (!sync.standbys.includes(name) || this.#truth.withdraws(name)) return;
    this.#violate('sync voter', `${name} gives up its data (${why}), and /sync names it`);
  }

  /** An operator's doing: what only this disk had is gone. */
  diskLost(node: Node): void {
    const others = this.#nodes.filter((other) => other !== node);
    this.#kept = this.#kept.filter((record) => others.some((other) => holds(other, record)));
  }

  /** Emptied only when nobody named there may come back soon: who was there a moment ago may. */
  #emptied(before: SyncTruth): void {
    const { sync, config } = this.#truth;
    if (sync === null || sync.leader !== before.leader || sync.standbys.length > 0) return;
    const recently = this.#now() - Number(config.ttl) * SOON_PER_TTL;
    const leader = this.#nodes.find(({ name }) => name === sync.leader);
    const back = this.#nodes.find(
      ({ name, server: { replication }, frozen, thawedAt }) =>
        before.standbys.includes(name) &&
        this.#truth.isMember(name) &&
        !this.#truth.withdraws(name) &&
        !frozen &&
        thawedAt < recently &&
        replication.source === null &&
        replication.ended?.source === leader?.server &&
        (replication.ended?.at ?? 0) > recently,
    );
    if (back !== undefined)
      this.#violate('emptied early', `${sync.leader} gives ${back.name} up, which was just there`);
  }

  #check(when: string, records: readonly WalRecord[]): void {
    const { sync } = this.#truth;
    if (sync === null || sync.leader === null || records.length === 0) return;
    const electors = electorsOf(sync, this.#nodes);
    // Nobody else is left to name: until its copy is complete a member cannot lead or vote.
    const whole = electors.filter(({ disk }) => disk.broken === null);
    for (const { server } of whole) server.replication.advance();
    for (const record of records) {
      const lacking = whole.filter((node) => !holds(node, record));
      if (lacking.length <= sync.quorum) continue;
      const names = lacking.map(({ name }) => name).join(', ');
      this.#violate(
        'sync promise',
        `${when}, and ${names} of /sync ${JSON.stringify(sync)} lack write ${record.write}`,
      );
      return;
    }
  }
}

function electorsOf({ leader, standbys }: SyncTruth, nodes: readonly Node[]): readonly Node[] {
  return nodes.filter(({ name }) => name === leader || standbys.includes(name));
}

function holds({ disk }: Node, record: WalRecord): boolean {
  return disk.wal.holds(record);
}
