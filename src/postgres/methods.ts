/** The operator's own ways to make a cluster or a replica: command lines with fixed parameters (C-6.7). */
import type { Clock } from '../clock.ts';
import type { OwnMethod } from './options.ts';
import { PostgresError } from './postgres.ts';
import { failureOf, run } from './run.ts';
import { shellWords } from './tooloptions.ts';

/** What the program is told beside its options, in this order; null values are left out. */
export type Parameters = readonly (readonly [name: string, value: string | null])[];

/** Copies of large databases take days. */
const METHOD_MS = 20 * 24 * 3_600_000;

/**
 * Runs it to its end.
 * @throws PostgresError it is not there, or ended with anything but 0
 */
export async function runMethod(
  method: OwnMethod,
  parameters: Parameters,
  context: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly env?: Readonly<Record<string, string>>;
    readonly onLine: (line: string) => void;
  },
): Promise<void> {
  const { clock, signal, env = {}, onLine } = context;
  const [file, ...words] = shellWords(method.command);
  if (file === undefined) throw new PostgresError(`${method.name}: the command is empty`);
  const given = Object.entries(method.options).map(([name, value]) => `--${name}=${value}`);
  const fixed = parameters.flatMap(([name, value]) =>
    value === null ? [] : [`--${name}=${value}`],
  );
  const result = await run({
    file,
    args: [...words, ...given, ...(method.noParameters ? [] : fixed)],
    clock,
    timeoutMs: METHOD_MS,
    signal,
    locale: 'inherited',
    env,
    onLine,
  });
  if (signal.aborted) throw new PostgresError(`${method.name} was cancelled`);
  if (result.exitCode !== 0)
    throw new PostgresError(`${method.name}: ${failureOf(result, METHOD_MS)}`);
}
