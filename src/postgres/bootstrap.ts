/** Making a new cluster: initdb, configuration, start, users, the user's own command (C-5.7). */
import { appendFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rememberDoor, runBootstrapMethod, startRestored } from './bootstrap-own.ts';
import { dataVersion, localTarget } from './connect.ts';
import { toolLogin } from './conninfo.ts';
import { exists, isMissing, makePrivateFolder, messageOf } from './disk.ts';
import { emptyParts, linkedParts } from './elsewhere.ts';
import { endOrphans, waitUntilGone } from './ending.ts';
import { withOwnSession } from './localsession.ts';
import { newIncarnation } from './markers.ts';
import { ctlTimeout, databaseOf, type Parts, readControl } from './parts.ts';
import { type BootstrapOutcome, PostgresError, type Progress } from './postgres.ts';
import { createRoles } from './roles.ts';
import { runOrThrow } from './run.ts';
import { startServer } from './start.ts';
import { shellWords, toolArguments } from './tooloptions.ts';
import { parseVersion, refuseOld } from './tools.ts';

const FORBIDDEN = new Set([
  'pgdata',
  'nosync',
  'no-sync',
  'pwfile',
  'pwprompt',
  'sync-only',
  'version',
]);
/** For initdb, ms. */
const INITDB_MS = 10 * 60_000;
/** For the user's own command, ms. */
const COMMAND_MS = 24 * 3_600_000;

/**
 * @throws PostgresError it failed; nothing runs then, and what it made is kept as `<dataDir>.failed`
 */
export async function bootstrapServer(
  parts: Parts,
  progress: Progress,
  signal: AbortSignal,
): Promise<BootstrapOutcome> {
  const { options, places, markers, clock } = parts;
  const method = options.bootstrapMethod;
  const initdb = initdbArguments(parts);
  await clearUnfinished(parts);
  const incarnation = newIncarnation();
  await markers.begin({
    kind: 'bootstrap',
    startedAt: clock.wall().toISOString(),
    from: null,
    folder: null,
    swapping: false,
    incarnation,
    replaces: null,
  });
  const closed = await rememberDoor(parts);
  try {
    if (method !== undefined) await runBootstrapMethod(parts, method, progress, signal);
    else {
      progress('initdb');
      await runInitdb(parts, initdb, signal);
    }
    const { systemIdentifier } = await readControl(parts, places.dataDir, ctlTimeout(options));
    await appendHba(parts);
    const openDoor = await startNew(parts, progress, signal);
    progress('creating users');
    await withOwnSession(parts, '-c synchronous_commit=local', async (session) => {
      await createRoles(session, options, { superuserToo: method !== undefined });
    });
    await openDoor();
    if (options.postBootstrap) {
      progress('running post_bootstrap');
      await runPostBootstrap(parts, options.postBootstrap, signal);
    }
    if (signal.aborted) throw new PostgresError('the bootstrap was cancelled');
    await markers.setIncarnation(incarnation);
    await markers.end();
    return { systemIdentifier };
  } catch (error) {
    await giveUp(parts);
    await closed();
    throw new PostgresError(`bootstrap: ${messageOf(error)}`, { cause: error });
  }
}

/** As a primary. Returns what is to be done when the roles are there. */
async function startNew(
  parts: Parts,
  progress: Progress,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const { bootstrapMethod: method } = parts.options;
  if (method !== undefined) return await startRestored(parts, method, progress, signal);
  await startServer(parts, {
    as: 'primary',
    upstream: null,
    timeoutMs: ctlTimeout(parts.options),
    progress,
    signal,
  });
  return async () => undefined;
}

function initdbArguments({ options }: Parts): string[] {
  return toolArguments('bootstrap.initdb', options.initdb, FORBIDDEN);
}

/** The data directory must be empty, or the remains of a bootstrap of our own (S7). */
async function clearUnfinished(parts: Parts): Promise<void> {
  const { places, markers } = parts;
  const entries = await readdir(places.dataDir).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  if (entries.length === 0) return;
  if ((await markers.read())?.kind !== 'bootstrap') {
    throw new PostgresError(`bootstrap: ${places.dataDir} is not empty`);
  }
  await endOrphans(parts, ctlTimeout(parts.options));
  await setAside(parts);
}

async function runInitdb(
  parts: Parts,
  initdb: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { options, places, clock, tools } = parts;
  const file = tools.find('initdb', null);
  const { stdout } = await runOrThrow({
    file,
    args: ['--version'],
    clock,
    timeoutMs: ctlTimeout(options),
  });
  const version = parseVersion(stdout);
  if (version !== null) refuseOld(version);
  await mkdir(places.configDir, { recursive: true, mode: 0o700 });
  const { username, password } = options.superuser;
  const passwordFile = join(places.stateDir, `initdb.${process.pid}`);
  try {
    if (password !== undefined) await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    const result = await runOrThrow({
      file,
      args: [
        `--pgdata=${places.dataDir}`,
        ...initdb,
        `--username=${username}`,
        ...(password === undefined ? [] : [`--pwfile=${passwordFile}`]),
      ],
      clock,
      timeoutMs: INITDB_MS,
      signal,
      locale: 'inherited',
    });
    parts.log('debug', result.stdout.trim());
  } finally {
    await rm(passwordFile, { force: true });
  }
  refuseOld(await dataVersion(places));
}

/** `bootstrap.pg_hba` adds to initdb's lines, unless a `postgresql.pg_hba` replaces them anyway. */
async function appendHba({ options, places, configuration }: Parts): Promise<void> {
  const lines = options.bootstrapPgHba ?? [];
  const { pgHba, parameters } = configuration.settings;
  if (lines.length === 0 || pgHba !== null || parameters.hba_file !== undefined) return;
  const path = (await exists(places.hba)) ? places.hba : join(places.dataDir, 'pg_hba.conf');
  await appendFile(path, `\n${lines.join('\n')}\n`);
}

async function runPostBootstrap(parts: Parts, command: string, signal: AbortSignal): Promise<void> {
  const { options, places, listen, configuration } = parts;
  const { superuser } = options;
  const [file, ...words] = shellWords(command);
  if (file === undefined) return;
  const configured = configuration.settings.parameters.unix_socket_directories;
  const target = await localTarget(places, listen, options.useUnixSocket ?? false, configured);
  const login = await toolLogin(options.pgpassPath, databaseOf(options), superuser, target);
  const result = await runOrThrow({
    file,
    args: [...words, login.dsn],
    clock: parts.clock,
    timeoutMs: COMMAND_MS,
    signal,
    locale: 'inherited',
    env: {
      ...login.env,
      PGOPTIONS: '-c synchronous_commit=local -c statement_timeout=0',
    },
  });
  parts.log('info', `post_bootstrap: ${(result.stdout || result.stderr).trim() || 'done'}`);
}

/** Stops what was started and sets it aside: the next try begins with nothing. */
async function giveUp(parts: Parts): Promise<void> {
  try {
    const running = parts.postmaster.current();
    parts.instance.kill(running);
    if (running !== null) await waitUntilGone(parts.clock, [running], ctlTimeout(parts.options));
    parts.session.reset();
    await endOrphans(parts, ctlTimeout(parts.options));
    await setAside(parts);
    await parts.markers.end();
  } catch (error) {
    // The marker stays, and with it the knowledge that this directory is nothing.
    parts.log('error', `cannot set the failed bootstrap aside: ${messageOf(error)}`);
  }
}

/** `<dataDir>.failed` (C-5.7.5); where that cannot be, as with a mount point, the directory is emptied. */
async function setAside({ places, log, options }: Parts): Promise<void> {
  if (!(await exists(places.dataDir))) return;
  const aside = `${places.dataDir}.failed`;
  // initdb refuses a WAL folder that is not empty, and this one has a life of its own. What a program of the
  // operator has linked may be the server's that it copied.
  if (options.bootstrapMethod === undefined) await emptyParts(await linkedParts(places.dataDir));
  try {
    await rm(aside, { recursive: true, force: true });
    await rename(places.dataDir, aside);
    log('info', `the failed bootstrap is kept in ${aside}`);
  } catch {
    for (const name of await readdir(places.dataDir)) {
      await rm(join(places.dataDir, name), { recursive: true, force: true });
    }
  }
  await makePrivateFolder(places.stateDir);
}
