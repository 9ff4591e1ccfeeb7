/**
 * Waits until somebody else leads (C-3.7, step 9): woken by the watch and by this node's own
 * changes, not by a timer. Beside Patroni's words it says how long nobody took writes.
 */
import type { ClusterView } from '../core/model.ts';
import type { Snapshot } from '../status.ts';
import { type Operator, type Reply, reply } from './operator.ts';

export type Action = 'switchover' | 'failover';

export interface Awaited {
  readonly action: Action;
  readonly candidate: string | null;
  /** Who led when it was asked for; null: nobody. */
  readonly from: string | null;
}

/** Patroni asks 2 * max(10, loop_wait) times, a second apart. */
const LEAST_ROUNDS = 10;
/** A new leader that has the key gets this long to take writes before the answer is given, ms. */
const PROMOTION_MS = 10_000;

export async function awaitLeader(operator: Operator, awaited: Awaited): Promise<Reply> {
  const { clock, store } = operator;
  const loopWaitS = operator.snapshot().settings.loopWaitMs / 1000;
  let deadline = clock.now() + 2 * Math.max(LEAST_ROUNDS, loopWaitS) * 1000;
  const outage = new Outage(awaited.from);
  const changes = new Changes(operator);
  try {
    let changed = false;
    for (;;) {
      changes.reset();
      const view = await store.read().catch(() => null);
      if (view !== null) {
        const now = clock.now();
        outage.see(view, operator.snapshot(), now);
        const { leader } = view;
        if (leader !== null && leader.name !== awaited.from) {
          if (!changed) deadline = now + PROMOTION_MS;
          changed = true;
          if (outage.over || now >= deadline) return success(awaited, leader.name, outage);
        } else if (!changed && view.failover === null && leader !== null)
          return reply(503, `${verb(awaited)} failed`, changes.refusal);
      }
      if (clock.now() >= deadline) break;
      await changes.wait(deadline - clock.now());
    }
    return reply(503, `${verb(awaited)} status unknown`, changes.refusal);
  } finally {
    changes.end();
  }
}

function verb({ action }: Awaited): string {
  return action === 'failover' ? 'Failover' : 'Switchover';
}

function success({ action, candidate }: Awaited, leader: string, outage: Outage): Reply {
  const did = action === 'failover' ? 'failed over' : 'switched over';
  const text =
    candidate === null || candidate === leader
      ? `Successfully ${did} to "${leader}"`
      : `${did[0]?.toUpperCase()}${did.slice(1)} to "${leader}" instead of "${candidate}"`;
  const { ms } = outage;
  if (ms === null) return reply(200, text);
  return { status: 200, body: text, headers: { 'tenure-outage-ms': String(ms) } };
}

/** From the moment the old primary refuses writes until the new one is seen to take them. */
class Outage {
  readonly #from: string | null;
  #began: number | null = null;
  #ended: number | null = null;

  constructor(from: string | null) {
    this.#from = from;
  }

  get over(): boolean {
    return this.#ended !== null;
  }

  /** Null when its beginning was not seen: before the request, or there was no primary at all. */
  get ms(): number | null {
    if (this.#began === null || this.#ended === null) return null;
    return Math.max(0, Math.round(this.#ended - this.#began));
  }

  see(view: ClusterView, snapshot: Snapshot, now: number): void {
    if (this.#from !== null) this.#began ??= this.#stopSeen(view, snapshot, now);
    const leader = view.leader?.name ?? null;
    if (leader === null || leader === this.#from || this.#ended !== null) return;
    const own = snapshot.name === leader ? snapshot : null;
    const { role, state } = own ?? view.members.find(({ name }) => name === leader) ?? {};
    if (role === 'primary' && state === 'running') this.#ended = now;
  }

  #stopSeen(view: ClusterView, snapshot: Snapshot, now: number): number | null {
    if (snapshot.name === this.#from) return snapshot.job?.stoppingSince ?? null;
    const member = view.members.find(({ name }) => name === this.#from);
    const serves = view.leader?.name === this.#from && member?.state === 'running';
    return serves ? null : now;
  }
}

/** Something may have changed since this was last reset. */
class Changes {
  readonly #operator: Operator;
  readonly #end: () => void;
  #wake = new AbortController();
  /** Why the leader refused, where it was asked itself: its next decision is about something else. */
  refusal: string | null = null;

  constructor(operator: Operator) {
    this.#operator = operator;
    this.#end = operator.onChange(() => {
      const { decision } = operator.snapshot();
      if (decision?.rule === 'hand-over.refused') this.refusal = decision.why;
      this.#wake.abort();
    });
  }

  reset(): void {
    this.#wake = new AbortController();
  }

  async wait(ms: number): Promise<void> {
    await this.#operator.clock.wait(ms, this.#wake.signal);
  }

  end(): void {
    this.#end();
  }
}
