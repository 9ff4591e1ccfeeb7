/** What really stands in the store, and what stood there: who led, under which leases, how it ended. */
import { keysOf } from '../../src/store/keys.ts';
import type { MemoryStore } from '../store/memory.ts';
import { NAMESPACE, SCOPE } from './node.ts';
import type { Scheduler } from './scheduler.ts';
import type { WalRecord } from './wal.ts';
import type { World } from './world.ts';

/** The leader key became free. */
export interface Vacancy {
  readonly at: number;
  readonly by: string;
  /** Floor of a planned hand-over with everything known; null otherwise. */
  readonly floor: { readonly record: WalRecord | null } | null;
  /** Named in the marker of a hand-over. */
  readonly candidate: string | null;
}

/** `/sync` as it stands. */
export interface SyncTruth {
  readonly leader: string | null;
  readonly standbys: readonly string[];
  readonly quorum: number;
}

export class StoreTruth {
  readonly keys = keysOf(NAMESPACE, SCOPE);
  readonly #store: MemoryStore;
  readonly #scheduler: Scheduler;
  readonly #world: World;
  /** Leases that ever backed the leader key of each node, newest last. */
  readonly #leases = new Map<string, string[]>();
  leader: string | null = null;
  /** Since when it leads. */
  since = 0;
  /** The last one before the present leader. */
  vacancy: Vacancy | null = null;
  sync: SyncTruth | null = null;
  /** Told when `/sync` has changed, with what it was. */
  onSync: (before: SyncTruth | null) => void = () => undefined;
  /** Member named in a failover request of late. */
  requested: string | null = null;

  constructor(world: World) {
    this.#world = world;
    this.#store = world.store;
    this.#scheduler = world.scheduler;
    this.#store.watch({
      prefix: this.keys.prefix,
      onChange: (changes) => {
        for (const { key, value } of changes) {
          if (key === this.keys.leader) this.#leaderKey(value);
          if (key === this.keys.failover) this.#failoverKey(value);
          if (key === this.keys.sync) this.#syncKey(value);
        }
      },
      onGap: () => undefined,
    });
  }

  get initialized(): boolean {
    return (this.#store.peek(this.keys.initialize)?.value ?? '') !== '';
  }

  /** Its member key is there: others can know of it. */
  isMember(name: string): boolean {
    return this.#store.peek(`${this.keys.members}${name}`) !== null;
  }

  /** It asks not to be named in `/sync`. */
  withdraws(name: string): boolean {
    const text = this.#store.peek(`${this.keys.members}${name}`)?.value ?? '';
    return text.includes('"nosync":true') || text.includes('"state":"stop');
  }

  /** A lease under which this node led still lives. */
  leased(name: string): boolean {
    const leases = this.#leases.get(name);
    return leases?.some((id) => (this.#store.leaseEnd(id) ?? 0) > this.#scheduler.now) === true;
  }

  /** Whom `/failsafe` names; empty: nobody. */
  get failsafe(): readonly string[] {
    return Object.keys(JSON.parse(this.#store.peek(this.keys.failsafe)?.value ?? '{}') as object);
  }

  claimant(timeline: number): string | null {
    const text = this.#store.peek(this.keys.timeline)?.value ?? '[]';
    const claims = JSON.parse(text) as [number, string][];
    return claims.findLast(([claimed]) => claimed === timeline)?.[1] ?? null;
  }

  /** Position that the leader last published. */
  get optime(): number | null {
    const text = this.#store.peek(this.keys.status)?.value;
    if (text === undefined) return null;
    const status = JSON.parse(text) as { readonly optime?: number };
    return typeof status.optime === 'number' ? status.optime : null;
  }

  get config(): Readonly<Record<string, unknown>> {
    const text = this.#store.peek(this.keys.config)?.value ?? '{}';
    return JSON.parse(text) as Record<string, unknown>;
  }

  #leaderKey(value: string | null): void {
    const { now } = this.#scheduler;
    if (value === null) {
      if (this.leader !== null) this.#vacant(this.leader);
      this.leader = null;
      return;
    }
    const lease = this.#store.peek(this.keys.leader)?.leaseId;
    const leases = this.#leases.get(value) ?? [];
    if (lease != null && !leases.includes(lease)) this.#leases.set(value, [...leases, lease]);
    if (this.leader !== value) {
      this.since = now;
      this.#world.witness.note('store', `leader key: ${value}`);
    }
    this.leader = value;
  }

  #vacant(by: string): void {
    const marker = this.#store.peek(this.keys.handover);
    const fields = JSON.parse(marker?.value ?? '{}') as {
      readonly leader?: string;
      readonly floor_lsn?: number;
      readonly candidate?: string;
    };
    const planned = fields.leader === by && fields.floor_lsn !== undefined;
    const record = this.#world.machine(by)?.disk.wal.head ?? null;
    const candidate = fields.leader === by ? (fields.candidate ?? null) : null;
    this.vacancy = { at: this.#scheduler.now, by, floor: planned ? { record } : null, candidate };
    this.#world.witness.note(
      'store',
      `leader key of ${by} is gone${planned ? ', handed over' : ''}`,
    );
  }

  #syncKey(value: string | null): void {
    const fields = JSON.parse(value ?? '{}') as {
      readonly leader?: string | null;
      readonly sync_standby?: string | null;
      readonly quorum?: number;
    };
    const standbys = (fields.sync_standby ?? '').split(',').filter((name) => name !== '');
    const { leader = null, quorum = 0 } = fields;
    const before = this.sync;
    this.sync = value === null ? null : { leader, standbys, quorum };
    this.#world.witness.note('store', `sync key: ${value}`);
    this.onSync(before);
  }

  #failoverKey(value: string | null): void {
    const fields = JSON.parse(value === null || value === '' ? '{}' : value) as {
      readonly member?: string;
    };
    if (fields.member !== undefined) this.requested = fields.member;
    this.#world.witness.note('store', `failover key: ${value}`);
  }
}
