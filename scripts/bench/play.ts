/** Plays the measurements: one at a time, the daemons' rounds in turn. */
import type { DaemonUnderTest } from './daemons.ts';
import type { Measurement } from './measurement.ts';
import type { Results } from './results.ts';
import { Stage } from './stage.ts';

/** A daemon that fails so often in one measurement is not tried again in it. */
const FAILURES = 2;

export interface PlayOptions {
  readonly daemons: readonly DaemonUnderTest[];
  readonly measurements: readonly Measurement[];
  readonly rounds: number;
  /** What the rounds give is added to it. */
  readonly results: Results;
  readonly tell: (text: string) => void;
  /** A round is over, its cluster still there. */
  readonly onRound: (daemon: DaemonUnderTest) => void;
}

export async function play(options: PlayOptions): Promise<void> {
  const { results } = options;
  const stages = new Stages(options.tell);
  try {
    for (const measurement of options.measurements) {
      await stages.keepOnly(measurement);
      for (let round = 1; round <= options.rounds; round += 1) {
        // Neither daemon always has the other's just finished work behind it.
        const order = round % 2 === 1 ? options.daemons : options.daemons.toReversed();
        for (const daemon of order) {
          const [row] = measurement.rows;
          if (row !== undefined && results.cell(daemon.label, row).failures.length >= FAILURES)
            continue;
          await playRound({ ...options, stages, measurement, daemon, round });
        }
      }
    }
  } finally {
    await stages.closeAll();
  }
}

interface Round extends PlayOptions {
  readonly stages: Stages;
  readonly measurement: Measurement;
  readonly daemon: DaemonUnderTest;
  readonly round: number;
}

async function playRound(options: Round): Promise<void> {
  const { results, stages, measurement, daemon, round, tell } = options;
  const what = `${measurement.rows.join(', ')}, round ${round}, ${daemon.label}`;
  let stage: Stage | undefined;
  try {
    stage = await stages.stage(daemon, measurement);
    const outcome = await measurement.round(stage);
    results.add(daemon.label, outcome);
    const values = Object.entries(outcome.samples).map(
      ([row, { value, lost }]) =>
        `${row} ${value.toFixed(3)}${lost === undefined ? '' : ` (${lost} lost)`}`,
    );
    tell(`${what}: ${values.join('; ')}`);
    options.onRound(daemon);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    results.failed(daemon.label, measurement.rows, why.split('\n')[0] ?? why);
    tell(`${what}: FAILED: ${why}\n${stage?.tail() ?? ''}`);
    await stages.drop(daemon);
  }
  if (measurement.fresh) await stages.drop(daemon);
}

/** The clusters at hand, one for each daemon. */
class Stages {
  readonly #open = new Map<string, Stage>();
  readonly #tell: (text: string) => void;
  #settings: string | undefined;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  /** Closes what the next measurement cannot use. */
  async keepOnly({ settings, fresh }: Measurement): Promise<void> {
    if (settings !== this.#settings || fresh) await this.closeAll();
    this.#settings = settings;
  }

  /** The daemon's cluster; the others' rest meanwhile. */
  async stage(daemon: DaemonUnderTest, { settings, fresh }: Measurement): Promise<Stage> {
    for (const [label, stage] of this.#open) {
      if (label !== daemon.label) stage.freezeChecks();
    }
    const found = this.#open.get(daemon.label);
    if (found !== undefined) return found;
    if (!fresh) this.#tell(`starting a cluster of ${daemon.label}, ${settings} settings`);
    const made = fresh ? await Stage.create(daemon, settings) : await Stage.start(daemon, settings);
    this.#open.set(daemon.label, made);
    return made;
  }

  async drop(daemon: DaemonUnderTest): Promise<void> {
    const stage = this.#open.get(daemon.label);
    this.#open.delete(daemon.label);
    await stage?.close();
  }

  async closeAll(): Promise<void> {
    for (const stage of this.#open.values()) await stage.close();
    this.#open.clear();
  }
}
