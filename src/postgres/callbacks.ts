/**
 * Operators' callbacks (contract 5.18): `<command> <action> <role> <scope>`, beside everything else.
 * One at a time: the next one ends the one that runs, with its children; on_reload has a lane of its own.
 */
import type { Clock } from '../clock.ts';
import type { CallbackAction, CallbackEvent } from '../core/events.ts';
import type { Log } from './options.ts';
import { failureOf, run } from './run.ts';
import { shellWords } from './tooloptions.ts';

/** Then it is ended, ms: a callback that hangs would otherwise stay for ever. */
const CALLBACK_MS = 600_000;

export type CallbackCommands = Readonly<Partial<Record<CallbackAction, string>>>;

/** What runs, and the one that comes after it; a later one takes the place of that. */
interface Lane {
  running: AbortController | null;
  next: CallbackEvent | null;
}

export interface CallbacksOptions {
  /** As they are configured now. */
  readonly commands: () => CallbackCommands;
  readonly scope: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class Callbacks {
  readonly #options: CallbacksOptions;
  readonly #life: Lane = { running: null, next: null };
  readonly #reload: Lane = { running: null, next: null };

  constructor(options: CallbacksOptions) {
    this.#options = options;
  }

  /** Returns at once; what becomes of it is only logged. */
  tell(event: CallbackEvent): void {
    if (this.#options.commands()[event.action] === undefined) return;
    const lane = event.action === 'on_reload' ? this.#reload : this.#life;
    lane.next = event;
    if (lane.running !== null) lane.running.abort();
    else void this.#work(lane);
  }

  /** Never rejects. */
  async #work(lane: Lane): Promise<void> {
    for (let event = lane.next; event !== null; event = lane.next) {
      lane.next = null;
      lane.running = new AbortController();
      await this.#call(event, lane.running.signal);
    }
    lane.running = null;
  }

  async #call({ action, role }: CallbackEvent, signal: AbortSignal): Promise<void> {
    const { commands, scope, clock, log } = this.#options;
    try {
      const [file, ...words] = shellWords(commands()[action] ?? '');
      if (file === undefined) return;
      const args = [...words, action, role, scope];
      const timeoutMs = CALLBACK_MS;
      const result = await run({ file, args, clock, timeoutMs, signal, locale: 'inherited' });
      if (result.exitCode === 0) log('info', `callback ${action} as ${role}: done`);
      else log('warn', `callback ${action} as ${role}: ${failureOf(result, timeoutMs)}`);
    } catch (error) {
      log('warn', `callback ${action} as ${role}: ${String(error)}`);
    }
  }
}
