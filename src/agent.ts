/** The daemon's entry point: `tenure CONFIG.yml`. Arguments, signals, exit codes; no more. */
import { parseArgs } from 'node:util';
import {
  type Config,
  ConfigError,
  keepLastGood,
  type Loaded,
  lastGood,
  loadConfig,
  secretsOf,
} from './config/index.ts';
import { Daemon } from './daemon.ts';
import { hideMemory } from './dumps.ts';
import { createLogger, logOptions, type RootLogger } from './log.ts';
import { PostgresError } from './postgres/postgres.ts';
import type { Say } from './runtime.ts';
import { validate, writeConfigOf, writeSample } from './tasks.ts';
import { TENURE_VERSION } from './version.ts';

const USAGE = `usage: tenure CONFIG.yml                       serve
       tenure --validate-config [-p] [-i] CONFIG.yml   say what is wrong; -p: show what applies,
                                                       -i: do not look whether ports are free
       tenure --generate-sample-config [FILE]
       tenure --generate-config [--dsn DSN] [FILE]     from a PostgreSQL that runs
       tenure --version`;

const OPTIONS = {
  version: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  'validate-config': { type: 'boolean' },
  print: { type: 'boolean', short: 'p' },
  'ignore-listen-port': { type: 'boolean', short: 'i' },
  'generate-sample-config': { type: 'boolean' },
  'generate-config': { type: 'boolean' },
  dsn: { type: 'string' },
} as const;

async function main(): Promise<number> {
  hideMemory();
  const asked = readArguments();
  if (typeof asked === 'number') return asked;
  const { path, options } = asked;
  try {
    if (options['generate-sample-config']) return writeSample(path);
    if (options['generate-config']) return await writeConfigOf(path, options.dsn);
  } catch (error) {
    process.stderr.write(`tenure: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  const loaded = readConfig(path, options['validate-config'] !== true);
  if (loaded === null) return 1;
  if (!options['validate-config']) return serve(path, loaded);
  return await validate(path, loaded, {
    print: options.print ?? false,
    ignorePorts: options['ignore-listen-port'] ?? false,
  });
}

type Options = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

function readArguments():
  | { readonly path: string | undefined; readonly options: Options }
  | number {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
    if (values.version === true) process.stdout.write(`tenure ${TENURE_VERSION}\n`);
    if (values.help === true) process.stdout.write(`${USAGE}\n`);
    if (values.version === true || values.help === true) return 0;
    if (positionals.length > 1)
      throw new TypeError(`one configuration file expected, found ${positionals.length}`);
    return { path: positionals[0], options: values };
  } catch (error) {
    process.stderr.write(
      `tenure: ${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`,
    );
    return 2;
  }
}

/** `mayBeOld`: where the file cannot be used, the last good one may stand in, with the reason as `problem`. */
function readConfig(
  path: string | undefined,
  mayBeOld: boolean,
): (Loaded & { readonly problem?: string }) | null {
  try {
    return loadConfig(path, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const old = mayBeOld ? lastGood(path, process.env) : null;
    if (old !== null) {
      const problem = `the configuration cannot be used, and the last good one, of ${old.savedAt}, is in force: ${error.message}`;
      return { ...old, problem };
    }
    process.stderr.write(`tenure: ${error.message}\n`);
    return null;
  }
}

async function serve(
  path: string | undefined,
  loaded: Loaded & { readonly problem?: string },
): Promise<number> {
  const { config, warnings, problem } = loaded;
  const log = logOptions(config.log);
  const logger = openLog({ ...log.options, secrets: secretsOf(config) });
  if (logger === null) return 1;
  const say: Say = (level, text) => logger[level](text);
  if (problem !== undefined) say('error', problem);
  for (const warning of [...warnings, ...log.warnings]) say('warning', warning);
  say(
    'info',
    `Tenure ${TENURE_VERSION}: ${config.name} of ${config.scope}, process ${process.pid}`,
  );
  const daemon = assemble(config, say);
  if (daemon === null) {
    await logger.close();
    return 1;
  }
  process.on('SIGTERM', () => daemon.stop());
  process.on('SIGINT', () => daemon.stop());
  // One after the other: the file that was read last is in force at the end.
  let reloads: Promise<unknown> = Promise.resolve();
  process.on('SIGHUP', () => {
    const reloaded = reloadConfig(path, say, (config) => {
      logger.hide(secretsOf(config));
      const apply = daemon.prepare(config);
      logger.setLevel(config.log.level);
      return apply;
    });
    if (reloaded === null) return;
    for (const warning of reloaded.warnings) say('warning', warning);
    reloads = reloads
      .then(() => reloaded.apply())
      .then(() => keepLastGood(path, reloaded, new Date()))
      .catch((error: unknown) => say('error', `reload: ${String(error)}`));
  });
  // A promise that nobody looked at is a bug, but no reason to leave a primary without its keeper.
  process.on('unhandledRejection', (reason) =>
    say('error', `unhandled rejection, please report it as a bug: ${String(reason)}`),
  );
  const keep = (): void => {
    if (problem === undefined) void keepLastGood(path, loaded, new Date());
  };
  const exit = await daemon.run(keep);
  say(exit.code === 0 ? 'info' : 'critical', exit.message);
  await logger.close();
  return exit.code;
}

function openLog(options: Parameters<typeof createLogger>[0]): RootLogger | null {
  try {
    return createLogger(options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`tenure: log.dir cannot be used: ${why}\n`);
    return null;
  }
}

/** What cannot work at all, such as a missing binary, is said once and ends the start. */
function assemble(config: Config, say: Say): Daemon | null {
  try {
    return new Daemon(config, say);
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof PostgresError)) throw error;
    say('critical', error.message);
    return null;
  }
}

/** A file that cannot be used leaves the configuration in force as it is. */
function reloadConfig(
  path: string | undefined,
  say: (level: 'info' | 'error', text: string) => void,
  prepare: (config: Config) => () => Promise<void>,
): (Loaded & { readonly apply: () => Promise<void> }) | null {
  try {
    const loaded = loadConfig(path, process.env);
    const apply = prepare(loaded.config);
    say('info', 'the local configuration has been read again');
    return { ...loaded, apply };
  } catch (error) {
    say(
      'error',
      `the configuration stays as it was: ${error instanceof Error ? error.message : String(error)}`,
    );
    return null;
  }
}

// Sockets that a silent peer keeps open must not keep a stopped daemon alive. No await out here: the built
// file is a script.
void main().then((code) => process.exit(code));
