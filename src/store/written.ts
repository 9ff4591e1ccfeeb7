/**
 * What this agent last wrote, by key: unchanged values are not written again (an etcd that nobody
 * compacts keeps every revision; F3), and its own changes are told from those of others.
 */
import type { KeyValue } from './keyvalue.ts';

interface Entry {
  readonly value: string;
  readonly leaseId: string | null;
  /** Null while the write is under way. */
  readonly revision: number | null;
}

export class Written {
  readonly #entries = new Map<string, Entry>();

  isUnchanged(key: string, value: string, leaseId: string | null): boolean {
    const entry = this.#entries.get(key);
    return entry?.revision != null && entry.value === value && entry.leaseId === leaseId;
  }

  /** True for a change that the watch reports and that is our own. */
  isOwn(key: string, value: string | null): boolean {
    return value !== null && this.#entries.get(key)?.value === value;
  }

  sending(key: string, value: string, leaseId: string | null): void {
    this.#entries.set(key, { value, leaseId, revision: null });
  }

  sent(key: string, value: string, leaseId: string | null, revision: number): void {
    this.#entries.set(key, { value, leaseId, revision });
  }

  /** Nothing of it is in a store that was wiped, restored or replaced. */
  forgetAll(): void {
    this.#entries.clear();
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }

  /**
   * Forgets what a later read does not show: the lease ended, somebody deleted or changed the key,
   * or an earlier write of unknown outcome arrived late.
   */
  verify(kvs: readonly KeyValue[], revision: number): void {
    const found = new Map(kvs.map((kv) => [kv.key, kv]));
    for (const [key, entry] of this.#entries) {
      if (entry.revision === null || entry.revision > revision) continue;
      const kv = found.get(key);
      if (kv?.value !== entry.value || kv.leaseId !== entry.leaseId) this.#entries.delete(key);
    }
  }
}
