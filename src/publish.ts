/**
 * Tells the cluster where this node stands: the member key, and as leader `/status`. At most once
 * a tick; positions alone at most once per loop_wait, or an idle etcd fills up (rule F3).
 */
import type { Clock } from './clock.ts';
import type { ClusterView, MemberRecord, Observation } from './core/model.ts';
import { publishedSlots, retainedSlots } from './core/slots.ts';
import type { FailsafeList } from './failsafe/list.ts';
import type { LeaseKeeper } from './lease.ts';
import type { Status } from './status.ts';
import type { Store } from './store/store.ts';

export interface PublishOptions {
  readonly clock: Clock;
  readonly store: Store;
  readonly lease: LeaseKeeper;
  readonly status: Status;
  /** Told of each list of members before it is written. */
  readonly failsafe: Pick<FailsafeList, 'writing'>;
  readonly name: string;
}

export class Publisher {
  readonly #options: PublishOptions;
  #written: {
    readonly leaseId: string;
    readonly record: MemberRecord;
    readonly at: number;
  } | null = null;
  #statusAt: number | null = null;

  constructor(options: PublishOptions) {
    this.#options = options;
  }

  /** @throws StoreUnavailable and the like; nothing depends on it having happened */
  async publish(seen: Observation): Promise<void> {
    await this.member(seen.settings.loopWaitMs);
    await this.#leaderList(seen);
    await this.#unconfirmed(seen);
    await this.#leaderStatus(seen);
  }

  /** The member key; also called between ticks when the state changes. */
  async member(loopWaitMs: number): Promise<void> {
    const { store, lease, status, name, clock } = this.#options;
    const { leaseId } = lease.facts();
    if (leaseId === null) return;
    const record = status.record(checkpointDone(status));
    const written = this.#written;
    const due = written === null || clock.now() - written.at >= loopWaitMs * 0.9;
    if (!due && written.leaseId === leaseId && sameButPositions(written.record, record)) return;
    await store.writeMember(name, leaseId, record);
    this.#written = { leaseId, record, at: clock.now() };
  }

  /** The key may have gone with a lease, or by hand: write it again. */
  forget(): void {
    this.#written = null;
  }

  async #leaderStatus(seen: Observation): Promise<void> {
    const { store, lease, clock } = this.#options;
    const { leadership } = lease;
    if (leadership === null || !seen.cluster.known || !seen.postgres.sql.known) {
      this.#statusAt = null;
      return;
    }
    const sql = seen.postgres.sql.value;
    if (sql.inRecovery || sql.currentLsn === null) return;
    const due =
      this.#statusAt === null || clock.now() - this.#statusAt >= seen.settings.loopWaitMs * 0.9;
    if (!due) return;
    const slots = publishedSlots(seen);
    await store.writeStatus(leadership, {
      optime: sql.currentLsn,
      slots,
      retainSlots: retainedSlots(seen),
    });
    this.#statusAt = clock.now();
  }

  /** At every tick, as a member that is missing there may neither lead nor be asked; unchanged, it costs nothing. */
  async #leaderList(seen: Observation): Promise<void> {
    const { store, lease, failsafe } = this.#options;
    const { leadership } = lease;
    if (leadership === null || !seen.settings.failsafeMode || !seen.cluster.known) return;
    const { sql } = seen.postgres;
    if (!sql.known || sql.value.inRecovery) return;
    const list = this.#failsafeList(seen.cluster.value);
    failsafe.writing(list);
    await store.writeFailsafe(leadership, list);
  }

  /** Those of this primary's present life; an earlier primary's are told of first. */
  async #unconfirmed({ memory, postgres, cluster, name }: Observation): Promise<void> {
    const { store, lease } = this.#options;
    const { leadership } = lease;
    const { sql } = postgres;
    if (leadership === null || !cluster.known || !sql.known || sql.value.timeline === null) return;
    const { total } = memory.streaming.waits;
    const found = cluster.value.unconfirmed;
    const { inRecovery, timeline } = sql.value;
    if (inRecovery || (total === null && found === null)) return;
    if (found !== null && found.timeline !== timeline) return;
    const own = total === null ? null : { leader: name, timeline, ...total };
    await store.writeUnconfirmed(leadership, own);
  }

  /** Everybody who could be leader while this node goes on without the store (contract 2.3). */
  #failsafeList({ members }: ClusterView): Readonly<Record<string, string>> {
    const { name, status } = this.#options;
    const urls = new Map([[name, status.record(true).apiUrl ?? '']]);
    for (const member of members) if (member.apiUrl !== null) urls.set(member.name, member.apiUrl);
    return Object.fromEntries([...urls].sort(([one], [other]) => (one < other ? -1 : 1)));
  }
}

const POSITIONS: readonly string[] = ['position', 'replayLsn', 'receiveLsn'];

function sameButPositions(one: MemberRecord, other: MemberRecord): boolean {
  const before = new Map<string, unknown>(Object.entries(one));
  return Object.entries(other).every(([name, value]) => {
    const was = before.get(name);
    return (
      value === was || POSITIONS.includes(name) || JSON.stringify(value) === JSON.stringify(was)
    );
  });
}

/** The latest checkpoint is on the timeline that the server is on: pg_rewind may trust it (field D47). */
export function checkpointDone(status: Status): boolean {
  const { postgres } = status.snapshot();
  if (
    postgres === null ||
    !postgres.sql.known ||
    postgres.sql.value.inRecovery ||
    !postgres.control.known
  )
    return true;
  return postgres.control.value.timeline === postgres.sql.value.timeline;
}
