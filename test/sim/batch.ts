/** Runs schedules one after the other in this thread. */
import { type FaultKind, generate, type Modes, type Schedule } from './schedule.ts';
import { type Outcome, Simulation } from './simulation.ts';
import { count, newTotals, type Totals } from './totals.ts';

export interface Batch {
  /** Schedule number i has the seed `<seed>-<i>`. */
  readonly seed: string;
  readonly first: number;
  /** Distance from one number to the next: with several workers each takes its own. */
  readonly stride: number;
  /** Up to here, exclusive. */
  readonly end: number;
  readonly nodes: readonly [number, number];
  readonly kinds: readonly FaultKind[];
  readonly modes?: Partial<Modes>;
  /** Ends after this many violations. */
  readonly mostViolations: number;
}

let running: Simulation | null = null;
let listening = false;

/** One schedule. Errors that reach nobody count as violations of the run that is on. */
export async function simulate(schedule: Schedule, recording = false): Promise<Outcome> {
  if (!listening) process.on('unhandledRejection', (reason) => running?.unhandled(reason));
  listening = true;
  running = new Simulation(schedule, recording);
  const { stackTraceLimit } = Error;
  // Errors that are part of the game come by the thousand, and a violation is run again for its story.
  if (!recording) Error.stackTraceLimit = 0;
  try {
    return await running.run();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    running = null;
  }
}

export async function runBatch(
  batch: Batch,
  onProgress: (totals: Totals) => void = () => undefined,
): Promise<Totals> {
  const totals = newTotals();
  for (let number = batch.first; number < batch.end; number += batch.stride) {
    const seed = `${batch.seed}-${number}`;
    const schedule = generate(seed, batch.nodes, batch.kinds, batch.modes);
    count(totals, schedule, await simulate(schedule));
    onProgress(totals);
    if (totals.found.length >= batch.mostViolations) break;
  }
  return totals;
}
