/**
 * The log. Lines like Patroni's, or JSON; written without ever blocking the daemon; without secrets.
 */
import pino from 'pino';
import { DEFAULT_FORMAT, layOut, unknownAttributes } from './log/layout.ts';
import { Redactor } from './log/redact.ts';
import { openSink } from './log/sink.ts';

/** Written in the json log only: what a plain line has to say is in its text. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(text: string, fields?: Fields): void;
  info(text: string, fields?: Fields): void;
  warning(text: string, fields?: Fields): void;
  error(text: string, fields?: Fields): void;
  critical(text: string, fields?: Fields): void;
}

/** The logger of the process: made once, closed once. */
export interface RootLogger extends Logger {
  /** True when `level` would be written. */
  writes(level: Level): boolean;
  /** Values that are replaced by *** from now on. */
  hide(secrets: readonly string[]): void;
  /** Lets waiting lines out, at most `ms` (default 200); false: some were left behind. */
  close(ms?: number): Promise<boolean>;
}

export type Level = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

export interface LogOptions {
  readonly type: 'plain' | 'json';
  /** Lowest level that is written; Patroni's names, WARN and FATAL included. */
  readonly level: Level | 'WARN' | 'FATAL';
  /** Of plain lines: `%(asctime)s %(levelname)s: %(message)s`. */
  readonly format?: string;
  /** strftime layout of asctime. */
  readonly dateformat?: string;
  /** Added to each JSON object. */
  readonly staticFields?: Fields;
  readonly secrets?: readonly string[];
  /** Characters kept for a slow reader; default 1 MiB. */
  readonly maximumWaiting?: number;
}

const FLUSH_MS = 200;
const MAXIMUM_WAITING = 1024 * 1024;

const PINO_LEVEL = {
  DEBUG: 'debug',
  INFO: 'info',
  WARNING: 'warn',
  WARN: 'warn',
  ERROR: 'error',
  CRITICAL: 'fatal',
  FATAL: 'fatal',
} as const;

/** Patroni's word for each of pino's levels. */
const WORD: Readonly<Record<string, Level>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
};

/** @param fd where lines go; 1 is standard output */
export function createLogger(options: LogOptions, fd = 1): RootLogger {
  const redactor = new Redactor();
  redactor.add(options.secrets ?? []);
  const sink = openSink(fd, options.maximumWaiting ?? MAXIMUM_WAITING, (dropped) =>
    log.warning(`${dropped} lines of the log were dropped: they were not read fast enough`),
  );
  const writer = pino(pinoOptions(options, redactor), {
    write: writeAs(options, (line) => sink.write(line)),
  });
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error' | 'fatal') =>
    (text: string, fields?: Fields): void => {
      if (!writer.isLevelEnabled(level)) return;
      const shown = fields === undefined ? {} : (redactor.fields(fields) as Fields);
      writer[level](shown, redactor.text(text));
    };
  const log: RootLogger = {
    debug: at('debug'),
    info: at('info'),
    warning: at('warn'),
    error: at('error'),
    critical: at('fatal'),
    writes: (level) => writer.isLevelEnabled(PINO_LEVEL[level]),
    hide: (secrets) => redactor.add(secrets),
    close: (ms = FLUSH_MS) => sink.close(ms),
  };
  return log;
}

function pinoOptions(options: LogOptions, redactor: Redactor): pino.LoggerOptions {
  return {
    level: PINO_LEVEL[options.level],
    base: redactor.fields(options.staticFields ?? {}) as Record<string, unknown>,
    messageKey: 'message',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: WORD[label] ?? label }) },
  };
}

/** JSON goes out as it is; plain lines are laid out from it. */
function writeAs(options: LogOptions, write: (line: string) => void): (line: string) => void {
  if (options.type === 'json') return write;
  const format = options.format ?? DEFAULT_FORMAT;
  return (line) => {
    const { time, level, message } = JSON.parse(line) as {
      time: string;
      level: string;
      message: string;
    };
    write(`${layOut({ time: new Date(time), level, message }, format, options.dateformat)}\n`);
  };
}

/** The `log` section of the configuration, with what of it cannot be followed. */
export function logOptions(section: {
  readonly type: 'plain' | 'json';
  readonly level: Level | 'WARN' | 'FATAL';
  readonly format?: unknown;
  readonly dateformat?: string | undefined;
  readonly static_fields?: Fields;
}): { readonly options: LogOptions; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const { type, level, format, dateformat, static_fields: staticFields } = section;
  let used: string | undefined;
  if (format !== undefined) {
    if (type === 'json' || typeof format !== 'string') {
      warnings.push(
        'log.format is not supported yet for json and as a list: the standard layout is used',
      );
    } else if (unknownAttributes(format).length > 0) {
      warnings.push(
        `log.format: ${unknownAttributes(format).join(', ')} is not known: written as it stands`,
      );
      used = format;
    } else used = format;
  }
  return {
    options: {
      type,
      level,
      ...(used === undefined ? {} : { format: used }),
      ...(dateformat === undefined ? {} : { dateformat }),
      ...(staticFields === undefined ? {} : { staticFields }),
    },
    warnings,
  };
}
