/**
 * The operator's own programs around a promotion and a stop (C-5.10, C-5.13). Their words come from
 * the configuration; no shell reads them, and nothing else is put among them.
 */
import type { Clock } from '../clock.ts';
import type { Log } from './options.ts';
import { PostgresError } from './postgres.ts';
import { failureOf, type RunResult, run } from './run.ts';
import { shellWords } from './tooloptions.ts';

/** Longer than this neither a promotion nor a stop waits for a script, ms. */
const SCRIPT_MS = 60_000;

/** Command lines; null: nothing is to be asked. */
export interface ScriptCommands {
  readonly prePromote: string | null;
  readonly beforeStop: string | null;
}

/** The script before a promotion has said no, or did not say yes in time. */
export class PromotionRefused extends Error {
  override readonly name = 'PromotionRefused';
}

export interface Scripts {
  /** @throws PromotionRefused */
  prePromote(): Promise<void>;
  /** Whatever becomes of it, the stop goes on. Never rejects. */
  beforeStop(): Promise<void>;
}

export const noScripts: Scripts = {
  prePromote: async () => undefined,
  beforeStop: async () => undefined,
};

/** @param commands as they are configured now */
export function localScripts(commands: () => ScriptCommands, clock: Clock, log: Log): Scripts {
  const of = async (what: string, command: string | null): Promise<string | null> => {
    if (command === null) return null;
    const [file, ...args] = wordsOf(what, command);
    if (file === undefined) return null;
    log('info', `running ${what}`);
    const result = await run({ file, args, clock, timeoutMs: SCRIPT_MS, locale: 'inherited' });
    return succeeded(result) ? null : `${what}: ${failureOf(result, SCRIPT_MS)}`;
  };
  return {
    prePromote: async () => {
      const failure = await of('pre_promote', commands().prePromote).catch(String);
      if (failure !== null) throw new PromotionRefused(failure);
    },
    beforeStop: async () => {
      const failure = await of('before_stop', commands().beforeStop).catch(String);
      if (failure !== null) log('warn', `${failure}; stopping all the same`);
    },
  };
}

function succeeded({ exitCode, timedOut, cancelled }: RunResult): boolean {
  return exitCode === 0 && !timedOut && !cancelled;
}

/** @throws PostgresError quotes that do not match */
function wordsOf(what: string, command: string): readonly string[] {
  try {
    return shellWords(command);
  } catch (error) {
    throw new PostgresError(`${what} cannot be read: ${String(error)}`, { cause: error });
  }
}
