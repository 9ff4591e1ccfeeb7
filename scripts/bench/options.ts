/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import { DEFAULT_DAEMONS } from './daemons.ts';
import { ROW_IDS, type RowId } from './rows.ts';

export interface BenchOptions {
  readonly daemons: readonly string[];
  /** LABEL=TTL/LOOP_WAIT/RETRY_TIMEOUT */
  readonly lowest: readonly string[];
  readonly rows: readonly RowId[];
  readonly rounds: number;
  readonly idleSeconds: number;
  readonly json: string | undefined;
  readonly phases: boolean;
  readonly ratio: boolean;
}

export class BadOption extends Error {
  override readonly name = 'BadOption';
}

export const USAGE = `usage: npm run bench -- [OPTIONS]
  --daemon LABEL=COMMAND   a daemon to measure, with {config} where its file goes; once or twice
                           (default: ${DEFAULT_DAEMONS.map((one) => `'${one}'`).join(' and ')})
  --lowest LABEL=TTL/LOOP_WAIT/RETRY_TIMEOUT
                           that daemon's lowest settings (default: 3/1/1; Patroni: 3/1/3)
  --rows A,B,…             only these rows: ${ROW_IDS.join(', ')}
  --rounds N               rounds of each row and daemon (default 5)
  --idle N                 seconds that an idle round lasts (default 60)
  --ratio                  a table without ratios is an error (exit code 3)
  --phases                 where the time goes, from the daemons' own logs
  --json FILE              all samples, as JSON
  --help                   this text`;

/** @throws BadOption */
export function parseOptions(args: readonly string[]): BenchOptions | 'help' {
  const values = read(args);
  if (values.help === true) return 'help';
  const daemons = values.daemon ?? DEFAULT_DAEMONS;
  if (daemons.length > 2) {
    throw new BadOption(`--daemon: found ${daemons.length}; allowed: one or two`);
  }
  return {
    daemons,
    lowest: values.lowest ?? [],
    rows: values.rows === undefined ? ROW_IDS : rowsIn(values.rows),
    rounds: numberIn('rounds', values.rounds, 5),
    idleSeconds: numberIn('idle', values.idle, 60),
    json: values.json,
    phases: values.phases === true,
    ratio: values.ratio === true,
  };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        daemon: { type: 'string', multiple: true },
        lowest: { type: 'string', multiple: true },
        rows: { type: 'string' },
        rounds: { type: 'string' },
        idle: { type: 'string' },
        json: { type: 'string' },
        phases: { type: 'boolean' },
        ratio: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new BadOption(error instanceof Error ? error.message : String(error));
  }
}

function rowsIn(text: string): readonly RowId[] {
  const named = text.split(',').map((name) => name.trim());
  const unknown = named.filter((name) => !ROW_IDS.some((id) => id === name));
  if (unknown.length > 0) {
    throw new BadOption(`--rows: found ${unknown.join(', ')}; allowed: ${ROW_IDS.join(', ')}`);
  }
  return ROW_IDS.filter((id) => named.includes(id));
}

function numberIn(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new BadOption(`--${name}: found "${text}"; allowed: a whole number greater than 0`);
}
