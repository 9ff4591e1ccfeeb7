/** One thread of `npm run sim`: its share of the schedules. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Batch, runBatch } from '../../test/sim/batch.ts';
import { newTotals, type Totals } from '../../test/sim/totals.ts';

export interface Message {
  /** Since the last message, or of all when `done`. */
  readonly totals: Totals;
  readonly done: boolean;
}

/** From message to message, ms. */
const PACE_MS = 500;

let toldAt = performance.now();
const totals = await runBatch(workerData as Batch, (sofar) => {
  if (performance.now() - toldAt < PACE_MS) return;
  toldAt = performance.now();
  tell(sofar, false);
});
tell(totals, true);

function tell(sofar: Totals, done: boolean): void {
  const shown = done ? sofar : { ...newTotals(), schedules: sofar.schedules, found: sofar.found };
  parentPort?.postMessage({ totals: shown, done } satisfies Message);
}
