/**
 * A schedule: everything that makes one run what it is, as plain data. The generator draws one from
 * a seed; shrinking takes things away from it; a file holds it for replay.
 */
import { Random } from './random.ts';

export interface Timing {
  /** Seconds, as in `/config`. */
  readonly ttl: number;
  readonly loop_wait: number;
  readonly retry_timeout: number;
}

export type FaultKind =
  | 'kill postmaster'
  | 'stop postmaster'
  | 'stop hangs'
  | 'slow disk'
  | 'daemon crash'
  | 'kill at promotion'
  | 'crash at promotion'
  | 'pause at hand-over'
  | 'pause at start'
  | 'pause at promotion'
  | 'daemon starves'
  | 'guard crash'
  | 'guard pause'
  | 'pause, then cut'
  | 'daemon pause'
  | 'daemon restart'
  | 'machine pause'
  | 'node crash'
  | 'disk lost'
  | 'cut from store'
  | 'cut to store'
  | 'cut off store'
  | 'cut nodes'
  | 'cut nodes one way'
  | 'isolate'
  | 'cut in turn'
  | 'store outage'
  | 'store slow'
  | 'store lossy'
  | 'store leader'
  | 'deposed member'
  | 'no space'
  | 'watch break'
  | 'wall jump'
  | 'delete leader key'
  | 'switchover'
  | 'restart'
  | 'reinitialize'
  | 'pause'
  | 'ttl';

export interface Fault {
  readonly kind: FaultKind;
  /** Virtual ms. */
  readonly at: number;
  /** How long it lasts, ms. */
  readonly forMs: number;
  /** Who it happens to: a node, or `leader` for whoever leads then, `standby` for one of the others. */
  readonly who: string;
  readonly other: string;
  /** Meaning depends on the kind; in [0, 1). */
  readonly amount: number;
}

/** What of the agent is switched on. */
export interface Modes {
  readonly failsafe: boolean;
  readonly synchronous: 'off' | 'on' | 'quorum';
  readonly strict: boolean;
  /** synchronous_node_count. */
  readonly standbys: number;
}

export interface Schedule {
  readonly seed: string;
  readonly nodes: number;
  readonly writers: number;
  readonly timing: Timing;
  /** Bytes. */
  readonly maximumLag: number;
  readonly usePgRewind: boolean;
  readonly narrow: readonly string[];
  readonly modes: Modes;
  readonly faults: readonly Fault[];
  /** From here on nothing is disturbed any more, virtual ms. */
  readonly quietAt: number;
}

interface Weighted {
  readonly kind: FaultKind;
  readonly weight: number;
  /** Shortest and longest, in ttl. */
  readonly lasts: readonly [number, number];
}

const KINDS: readonly Weighted[] = [
  { kind: 'kill postmaster', weight: 10, lasts: [0, 0] },
  { kind: 'stop postmaster', weight: 3, lasts: [0.2, 2] },
  { kind: 'stop hangs', weight: 3, lasts: [0.5, 3] },
  { kind: 'slow disk', weight: 4, lasts: [0.5, 2] },
  { kind: 'kill at promotion', weight: 3, lasts: [1, 3] },
  { kind: 'crash at promotion', weight: 3, lasts: [1, 3] },
  { kind: 'pause at hand-over', weight: 3, lasts: [1, 4] },
  { kind: 'pause at start', weight: 2, lasts: [2, 4] },
  { kind: 'pause at promotion', weight: 2, lasts: [1, 4] },
  { kind: 'daemon starves', weight: 2, lasts: [0.6, 2] },
  { kind: 'guard crash', weight: 3, lasts: [0, 0] },
  { kind: 'guard pause', weight: 3, lasts: [0.05, 2] },
  { kind: 'pause, then cut', weight: 2, lasts: [1.5, 3] },
  { kind: 'daemon crash', weight: 8, lasts: [0.05, 2] },
  { kind: 'daemon pause', weight: 5, lasts: [0.1, 2] },
  { kind: 'daemon restart', weight: 8, lasts: [0.05, 1] },
  { kind: 'machine pause', weight: 5, lasts: [0.1, 2] },
  { kind: 'node crash', weight: 10, lasts: [0.2, 2.5] },
  { kind: 'disk lost', weight: 2, lasts: [0.2, 1] },
  { kind: 'cut from store', weight: 4, lasts: [0.3, 2] },
  { kind: 'cut to store', weight: 4, lasts: [0.3, 2] },
  { kind: 'cut off store', weight: 7, lasts: [0.3, 2] },
  { kind: 'cut nodes', weight: 6, lasts: [0.2, 2] },
  { kind: 'cut nodes one way', weight: 4, lasts: [0.2, 2] },
  { kind: 'isolate', weight: 7, lasts: [0.3, 2] },
  { kind: 'cut in turn', weight: 3, lasts: [1, 2.5] },
  { kind: 'store outage', weight: 5, lasts: [0.1, 1.5] },
  { kind: 'store slow', weight: 4, lasts: [0.3, 1.5] },
  { kind: 'store lossy', weight: 6, lasts: [0.3, 1.5] },
  { kind: 'store leader', weight: 5, lasts: [0, 0] },
  { kind: 'deposed member', weight: 6, lasts: [0.5, 1.5] },
  { kind: 'no space', weight: 3, lasts: [0.3, 1.5] },
  { kind: 'watch break', weight: 3, lasts: [0, 0] },
  { kind: 'wall jump', weight: 3, lasts: [0, 0] },
  { kind: 'delete leader key', weight: 5, lasts: [0, 0] },
  { kind: 'switchover', weight: 10, lasts: [0, 0] },
  { kind: 'restart', weight: 3, lasts: [1, 3] },
  { kind: 'reinitialize', weight: 3, lasts: [1, 3] },
  { kind: 'pause', weight: 4, lasts: [0.3, 1.5] },
  { kind: 'ttl', weight: 2, lasts: [0, 0] },
];

export const FAULT_KINDS: readonly FaultKind[] = KINDS.map(({ kind }) => kind);

const TIMINGS: readonly (Timing & { readonly weight: number })[] = [
  { ttl: 10, loop_wait: 3, retry_timeout: 3, weight: 5 },
  { ttl: 15, loop_wait: 5, retry_timeout: 5, weight: 3 },
  { ttl: 5, loop_wait: 2, retry_timeout: 1, weight: 1 },
  { ttl: 30, loop_wait: 10, retry_timeout: 10, weight: 1 },
];

/** Shares of schedules in these modes. */
const FAILSAFE = 0.05;
const SYNCHRONOUS = 0.04;

/** When the cluster has surely been set up, virtual ms. */
const SETTLED_MS = 15_000;
const LEAST_MS = 120_000;

export function nodeNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `n${index + 1}`);
}

/** By a stream of its own: the same seed has the same faults in whatever mode. */
function drawModes(seed: string): Modes {
  const chance = new Random(`modes ${seed}`);
  const failsafe = chance.chance(FAILSAFE);
  // A primary looks at its standbys four times a second: such a schedule takes three times as long.
  const synchronous = !chance.chance(SYNCHRONOUS) ? 'off' : chance.chance(0.5) ? 'on' : 'quorum';
  const strict = synchronous !== 'off' && chance.chance(0.3);
  const standbys = synchronous !== 'off' && chance.chance(0.3) ? 2 : 1;
  return { failsafe, synchronous, strict, standbys };
}

/** Only the given kinds, if any are given, and modes: for variants that need a certain weather. */
export function generate(
  seed: string,
  nodes: readonly [number, number],
  kinds: readonly FaultKind[] = [],
  modes: Partial<Modes> = {},
): Schedule {
  const chance = new Random(`schedule ${seed}`);
  const { ttl, loop_wait, retry_timeout } = weighted(chance, TIMINGS);
  // Most clusters have three members; larger ones cost more than they find.
  const count = chance.chance(0.65) ? nodes[0] : chance.whole(nodes[0], nodes[1]);
  const names = nodeNames(count);
  const usable = kinds.length === 0 ? KINDS : KINDS.filter(({ kind }) => kinds.includes(kind));
  const spread = Math.max(LEAST_MS - SETTLED_MS - 4 * ttl * 1000, 4 * ttl * 1000);
  const faults = Array.from({ length: chance.whole(5, 9) }, () =>
    fault(chance, weighted(chance, usable), names, ttl * 1000, spread),
  ).sort((one, other) => one.at - other.at);
  const all = { ...drawModes(seed), ...modes };
  const end = Math.max(...faults.map(({ at, forMs }) => at + forMs));
  return {
    seed,
    nodes: count,
    writers: chance.whole(1, 3),
    timing: { ttl, loop_wait, retry_timeout },
    // Who is too far behind never leads while the leader's disk is lost: that is what was asked for.
    maximumLag:
      chance.chance(0.2) && !faults.some(({ kind }) => kind === 'disk lost') ? 4096 : 1_048_576,
    usePgRewind: chance.chance(0.8),
    narrow: names.filter(() => chance.chance(0.15)),
    modes: all,
    // What only one member of /sync has cannot be promised when its disk is gone.
    faults: all.synchronous === 'off' ? faults : faults.map(keepingDisk),
    quietAt: Math.max(end + 1000, SETTLED_MS + spread),
  };
}

function fault(
  chance: Random,
  { kind, lasts }: Weighted,
  names: readonly string[],
  ttlMs: number,
  spread: number,
): Fault {
  const who = chance.chance(0.5) ? 'leader' : chance.chance(0.3) ? 'standby' : chance.pick(names);
  return {
    kind,
    at: Math.round(SETTLED_MS + chance.next() * spread),
    forMs: Math.round(chance.between(lasts[0], lasts[1]) * ttlMs),
    who,
    other: chance.pick(names),
    amount: Math.round(chance.next() * 1000) / 1000,
  };
}

function keepingDisk(fault: Fault): Fault {
  return fault.kind === 'disk lost' ? { ...fault, kind: 'node crash' } : fault;
}

function weighted<T extends { readonly weight: number }>(chance: Random, list: readonly T[]): T {
  let left = chance.next() * list.reduce((sum, { weight }) => sum + weight, 0);
  for (const one of list) {
    left -= one.weight;
    if (left < 0) return one;
  }
  return chance.pick(list);
}
