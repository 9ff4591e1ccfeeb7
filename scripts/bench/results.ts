/** What the rounds gave, by daemon and row. */
import type { Outcome, Sample, Story } from './measurement.ts';
import type { RowId } from './rows.ts';
import { type Summary, summary } from './statistics.ts';

export interface Cell {
  readonly samples: readonly Sample[];
  /** Why rounds gave nothing. */
  readonly failures: readonly string[];
}

const EMPTY: Cell = { samples: [], failures: [] };

export class Results {
  readonly #cells = new Map<string, Cell>();
  readonly #stories = new Map<string, Story[]>();

  #change(label: string, row: RowId, change: (cell: Cell) => Cell): void {
    this.#cells.set(`${label} ${row}`, change(this.cell(label, row)));
  }

  add(label: string, { samples, stories = [] }: Outcome): void {
    for (const [row, sample] of Object.entries(samples)) {
      this.#change(label, row as RowId, (cell) => ({
        ...cell,
        samples: [...cell.samples, sample],
      }));
    }
    for (const story of stories) {
      const key = `${label} ${story.row}`;
      this.#stories.set(key, [...(this.#stories.get(key) ?? []), story]);
    }
  }

  failed(label: string, rows: readonly RowId[], why: string): void {
    for (const row of rows) {
      this.#change(label, row, (cell) => ({ ...cell, failures: [...cell.failures, why] }));
    }
  }

  cell(label: string, row: RowId): Cell {
    return this.#cells.get(`${label} ${row}`) ?? EMPTY;
  }

  stories(label: string, row: RowId): readonly Story[] {
    return this.#stories.get(`${label} ${row}`) ?? [];
  }

  summary(label: string, row: RowId): Summary | undefined {
    return summary(this.cell(label, row).samples.map(({ value }) => value));
  }

  /** Rows lost in all rounds together. */
  lost(label: string, row: RowId): number {
    return this.cell(label, row).samples.reduce((sum, { lost }) => sum + (lost ?? 0), 0);
  }
}
