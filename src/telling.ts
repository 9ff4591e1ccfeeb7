/** Keeps what operators were told of PostgreSQL, so that each event is told once. */
import { type CallbackEvent, TOLD_NOTHING, type Told, tell } from './core/events.ts';
import type { JobState, PostgresFacts } from './core/model.ts';

export class Telling {
  readonly #say: (event: CallbackEvent) => void;
  #told: Told = TOLD_NOTHING;

  /** @param say returns at once */
  constructor(say: (event: CallbackEvent) => void) {
    this.#say = say;
  }

  see(facts: PostgresFacts, job: JobState | null): void {
    const { told, event } = tell(this.#told, facts, job);
    this.#told = told;
    if (event !== null) this.#say(event);
  }

  /** New settings have been applied. */
  reloaded(): void {
    const { running, role } = this.#told;
    if (running !== null && role !== null) this.#say({ action: 'on_reload', role });
  }
}
