/** The one piece of long work on the local PostgreSQL (rule S9). */
import type { Clock } from './clock.ts';
import type { JobKind, JobState } from './core/model.ts';
import { GuardError } from './fence/guard.ts';
import type { Progress } from './postgres/postgres.ts';
import { PromotionRefused } from './postgres/scripts.ts';

export type Work = (progress: Progress, signal: AbortSignal) => Promise<string>;

export class Jobs {
  readonly #clock: Clock;
  readonly #onEnd: (job: JobState) => void;
  readonly #onStopping: () => void;
  #state: JobState | null = null;
  #abort: AbortController | null = null;
  #ended: JobState | null = null;
  #current: Promise<void> = Promise.resolve();

  constructor(
    clock: Clock,
    onEnd: (job: JobState) => void,
    onStopping: () => void = () => undefined,
  ) {
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.#onStopping = onStopping;
  }

  /** The job in progress, or the last one that ended. */
  get state(): JobState | null {
    return this.#state;
  }

  get running(): boolean {
    return this.#state !== null && this.#state.outcome === null;
  }

  /** The job that has ended since this was last asked. */
  takeEnded(): JobState | null {
    const ended = this.#ended;
    this.#ended = null;
    return ended;
  }

  /**
   * Begins `work`; does not wait for it. What it returns or throws becomes the outcome.
   * @throws Error when another job is in progress
   */
  begin(kind: JobKind, detail: string, work: Work, request?: number): void {
    if (this.running)
      throw new Error(`${this.#state?.kind ?? 'a job'} is in progress, ${kind} cannot begin`);
    const abort = new AbortController();
    this.#abort = abort;
    const startedAt = this.#clock.now();
    const asked = request === undefined ? {} : { request };
    this.#state = { kind, detail, startedAt, outcome: null, phase: 'beginning', ...asked };
    const progress: Progress = (phase) => this.#progress(phase);
    this.#current = work(progress, abort.signal).then(
      (why) => this.#end(true, why),
      (error: unknown) =>
        this.#end(false, error instanceof Error ? error.message : String(error), {
          ...(error instanceof PromotionRefused ? { refused: true as const } : {}),
          ...(error instanceof GuardError ? { notBegun: true as const } : {}),
        }),
    );
  }

  cancel(): void {
    this.#abort?.abort();
  }

  /** Resolves when the present job has ended. */
  idle(): Promise<void> {
    return this.#current;
  }

  #progress(phase: string): void {
    if (this.#state === null || this.#state.outcome !== null) return;
    const stopping = phase === 'stopping' ? { stoppingSince: this.#clock.now() } : {};
    this.#state = { ...this.#state, phase, ...stopping };
    // Whoever is shown this node's state learns at once that it refuses clients now (D7).
    if (phase === 'stopping') this.#onStopping();
  }

  #end(ok: boolean, why: string, how: { refused?: true; notBegun?: true } = {}): void {
    if (this.#state === null) return;
    const outcome = { ok, why, endedAt: this.#clock.now(), ...how };
    this.#state = { ...this.#state, outcome };
    this.#ended = this.#state;
    this.#onEnd(this.#state);
  }
}
