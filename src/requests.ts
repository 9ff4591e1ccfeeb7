/**
 * What operators ask of this node over REST: one request at a time until it is begun, and one
 * scheduled restart. It becomes part of the observation; rules decide, jobs carry out (rule S9).
 */
import type { LocalRequest, RequestAnswer, ScheduledRestart } from './core/model.ts';

type Without<T> = T extends unknown ? Omit<T, 'id'> : never;
/** A request before it has a number. */
export type Ask = Without<LocalRequest>;

export class Requests {
  readonly #onChange: (why: string) => void;
  readonly #open = new Map<number, (answer: RequestAnswer) => void>();
  #waiting: LocalRequest | null = null;
  #scheduled: ScheduledRestart | null = null;
  #nextId = 1;
  #closed: string | null = null;

  constructor(onChange: (why: string) => void) {
    this.#onChange = onChange;
  }

  /** Not begun yet. */
  get waiting(): LocalRequest | null {
    return this.#waiting;
  }

  get scheduled(): ScheduledRestart | null {
    return this.#scheduled;
  }

  /**
   * Resolves with what became of it. A request that finds another one waiting is refused: there is
   * one PostgreSQL. `signal` withdraws a request that has not been begun.
   */
  submit(ask: Ask, signal: AbortSignal): Promise<RequestAnswer> {
    if (this.#closed !== null)
      return Promise.resolve({ status: 503, text: `${ask.do} failed`, why: this.#closed });
    if (this.#waiting !== null) {
      const text = `${this.#waiting.do} already in progress`;
      return Promise.resolve({ status: 503, text, why: 'another request came first' });
    }
    const id = this.#nextId;
    this.#nextId += 1;
    this.#waiting = { ...ask, id } as LocalRequest;
    return new Promise((resolve) => {
      this.#open.set(id, resolve);
      signal.addEventListener('abort', () => this.#withdraw(id, ask.do), { once: true });
      this.#onChange(`${ask.do} was asked for`);
    });
  }

  /** Its work is in progress: nothing more is to be decided about it. */
  begun(id: number): void {
    if (this.#waiting?.id === id) this.#waiting = null;
  }

  settle(id: number, answer: RequestAnswer): void {
    this.begun(id);
    this.#open.get(id)?.(answer);
    this.#open.delete(id);
  }

  /** False when there is one already. */
  schedule(plan: ScheduledRestart): boolean {
    if (this.#scheduled !== null) return false;
    this.#scheduled = plan;
    this.#onChange('a restart was scheduled');
    return true;
  }

  /** False when there was none. */
  unschedule(): boolean {
    if (this.#scheduled === null) return false;
    this.#scheduled = null;
    this.#onChange('the scheduled restart is gone');
    return true;
  }

  /** The agent goes: nobody will be waited for. */
  close(why: string): void {
    this.#closed = why;
    const waiting = this.#waiting;
    if (waiting !== null)
      this.settle(waiting.id, { status: 503, text: `${waiting.do} failed`, why });
  }

  /** What has been begun goes on; only the waiting for it ends. */
  #withdraw(id: number, what: string): void {
    const unbegun = this.#waiting?.id === id;
    const text = unbegun ? `${what} failed` : `${what} status unknown`;
    const why = unbegun ? 'this node could not decide about it in time' : 'it has not ended yet';
    this.settle(id, { status: 503, text, why });
  }
}
