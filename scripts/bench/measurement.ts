/** One way to measure one or several rows. */
import type { RowId } from './rows.ts';
import type { SettingsName, Stage } from './stage.ts';

export interface Sample {
  /** In the row's unit. */
  readonly value: number;
  /** Acknowledged rows that the cluster does not have afterwards. */
  readonly lost?: number;
  /** More numbers, for the JSON and the notes. */
  readonly details?: Readonly<Record<string, number>>;
}

/** What is needed to tell a round from the daemons' own records. Times in wall clock ms. */
export interface Story {
  readonly row: RowId;
  readonly faultAt: number;
  /** The acknowledgements around the gap; null where no writer was at work. */
  readonly gapFrom: number | null;
  /** The end of what is told. */
  readonly gapTo: number;
  /** The end of the dead leader's lease, by the store; not for other faults. */
  readonly leaseEnd?: number;
  /** Log files by role in this round. */
  readonly logs: readonly { readonly who: Who; readonly file: string }[];
}

export type Who = 'old leader' | 'new leader' | 'other';

export interface Outcome {
  readonly samples: Readonly<Partial<Record<RowId, Sample>>>;
  readonly stories?: readonly Story[];
}

export interface Measurement {
  readonly rows: readonly RowId[];
  readonly settings: SettingsName;
  /** Each round gets a cluster whose daemons are not started, and which is thrown away. */
  readonly fresh?: boolean;
  round(stage: Stage): Promise<Outcome>;
}

/** The wall clock at an instant of performance.now(). */
export const wallAt = (instant: number): number => performance.timeOrigin + instant;
