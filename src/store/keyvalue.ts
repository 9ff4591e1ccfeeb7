/**
 * The seam to etcd: a linearizable key-value store with leases and transactions, no more. The
 * simulator implements the same interface. Everything that knows a key's name or meaning is above.
 */

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Decimal lease id; null when the key has none. */
  readonly leaseId: string | null;
}

/** Which member answered, and where it stood. */
export interface Header {
  /** Changes when somebody sets up another store at the same address, or wipes or restores this one. */
  readonly clusterId: string;
  readonly revision: number;
  readonly raftTerm: number;
}

export type Compare =
  | { readonly key: string; readonly createRevision: number }
  | { readonly key: string; readonly modRevision: number }
  | { readonly key: string; readonly value: string }
  | { readonly key: string; readonly leaseId: string };

export type Operation =
  | { readonly put: string; readonly value: string; readonly leaseId?: string }
  | { readonly delete: string }
  | { readonly get: string };

/**
 * - read: has no effect; asked again elsewhere, and refused when it is older than `notBefore`.
 * - harmless: like a read, but its answer is no view (keep-alive, time to live).
 * - write: never sent again when its outcome is unknown.
 */
export type CallKind = 'read' | 'harmless' | 'write';

export interface CallOptions {
  /** Total time for the call over all endpoints, ms. */
  readonly timeoutMs: number;
  /** Longest time for one endpoint, ms. */
  readonly attemptMs?: number;
  /**
   * Rule S3: an answer of the same store with a lower revision is refused, and another endpoint is
   * asked. For reads; answers of keep-alives and time-to-live carry no view.
   */
  readonly notBefore?: Pick<Header, 'clusterId' | 'revision'>;
  /**
   * When reads get nothing but answers from before `notBefore` for longer than this, the store was
   * wiped or restored: what is known of it is forgotten, and its `clusterId` changes. At least the
   * ttl: every deadline that was proven before has to be over by then. Default: 60 s.
   */
  readonly forgetAfterMs?: number;
}

/** One change that a watch saw. */
export interface Change {
  readonly key: string;
  /** Null: the key was deleted. */
  readonly value: string | null;
}

export interface KeyValueStore {
  /** Linearizable read of every key that begins with `prefix`, at one revision. */
  range(
    prefix: string,
    options: CallOptions,
  ): Promise<Header & { readonly kvs: readonly KeyValue[] }>;
  /**
   * All compares hold → `then`, else → `otherwise`. A failed call may have taken effect
   * (`StoreUnavailable.mayHaveHappened`). Never repeated by the store on its own when it writes
   * and the outcome of the first try is unknown.
   */
  transact(
    compare: readonly Compare[],
    then: readonly Operation[],
    otherwise: readonly Operation[],
    options: CallOptions,
  ): Promise<
    Header & { readonly succeeded: boolean; readonly reads: readonly (KeyValue | null)[] }
  >;
  /** Grants a lease under an id of our choice; returns the TTL that was really granted. */
  grant(
    leaseId: string,
    ttlSeconds: number,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }>;
  /** `ttlSeconds` 0: the lease is gone. NOT a proof of anything (rule S1). */
  keepAlive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }>;
  /** Remaining seconds, rounded up; 0 when the lease does not exist. NOT a view (rule S3). */
  timeToLive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly remainingSeconds: number }>;
  /** Only for a lease whose grant was ambiguous and that nothing is attached to (rule S7). */
  revokeUnused(leaseId: string, options: CallOptions): Promise<void>;
  /**
   * Hints that something below `prefix` changed. `onGap` is called when changes may have been
   * missed (look again): at every loss, and at every start, the first included. Reconnects on its
   * own until stopped.
   */
  watch(
    prefix: string,
    onChange: (changes: readonly Change[]) => void,
    onGap: (why: string) => void,
  ): { stop(): void };
  close(): void;
}

/** No endpoint gave an answer in time, or all refused. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
  /** False when it is certain that the request was never processed. */
  readonly mayHaveHappened: boolean;
  constructor(message: string, mayHaveHappened: boolean, options?: ErrorOptions) {
    super(message, options);
    this.mayHaveHappened = mayHaveHappened;
  }
}

/** The store answered, and the answer is no: permission, bad request, no space. Repeating does not help. */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused';
  /** gRPC status name, such as `PERMISSION_DENIED`, `RESOURCE_EXHAUSTED`. */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The lease named in a put or a keep-alive does not exist any more. */
export class LeaseGone extends Error {
  override readonly name = 'LeaseGone';
}
