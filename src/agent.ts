/** The daemon's entry point: `tenure CONFIG.yml`. Arguments, signals, exit codes; no more. */
import { parseArgs } from 'node:util';
import {
  type Config,
  ConfigError,
  type Loaded,
  loadConfig,
  postgresOptions,
  readTls,
  secretsOf,
} from './config/index.ts';
import { Daemon } from './daemon.ts';
import { hideMemory } from './dumps.ts';
import { createLogger, logOptions } from './log.ts';
import { readUsers } from './postgres/local.ts';
import { PostgresError } from './postgres/postgres.ts';
import type { Say } from './runtime.ts';
import { TENURE_VERSION } from './version.ts';

const USAGE = 'usage: tenure [--validate-config] CONFIG.yml | tenure --version';

async function main(): Promise<number> {
  hideMemory();
  const asked = readArguments();
  if (typeof asked === 'number') return asked;
  const loaded = readConfig(asked.path);
  if (loaded === null) return 1;
  if (asked.validateOnly) return validate(loaded);
  return serve(asked.path, loaded);
}

function readArguments():
  | { readonly path: string | undefined; readonly validateOnly: boolean }
  | number {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        version: { type: 'boolean' },
        help: { type: 'boolean' },
        'validate-config': { type: 'boolean' },
      },
    });
    if (values.version === true) process.stdout.write(`tenure ${TENURE_VERSION}\n`);
    if (values.help === true) process.stdout.write(`${USAGE}\n`);
    if (values.version === true || values.help === true) return 0;
    if (positionals.length > 1)
      throw new TypeError(`one configuration file expected, found ${positionals.length}`);
    return { path: positionals[0], validateOnly: values['validate-config'] === true };
  } catch (error) {
    process.stderr.write(
      `tenure: ${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`,
    );
    return 2;
  }
}

function readConfig(path: string | undefined): Loaded | null {
  try {
    return loadConfig(path, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`tenure: ${error.message}\n`);
    return null;
  }
}

/** The certificates that are named are looked at, too. */
function validate({ config, warnings }: Loaded): number {
  try {
    const found = [...warnings, ...readTls(config).warnings];
    readUsers(postgresOptions(config));
    for (const warning of found) process.stderr.write(`warning: ${warning}\n`);
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof PostgresError)) throw error;
    process.stderr.write(`tenure: ${error.message}\n`);
    return 1;
  }
  process.stdout.write('the configuration is valid\n');
  return 0;
}

async function serve(path: string | undefined, { config, warnings }: Loaded): Promise<number> {
  const log = logOptions(config.log);
  const logger = createLogger({ ...log.options, secrets: secretsOf(config) });
  const say: Say = (level, text) => logger[level](text);
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
  process.on('SIGHUP', () => {
    const reloaded = reloadConfig(path, say, (config) => {
      logger.hide(secretsOf(config));
      return daemon.prepare(config);
    });
    if (reloaded === null) return;
    for (const warning of reloaded.warnings) say('warning', warning);
    void reloaded.apply();
  });
  // A promise that nobody looked at is a bug, but no reason to leave a primary without its keeper.
  process.on('unhandledRejection', (reason) =>
    say('error', `unhandled rejection, please report it as a bug: ${String(reason)}`),
  );
  const exit = await daemon.run();
  say(exit.code === 0 ? 'info' : 'critical', exit.message);
  await logger.close();
  return exit.code;
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
): (Pick<Loaded, 'warnings'> & { readonly apply: () => Promise<void> }) | null {
  try {
    const { config, warnings } = loadConfig(path, process.env);
    const apply = prepare(config);
    say('info', 'the local configuration has been read again');
    return { warnings, apply };
  } catch (error) {
    say(
      'error',
      `the configuration stays as it was: ${error instanceof Error ? error.message : String(error)}`,
    );
    return null;
  }
}

process.exitCode = await main();
// Sockets that a silent peer keeps open must not keep a stopped daemon alive.
process.exit();
