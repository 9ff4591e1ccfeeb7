/** Making this node a copy of another: pg_basebackup (C-6.7, rules S7, S8). */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Upstream, UpstreamFacts } from '../core/model.ts';
import { withoutRecoverySettings } from './conftext.ts';
import { dataVersion } from './connect.ts';
import { toolLogin } from './conninfo.ts';
import { messageOf, readIfThere, syncFolder, writeAtomically } from './disk.ts';
import { emptyParts, emptyTargets, emptyUnused, linkedParts } from './elsewhere.ts';
import { endOrphans } from './ending.ts';
import { newIncarnation, type WorkMarker } from './markers.ts';
import { runMethod } from './methods.ts';
import type { OwnMethod, Places } from './options.ts';
import { ctlTimeout, type Parts, readControl } from './parts.ts';
import { PostgresError, type Progress } from './postgres.ts';
import { failureOf, type RunResult, run } from './run.ts';
import { emptyInPlace, emptyWithoutLinks, folderForCopy, removeLeftovers, swapIn } from './swap.ts';
import { toolArguments } from './tooloptions.ts';
import { refuseOld } from './tools.ts';

const FORBIDDEN = new Set(
  [
    'pgdata',
    'format',
    'wal-method',
    'xlog-method',
    'xlog',
    'dbname',
    'host',
    'port',
    'username',
  ].concat([
    'password',
    'no-password',
    'write-recovery-conf',
    'target',
    'version',
    'create-slot',
    'gzip',
  ]),
);
const TRIES = 2;
/** For asking the upstream who it is, ms. */
const ASK_MS = 3000;
/** Longer than any copy; it is ended by its signal. */
const COPY_MS = 20 * 24 * 3_600_000;

/**
 * The server must be stopped. The methods of `postgresql.create_replica_methods` are tried in turn.
 * pg_basebackup copies beside the old data directory where that is possible: then a failure or a
 * cancel leaves the old one as it was. A program of the operator may know no other place than the
 * data directory itself, so it works there, marked.
 * @throws PostgresError the last method failed too
 */
export async function cloneServer(
  parts: Parts,
  from: Upstream,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { places, options, configuration } = parts;
  const methods = configuration.settings.making?.replicaMethods ?? ['basebackup'];
  // Options that cannot be used are found before anything is touched.
  const chosen = methods.includes('basebackup') ? backupOptions(parts) : [];
  await refuseRunning(parts);
  await endOrphans(parts, ctlTimeout(options));
  const facts = await parts.upstreams.ask(from, ASK_MS);
  let failure = new PostgresError('create_replica_methods names no method');
  let made = false;
  for (const method of methods) {
    const request = { parts, from, facts, progress, signal };
    try {
      if (method === 'basebackup') await withBasebackup(request, chosen);
      else await withOwnMethod(request, method);
      made = true;
      break;
    } catch (error) {
      failure = error instanceof PostgresError ? error : new PostgresError(messageOf(error));
      if (signal.aborted) break;
      if (method !== methods.at(-1))
        parts.log('warn', `trying the next method: ${failure.message}`);
    }
  }
  if (!made) throw failure;
  await parts.configuration.restoreCopies();
  parts.instance.learnDirectory(places.dataDir);
  progress('removing what was replaced');
  await removeLeftovers(places, null, parts.log);
}

/** What every method is told. */
interface CopyRequest {
  readonly parts: Parts;
  readonly from: Upstream;
  readonly facts: UpstreamFacts;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

async function markerFor(
  { parts, from, facts }: CopyRequest,
  folderFor: (incarnation: string) => Promise<string | null>,
  chosen: readonly string[] = [],
): Promise<WorkMarker> {
  const former = await unfinishedIn(parts);
  const unfinished = former?.kind ?? null;
  // What an own bootstrap left is nobody's data, nor is what a clone in place was already filling.
  if (unfinished !== 'bootstrap' && unfinished !== 'clone') await refuseOtherCluster(parts, facts);
  const incarnation = newIncarnation();
  return {
    kind: 'clone',
    startedAt: parts.clock.wall().toISOString(),
    from: `${from.host}:${from.port}`,
    folder: await folderFor(incarnation),
    swapping: false,
    incarnation,
    replaces: unfinished,
    elsewhere: [
      ...new Set([
        ...(former?.elsewhere ?? []),
        ...(await linkedParts(parts.places.dataDir)),
        ...(await emptyTargets(chosen)),
      ]),
    ],
  };
}

async function withBasebackup(request: CopyRequest, chosen: readonly string[]): Promise<void> {
  const { parts } = request;
  await clearAfterProgram(parts);
  const copy = { ...request, file: parts.tools.find('pg_basebackup', null), chosen };
  const marker = await markerFor(
    request,
    (incarnation) => folderForCopy(parts.places, incarnation),
    chosen,
  );
  const { folder } = marker;
  if (folder === null || (await beside(copy, marker, folder)) === 'no space') {
    await inPlace(copy, { ...marker, folder: null });
  }
}

/** What a program has left unfinished may link to another server's folders: links are removed, not followed. */
async function clearAfterProgram(parts: Parts): Promise<void> {
  if ((await unfinishedIn(parts))?.program === true) await emptyWithoutLinks(parts.places);
}

/** C-6.7; the directory is what the program leaves, if that is a copy of the leader's cluster. */
async function withOwnMethod(request: CopyRequest, method: OwnMethod): Promise<void> {
  const { parts, from, progress, signal } = request;
  const { places, options, markers, clock } = parts;
  if (!method.keepData) await clearAfterProgram(parts);
  const marker = { ...(await markerFor(request, async () => null)), program: true };
  await markers.begin(marker);
  if (!method.keepData) {
    await emptyInPlace(places);
    await emptyParts(marker.elsewhere ?? []);
  }
  progress(`running ${method.name}`);
  const { dsn, env } = await toolLogin(options.pgpassPath, 'postgres', options.replication, from);
  await runMethod(
    method,
    [
      ['scope', options.scope],
      ['role', 'replica'],
      ['datadir', places.dataDir],
      ['connstring', dsn],
    ],
    {
      clock,
      signal,
      env,
      onLine: (line) => progress(`${method.name}: ${line}`),
    },
  );
  await makeStandby(request, places.dataDir);
  if (marker.incarnation !== null) await markers.setIncarnation(marker.incarnation);
  await markers.end();
}

interface Copy extends CopyRequest {
  readonly file: string;
  readonly chosen: readonly string[];
}

async function beside(
  copy: Copy,
  marker: WorkMarker,
  folder: string,
): Promise<'done' | 'no space'> {
  const { markers, places, log } = copy.parts;
  await removeLeftovers(places, null, log);
  await markers.begin(marker);
  try {
    await fill(copy, folder, async () => await clearBeside(places, folder, marker));
    // The copy took its time, and people start servers by hand.
    await refuseRunning(copy.parts);
  } catch (error) {
    await clearBeside(places, folder, marker);
    await markers.abandon(marker);
    if (!copy.signal.aborted && /No space left on device/.test(messageOf(error))) {
      log('warn', 'no room for a copy beside the data directory: cloning in its place');
      return 'no space';
    }
    throw error;
  }
  await swapIn(places, markers, marker, folder);
  return 'done';
}

/** The data directory is whole, and what it uses stays. */
async function clearBeside(
  { dataDir }: Places,
  folder: string,
  { elsewhere = [] }: WorkMarker,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await emptyUnused(elsewhere, dataDir);
}

/** The marker stays when it fails: the directory is no longer what it was (S7). */
async function inPlace(copy: Copy, marker: WorkMarker): Promise<void> {
  const { markers, places } = copy.parts;
  const clear = async (): Promise<void> => {
    await emptyInPlace(places);
    await emptyParts(marker.elsewhere ?? []);
  };
  await markers.begin(marker);
  await clear();
  await fill(copy, places.dataDir, clear);
  if (marker.incarnation !== null) await markers.setIncarnation(marker.incarnation);
  await markers.end();
}

/** A copy that is ready to be started as a standby, and durable. */
async function fill(copy: Copy, folder: string, clear: () => Promise<void>): Promise<void> {
  await copyFiles(copy, folder, clear);
  await makeStandby(copy, folder);
}

async function makeStandby({ parts, facts, progress }: CopyRequest, folder: string): Promise<void> {
  progress('checking the copy');
  refuseOld(await dataVersion({ ...parts.places, dataDir: folder }));
  const control = await readControl(parts, folder, ctlTimeout(parts.options));
  if (control.systemIdentifier !== facts.systemIdentifier) {
    throw new PostgresError(
      `clone: the copy has system identifier ${control.systemIdentifier}, its source ${facts.systemIdentifier}`,
    );
  }
  const auto = join(folder, 'postgresql.auto.conf');
  await writeAtomically(auto, withoutRecoverySettings((await readIfThere(auto)) ?? ''), 0o600);
  // Whoever starts this directory gets a standby, never a second primary (S8).
  await writeAtomically(join(folder, 'standby.signal'), '', 0o600);
  await syncFolder(folder);
}

async function copyFiles(copy: Copy, folder: string, clear: () => Promise<void>): Promise<void> {
  const { parts, from, signal } = copy;
  const { options, clock } = parts;
  let result: RunResult | null = null;
  for (let attempt = 1; attempt <= TRIES && !signal.aborted; attempt++) {
    if (result !== null) parts.log('warn', `trying again: ${failureOf(result, COPY_MS)}`);
    await clear();
    copy.progress('copying');
    const { pgpassPath, replication } = options;
    const login = await toolLogin(pgpassPath, 'postgres', replication, from);
    result = await run({
      file: copy.file,
      args: [`--pgdata=${folder}`, '-X', 'stream', `--dbname=${login.dsn}`, ...copy.chosen],
      clock,
      timeoutMs: COPY_MS,
      signal,
      env: login.env,
      onLine: (line) => {
        const percent = /^\s*\d+\/\d+ kB \((\d+)%\)/.exec(line)?.[1];
        if (percent !== undefined) copy.progress(`copying: ${percent} %`);
      },
    });
    if (result.exitCode === 0 && !signal.aborted) return;
  }
  throw new PostgresError(
    result === null || signal.aborted ? 'the clone was cancelled' : failureOf(result, COPY_MS),
  );
}

function backupOptions({ options, configuration }: Parts): string[] {
  const chosen = configuration.settings.making?.basebackup ?? options.basebackup;
  const given = toolArguments('postgresql.basebackup', chosen, FORBIDDEN);
  const has = (name: string): boolean =>
    given.some((option) => option.split('=')[0] === `--${name}`);
  return [
    ...given,
    // A spread checkpoint makes the clone wait for minutes on a busy source.
    ...(has('checkpoint') ? [] : ['--checkpoint=fast']),
    ...(has('progress') ? [] : ['--progress']),
  ];
}

/** @throws PostgresError a server runs in the data directory, or may do so */
async function refuseRunning({ postmaster }: Parts): Promise<void> {
  if ((await postmaster.look()).kind === 'none') return;
  throw new PostgresError('clone: PostgreSQL runs in the data directory');
}

/** Work that left the data directory in pieces. A marker that cannot be read vouches for nothing. */
async function unfinishedIn({ markers }: Parts): Promise<WorkMarker | null> {
  const marker = await markers.read().catch(() => null);
  return marker === null || marker.folder !== null ? null : marker;
}

/** A data directory of another cluster is never given up for a copy (S7). */
async function refuseOtherCluster(parts: Parts, facts: UpstreamFacts): Promise<void> {
  const own = await readControl(parts, parts.places.dataDir, ctlTimeout(parts.options)).catch(
    () => null,
  );
  if (own === null || own.systemIdentifier === facts.systemIdentifier) return;
  throw new PostgresError(
    `clone: the data directory has system identifier ${own.systemIdentifier}, ${facts.name} has ${facts.systemIdentifier}`,
  );
}
