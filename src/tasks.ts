/** What `tenure` does beside serving: it looks at a configuration, or makes one (C-6.9). */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { RealClock } from './clock.ts';
import {
  type Config,
  ConfigError,
  configOf,
  type Loaded,
  postgresOptions,
  printConfig,
  readTls,
  restOptions,
  sampleConfig,
} from './config/index.ts';
import { dataVersion } from './postgres/connect.ts';
import { takeInventory } from './postgres/inventory.ts';
import { readUsers } from './postgres/local.ts';
import { parseListen, placesOf } from './postgres/options.ts';
import { PostgresError } from './postgres/postgres.ts';
import { Tools } from './postgres/tools.ts';

export interface ValidateOptions {
  readonly print: boolean;
  /** A daemon may run here already. */
  readonly ignorePorts: boolean;
}

/** Of a configuration that could be read, with its certificates. What this machine lacks for it is a warning. */
export async function validate(
  path: string | undefined,
  { config, warnings }: Loaded,
  { print, ignorePorts }: ValidateOptions,
): Promise<number> {
  let found: readonly string[];
  try {
    found = [...warnings, ...readTls(config).warnings];
    readUsers(postgresOptions(config));
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof PostgresError)) throw error;
    process.stderr.write(`tenure: ${error.message}\n`);
    return 1;
  }
  found = [...found, ...(await machineWarnings(config, ignorePorts))];
  for (const warning of found) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(print ? printConfig(path, process.env) : 'the configuration is valid\n');
  return 0;
}

async function machineWarnings(config: Config, ignorePorts: boolean): Promise<readonly string[]> {
  const options = postgresOptions(config);
  const places = placesOf({ ...options, clock: new RealClock(), log: () => undefined });
  const version = await dataVersion(places).catch(() => null);
  const tools = new Tools(options.binDir, options.binNames);
  const warnings = tools.missing(
    ['postgres', 'pg_controldata', 'pg_waldump', 'pg_basebackup', 'initdb'],
    version,
  );
  if (ignorePorts) return warnings;
  const rest = restOptions(config).listen;
  const postgres = parseListen(options.listen);
  const addresses: (readonly [string, string, number])[] = [
    ['restapi.listen', rest.host, rest.port],
    ...postgres.addresses.map((host) => ['postgresql.listen', host, postgres.port] as const),
  ];
  for (const [key, host, port] of addresses) {
    const why = await whyNotFree(host === '*' ? '' : host, port);
    if (why !== null) warnings.push(`${key}: ${host}:${port}: ${why} (-i leaves this out)`);
  }
  return warnings;
}

/** Null: somebody could listen there. */
function whyNotFree(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EADDRINUSE' ? 'in use' : error.message),
    );
    server.listen({ ...(host !== '' && { host }), port }, () => server.close(() => resolve(null)));
  });
}

/** @throws Error the file is there already, or cannot be written */
export function writeSample(path: string | undefined): number {
  return hand(sampleConfig(), path);
}

/** @throws PostgresError there is nobody to ask; Error as above */
export async function writeConfigOf(
  path: string | undefined,
  dsn: string | undefined,
): Promise<number> {
  return hand(configOf(await takeInventory(new RealClock(), dsn)), path);
}

/** Passwords will stand in it; one that is there is somebody's work. */
function hand(text: string, path: string | undefined): number {
  if (path === undefined) process.stdout.write(text);
  else writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  return 0;
}
