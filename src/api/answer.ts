/** What an endpoint says before HTTP: the seam between the pure views and the server. */
import type { Snapshot } from '../status.ts';

export interface Answer {
  readonly status: number;
  /**
   * Made only when it is sent (HEAD and OPTIONS never need it); null: no body at all. A text is sent
   * as it is, anything else as JSON.
   */
  readonly body: (() => unknown) | null;
}

export interface Question {
  /** Path as it came, without the query; not decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
}

/** Pure: everything it says comes from the snapshot (rule F6). Does not throw. */
export type View = (snapshot: Snapshot, question: Question) => Answer;
