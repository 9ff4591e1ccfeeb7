/** What the checker judges: what clients and etcd told, and when. All times are ms of one monotonic clock. */

/** A write whose client got the success of its commit, without a warning. */
export interface Acknowledgement {
  readonly writer: string;
  /** Counts up for each writer. */
  readonly id: number;
  readonly node: string;
  readonly timeline: number;
  /** Where the log was when the statement ran, bytes from its beginning. */
  readonly lsn: number;
  /** When the server ran the statement, before its commit. */
  readonly executedAt: number;
  /** When the answer arrived. */
  readonly at: number;
}

/** A change of the leader key; null: it went. */
export interface Holding {
  /** When it was told, hence not before it happened. */
  readonly at: number;
  readonly holder: string | null;
}

/** A node that had stood still as a whole goes on. */
export interface Thaw {
  readonly node: string;
  /** When its first process was told, and its last. */
  readonly from: number;
  readonly until: number;
}

export interface History {
  /** In the order of `at`. */
  readonly acknowledged: readonly Acknowledgement[];
  /** In the order of `at`. */
  readonly holdings: readonly Holding[];
  readonly thaws: readonly Thaw[];
}
