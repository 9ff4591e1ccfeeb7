/** What the agent keeps on disk for its next life: the seam between the agent and Journal. */
import type { PromiseRecord } from './failsafe/promises.ts';

/** This node's own memory on disk; see Journal. */
export interface NodeJournal {
  readonly node: {
    readonly promotedHere: readonly number[];
    readonly leaseId: string | null;
    readonly promise: PromiseRecord | null;
  };
  /** Which start of the machine this is. */
  readonly boot: string;
  /** On disk before a promotion is begun. @throws when it cannot be written */
  promoting(timeline: number): Promise<void>;
  leading(leaseId: string | null): Promise<void>;
  forgetPromotions(): Promise<void>;
  /** On disk before a leader is told that it may go on (contract 5.4). @throws when it cannot be written */
  promised(promise: PromiseRecord): Promise<void>;
  tell(event: Readonly<Record<string, unknown>>): void;
}
