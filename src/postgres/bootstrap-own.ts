/**
 * A cluster out of the operator's own program, such as a restore of a backup (C-6.7, 6.5): the
 * program fills the data directory, PostgreSQL recovers as it is told and becomes a primary.
 */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecoverySetting, parseSettingLine, unquoteSetting } from './conftext.ts';
import { localTarget } from './connect.ts';
import { fileMode, readIfThere, writeAtomically } from './disk.ts';
import { writeStandbySignal } from './files.ts';
import { runMethod } from './methods.ts';
import type { BootstrapMethod } from './options.ts';
import { ctlTimeout, type Parts, readControl } from './parts.ts';
import { PostgresError, type Progress } from './postgres.ts';
import { signalProcess } from './proc.ts';
import { startServer } from './start.ts';

/** A recovery replays what the archive has: bounded only by whoever cancels it. */
const RECOVERY_MS = 20 * 24 * 3_600_000;
/** From look to look whether it is over, ms. */
const LOOK_MS = 1000;
/** For one question, ms. */
const ASK_MS = 2000;

/** @throws PostgresError the program failed, or left nothing that is a cluster */
export async function runBootstrapMethod(
  parts: Parts,
  { program }: BootstrapMethod,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { options, places, clock } = parts;
  for (const folder of [places.dataDir, places.configDir])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  progress(`running ${program.name}`);
  await runMethod(
    program,
    [
      ['scope', options.scope],
      ['datadir', places.dataDir],
    ],
    { clock, signal, onLine: (line) => progress(`${program.name}: ${line}`) },
  );
  const there = await access(join(places.dataDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!there)
    throw new PostgresError(`${program.name} ended well and left no cluster in ${places.dataDir}`);
}

/**
 * Starts what the program left. Passwords may be those of another cluster, so until the roles are
 * set the daemon alone is let in, from this machine and without one. Returns what opens the door
 * again for everybody.
 */
export async function startRestored(
  parts: Parts,
  method: BootstrapMethod,
  progress: Progress,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const { configuration, places } = parts;
  const { settings } = configuration;
  const mode = await fileMode(places.dataDir);
  const before = settings.pgHba === null ? await readIfThere(places.hba) : null;
  // Settings of a role may have rules of their own, and a file of the user's would be kept.
  const { hba_file: _own, ...parameters } = settings.parameters;
  const { byRole: _rules, ...rest } = settings;
  configuration.settings = { ...rest, parameters, pgHba: await ownDoor(parts) };
  const recovery = await recoverySettings(parts, method);
  if (recovery === null) {
    await startServer(parts, {
      as: 'primary',
      upstream: null,
      timeoutMs: ctlTimeout(parts.options),
      progress,
      signal,
    });
  } else await recover(parts, recovery, progress, signal);
  return async () => {
    configuration.settings = settings;
    configuration.required = null;
    if (before !== null) await writeAtomically(places.hba, before, mode);
    await configuration.write({ role: 'primary' });
    const running = parts.postmaster.current();
    if (running !== null) signalProcess(running, 'SIGHUP');
  };
}

/**
 * Before a bootstrap. Returns what puts the settings and rules back when it has failed: a door that was
 * made for the daemon alone must not stay.
 */
export async function rememberDoor({ configuration, places }: Parts): Promise<() => Promise<void>> {
  const { settings } = configuration;
  const outside = places.configDir === places.dataDir ? null : await readIfThere(places.hba);
  return async () => {
    configuration.settings = settings;
    if (outside !== null)
      await writeAtomically(places.hba, outside, await fileMode(places.configDir));
  };
}

async function ownDoor({ options, places, listen }: Parts): Promise<readonly string[]> {
  const user = `"${options.superuser.username.replaceAll('"', '""')}"`;
  const target = await localTarget(places, listen, options.useUnixSocket ?? false, undefined);
  const address = /^[\d.]+$/.test(target.host)
    ? `${target.host}/32`
    : target.host.includes(':')
      ? `${target.host}/128`
      : '127.0.0.1/32';
  return [`local all ${user} trust`, `host all ${user} ${address} trust`];
}

/** Null: it is to be a primary at once. */
async function recoverySettings(
  { places }: Parts,
  { recoveryConf, keepRecoveryConf }: BootstrapMethod,
): Promise<Readonly<Record<string, string>> | null> {
  const found: Record<string, string> = {};
  if (keepRecoveryConf) {
    const text = (await readIfThere(join(places.dataDir, 'postgresql.auto.conf'))) ?? '';
    for (const line of text.split('\n')) {
      const setting = parseSettingLine(line);
      if (setting !== null && isRecoverySetting(setting.name))
        found[setting.name] = unquoteSetting(setting.value);
    }
  }
  const settings = { ...found, ...recoveryConf };
  if (Object.keys(settings).length === 0) return null;
  // Paused at its target it would wait for somebody for ever.
  return { recovery_target_action: 'promote', ...settings };
}

async function recover(
  parts: Parts,
  settings: Readonly<Record<string, string>>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { configuration, places, clock, options, session } = parts;
  await startServer(parts, {
    as: 'primary',
    upstream: null,
    timeoutMs: RECOVERY_MS,
    progress,
    signal,
    prepare: async () => {
      const control = await readControl(parts, places.dataDir, ctlTimeout(options));
      configuration.required = control.required;
      await configuration.write({ role: 'recovering', settings });
      await writeFile(places.recoverySignal, '', { mode: 0o600 });
    },
  });
  progress('recovering');
  for (;;) {
    const row = await session
      .query('SELECT pg_is_in_recovery() AS recovery', ASK_MS)
      .then(([first]) => first)
      .catch(() => undefined);
    if (row?.recovery === 'f') return;
    if (signal.aborted) throw new PostgresError('the recovery was cancelled');
    if (parts.postmaster.current() === null) {
      // Whatever it was: as a standby of nobody it does no harm until it is set aside.
      await writeStandbySignal(places);
      throw new PostgresError('PostgreSQL ended while it recovered');
    }
    await clock.wait(LOOK_MS, signal);
  }
}
