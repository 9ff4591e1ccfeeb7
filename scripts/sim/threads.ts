/** The threads that schedules run in: each takes every nth of a range. */
import { Worker } from 'node:worker_threads';
import type { Batch } from '../../test/sim/batch.ts';
import { add, newTotals, type Totals } from '../../test/sim/totals.ts';
import type { Message } from './worker.ts';

export type Range = Omit<Batch, 'stride'>;

export class Threads {
  readonly #workers: readonly Worker[];

  constructor(count: number) {
    const url = new URL('./worker.ts', import.meta.url);
    this.#workers = Array.from({ length: count }, () => new Worker(url));
  }

  /** @throws whatever a thread ends with */
  async run(range: Range, onProgress: (sofar: Totals) => void): Promise<Totals> {
    const sofar = new Map<Worker, Totals>();
    const sum = (): Totals => {
      const totals = newTotals();
      for (const share of sofar.values()) add(totals, share);
      return totals;
    };
    const stride = this.#workers.length;
    await Promise.all(
      this.#workers.map((worker, index) =>
        runShare(worker, { ...range, first: range.first + index, stride }, (totals) => {
          sofar.set(worker, totals);
          onProgress(sum());
        }),
      ),
    );
    return sum();
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function runShare(worker: Worker, batch: Batch, onTotals: (totals: Totals) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      worker.off('message', hear).off('error', fail);
      end();
    };
    const hear = ({ totals, done }: Message): void => {
      onTotals(totals);
      if (done) settle(resolve);
    };
    const fail = (error: unknown): void => settle(() => reject(error));
    worker.on('message', hear).on('error', fail);
    worker.postMessage(batch);
  });
}
