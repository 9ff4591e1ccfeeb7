/**
 * The log. Lines like Patroni's, or JSON; written without ever blocking the daemon; without secrets.
 */
import pino from 'pino';
import {
  DEFAULT_FORMAT,
  type JsonLayout,
  jsonLayout,
  type Line,
  layOut,
  layOutJson,
  unknownAttributes,
  unknownFields,
} from './log/layout.ts';
import { Redactor } from './log/redact.ts';
import type { LogFile } from './log/rotating.ts';
import { openFileSink, openSink } from './log/sink.ts';

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
  /** Lowest level that is written from now on. */
  setLevel(level: LogOptions['level']): void;
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
  /** Of JSON lines: their fields. */
  readonly fields?: JsonLayout;
  /** Instead of the descriptor. */
  readonly file?: LogFile;
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

/**
 * @param fd where lines go without `options.file`; 1 is standard output
 * @throws Error the file cannot be opened
 */
export function createLogger(options: LogOptions, fd = 1): RootLogger {
  const redactor = new Redactor();
  redactor.add(options.secrets ?? []);
  const maximum = options.maximumWaiting ?? MAXIMUM_WAITING;
  const onRecovered = (dropped: number): void =>
    log.warning(`${dropped} lines of the log were dropped: they were not read fast enough`);
  const sink =
    options.file === undefined
      ? openSink(fd, maximum, onRecovered)
      : openFileSink(options.file, maximum, onRecovered);
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
    setLevel: (level) => {
      writer.level = PINO_LEVEL[level];
    },
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
  const { fields, dateformat } = options;
  if (options.type === 'json') {
    if (fields === undefined) return write;
    return (text) => {
      const { line, rest } = lineOf(text);
      write(`${JSON.stringify({ ...layOutJson(line, fields, dateformat), ...rest })}\n`);
    };
  }
  const format = options.format ?? DEFAULT_FORMAT;
  return (text) => write(`${layOut(lineOf(text).line, format, dateformat)}\n`);
}

/** A line of pino's in our words, and what else it says. */
function lineOf(text: string): { readonly line: Line; readonly rest: Fields } {
  const { time, level, message, ...rest } = JSON.parse(text) as {
    readonly time: string;
    readonly level: string;
    readonly message: string;
  };
  return { line: { time: new Date(time), level, message }, rest };
}

const FILE_MODE = 0o600;
const FILE_SIZE = 25_000_000;
const FILES_KEPT = 4;

/** The `log` section of the configuration, with what of it cannot be followed. */
export function logOptions(section: {
  readonly type: 'plain' | 'json';
  readonly level: Level | 'WARN' | 'FATAL';
  readonly format?: unknown;
  readonly dateformat?: string | undefined;
  readonly static_fields?: Fields;
  readonly dir?: string | undefined;
  readonly file_size?: number | undefined;
  readonly file_num?: number | undefined;
  readonly mode?: number | undefined;
}): { readonly options: LogOptions; readonly warnings: readonly string[] } {
  const { type, level, dateformat, dir, static_fields: staticFields } = section;
  const warnings: string[] = [];
  return {
    options: {
      type,
      level,
      ...layoutOf(type, section.format, warnings),
      ...(dateformat === undefined ? {} : { dateformat }),
      ...(staticFields === undefined ? {} : { staticFields }),
      ...(dir !== undefined && {
        file: {
          dir,
          maximumSize: section.file_size ?? FILE_SIZE,
          kept: section.file_num ?? FILES_KEPT,
          mode: section.mode ?? FILE_MODE,
        },
      }),
    },
    warnings,
  };
}

function layoutOf(
  type: LogOptions['type'],
  format: unknown,
  warnings: string[],
): Pick<LogOptions, 'format' | 'fields'> {
  if (format === undefined) return {};
  const fields = type === 'json' ? jsonLayout(format) : null;
  if (type === 'json' && fields !== null && fields.length > 0) {
    const unknown = unknownFields(fields);
    if (unknown.length > 0)
      warnings.push(`log.format: ${unknown.join(', ')} is not known: left out`);
    return { fields };
  }
  if (typeof format !== 'string') {
    warnings.push('log.format: a list is for type json: the standard layout is used');
    return {};
  }
  const unknown = unknownAttributes(format);
  if (unknown.length > 0)
    warnings.push(`log.format: ${unknown.join(', ')} is not known: written as it stands`);
  return { format };
}
