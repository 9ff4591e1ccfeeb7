/**
 * What is counted and timed on the way, for `GET /metrics`. Plain numbers: no timer, no library, no
 * request, so that it costs a few additions whether or not anybody ever asks (rule F6).
 */

/** Upper bounds, ms, of things that should take a few ms and may take seconds. */
const QUICK = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
/** Upper bounds, ms, of what a failover is made of. */
const SLOW = [25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];

/** Times by upper bound. */
export class Histogram {
  /** Upper bounds, ms, ascending. */
  readonly boundsMs: readonly number[];
  /** Times up to each bound and above the one before; the last: above all. */
  readonly counts: number[];
  sumMs = 0;
  count = 0;

  constructor(boundsMs: readonly number[] = QUICK) {
    this.boundsMs = boundsMs;
    this.counts = new Array<number>(boundsMs.length + 1).fill(0);
  }

  /** @param ms what is not a time (negative, not finite) is left out */
  observe(ms: number): void {
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) return;
    const found = this.boundsMs.findIndex((bound) => ms <= bound);
    const at = found < 0 ? this.boundsMs.length : found;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sumMs += ms;
    this.count += 1;
  }
}

/**
 * What a failover is made of, each on the node that does it: `elect` from the leader key seen free to
 * its being ours, `promote` PostgreSQL's promotion, `takeover` both with what is between; on a node
 * that gives leadership away `checkpoint` while it still serves, and `release` from the stop, when
 * clients lose it, to the release of the key.
 */
export const PHASES = ['elect', 'promote', 'takeover', 'checkpoint', 'release'] as const;
export type Phase = (typeof PHASES)[number];

/** What became of a request to etcd: one attempt or several, at one endpoint or another. */
export const OUTCOMES = ['answered', 'refused', 'failed'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const REQUEST_KINDS = ['read', 'write', 'harmless'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** A piece of work on PostgreSQL that has ended; times are monotonic ms. */
export interface EndedWork {
  readonly kind: string;
  readonly startedAt: number;
  /** When PostgreSQL began to be stopped by it; absent: it was not. */
  readonly stoppingSince?: number;
  readonly outcome: { readonly ok: boolean; readonly endedAt: number } | null;
}

export interface ChildProcesses {
  readonly running: number;
  readonly started: number;
}

const each = <K extends string, T>(keys: readonly K[], make: () => T): Record<K, T> =>
  Object.fromEntries(keys.map((key) => [key, make()])) as Record<K, T>;

export class Measures {
  /** Tools and scripts; the server and the guard are none of them. */
  readonly children: () => ChildProcesses;
  readonly ticks = new Histogram();
  readonly decisions = new Histogram();
  /** Renewals of a leader that were proven, from sending to proof. */
  readonly renewals = new Histogram();
  renewalsMissed = 0;
  /** By how much timers of this process were late. */
  readonly lateness = new Histogram();
  readonly phases = each(PHASES, () => new Histogram(SLOW));
  readonly requestTimes = each(REQUEST_KINDS, () => new Histogram());
  readonly requests = each(REQUEST_KINDS, () => each(OUTCOMES, () => 0));
  /** Jobs that have ended: kind, then how many succeeded and failed. */
  readonly jobs = new Map<string, { ok: number; failed: number }>();
  #freeSince: number | null = null;

  constructor(children: () => ChildProcesses = () => ({ running: 0, started: 0 })) {
    this.children = children;
  }

  request(kind: RequestKind, outcome: Outcome, ms: number): void {
    this.requests[kind][outcome] += 1;
    this.requestTimes[kind].observe(ms);
  }

  /** The leader key, free since `freeSince` (null: not known), is ours now. Monotonic ms. */
  elected(freeSince: number | null, now: number): void {
    this.#freeSince = freeSince;
    if (freeSince !== null) this.phases.elect.observe(now - freeSince);
  }

  worked({ kind, startedAt, stoppingSince, outcome }: EndedWork): void {
    if (outcome === null) return;
    const { ok, endedAt } = outcome;
    const known = this.jobs.get(kind) ?? { ok: 0, failed: 0 };
    this.jobs.set(kind, {
      ok: known.ok + (ok ? 1 : 0),
      failed: known.failed + (ok ? 0 : 1),
    });
    if (!ok) return;
    if (kind === 'promote') this.#promoted(startedAt, endedAt);
    if (kind === 'handover' && stoppingSince !== undefined) {
      this.phases.checkpoint.observe(stoppingSince - startedAt);
      this.phases.release.observe(endedAt - stoppingSince);
    }
  }

  #promoted(startedAt: number, endedAt: number): void {
    this.phases.promote.observe(endedAt - startedAt);
    if (this.#freeSince !== null) this.phases.takeover.observe(endedAt - this.#freeSince);
    this.#freeSince = null;
  }
}
