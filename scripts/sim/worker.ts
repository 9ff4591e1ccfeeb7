/** One thread of `npm run sim`: runs the shares that it is given, one after the other, and stays warm. */
import { parentPort } from 'node:worker_threads';
import { type Batch, runBatch } from '../../test/sim/batch.ts';
import { newTotals, type Totals } from '../../test/sim/totals.ts';

export interface Message {
  /** So far, or of the whole share when `done`. */
  readonly totals: Totals;
  readonly done: boolean;
}

/** From message to message, ms. */
const PACE_MS = 500;

parentPort?.on('message', (batch: Batch) => void run(batch));

async function run(batch: Batch): Promise<void> {
  let toldAt = performance.now();
  const totals = await runBatch(batch, (sofar) => {
    if (performance.now() - toldAt < PACE_MS) return;
    toldAt = performance.now();
    const { schedules, found } = sofar;
    tell({ totals: { ...newTotals(), schedules, found }, done: false });
  });
  tell({ totals, done: true });
}

function tell(message: Message): void {
  parentPort?.postMessage(message);
}
