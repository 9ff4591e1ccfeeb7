/**
 * What applies now: built-in defaults, under the dynamic configuration, under the local file, with
 * the exceptions of C-6.1: times and switches of the cluster come from `/config` alone.
 */
import type { Settings } from '../core/settings.ts';
import type { CallbackCommands } from '../postgres/callbacks.ts';
import type { ServerSettings } from '../postgres/postgres.ts';
import type { ScriptCommands } from '../postgres/scripts.ts';
import { type Dynamic, readDynamic } from './dynamic.ts';
import type { Config } from './load.ts';
import { isTree, type Tree } from './merge.ts';
import { serverSettings } from './server.ts';
import { ignoredSlots, permanentSlots } from './slots.ts';
import { effectiveTags } from './tags.ts';
import { DEFAULT_TIMING, effectiveTiming } from './timing.ts';

const DEFAULT_MAXIMUM_LAG = 1_048_576;
const DEFAULT_PRIMARY_START_TIMEOUT_MS = 300_000;
/** Patroni's fixed one (C-3.8). */
const DEFAULT_FAILSAFE_TIMEOUT_MS = 2000;
const DEFAULT_MEMBER_SLOTS_TTL_MS = 1_800_000;

export interface Effective {
  readonly settings: Settings;
  readonly server: ServerSettings;
  readonly scripts: ScriptCommands & { readonly callbacks: CallbackCommands };
  /** The same text for the same cause, so that the caller can say each once. */
  readonly warnings: readonly string[];
}

/**
 * Never throws: what cannot be used in `dynamic` is replaced by its default, with a warning.
 * @param dynamic `/config`; null while it is not known: `bootstrap.dcs` stands in
 */
export function effectiveSettings(
  config: Config,
  dynamic: Tree | null,
  cluster: { readonly allMembersRunTenure: boolean },
): Effective {
  const read = readDynamic(dynamic ?? initialDynamicConfiguration(config));
  const warnings = [...read.warnings, ...missingFeatures(read)];
  const timing = effectiveTiming(
    {
      ttlMs: read.values.ttl ?? DEFAULT_TIMING.ttlMs,
      loopWaitMs: read.values.loop_wait ?? DEFAULT_TIMING.loopWaitMs,
      retryTimeoutMs: read.values.retry_timeout ?? DEFAULT_TIMING.retryTimeoutMs,
    },
    cluster.allMembersRunTenure,
  );
  warnings.push(...timing.warnings);
  const useSlots = read.postgresql.use_slots ?? true;
  const synchronous = synchronousPolicy(read).synchronousMode !== 'off';
  const server = serverSettings(config, read, { useSlots, synchronous }, warnings);
  const settings: Settings = {
    ...timing.timing,
    ...policy(config, read, warnings),
    useSlots,
    ...synchronousPolicy(read),
    standbyCluster: asksForStandbyCluster(read),
    tags: effectiveTags(config.tags),
    mayBootstrap: config.bootstrap !== undefined,
    userSynchronousStandbyNames: server.parameters.synchronous_standby_names ?? '',
  };
  return { settings, server, scripts: scripts(config, read), warnings };
}

/** The whole section of callbacks is one value. */
function scripts({ postgresql: local }: Config, { postgresql }: Dynamic): Effective['scripts'] {
  const callbacks = Object.entries(local.callbacks ?? postgresql.callbacks ?? {});
  return {
    prePromote: local.pre_promote ?? postgresql.pre_promote ?? null,
    beforeStop: local.before_stop ?? postgresql.before_stop ?? null,
    callbacks: Object.fromEntries(callbacks.filter(([, command]) => command !== undefined)),
  };
}

function policy(config: Config, { values, postgresql }: Dynamic, warnings: string[]) {
  const local = config.postgresql;
  return {
    maximumLagOnFailover: values.maximum_lag_on_failover ?? DEFAULT_MAXIMUM_LAG,
    checkTimeline: values.check_timeline ?? false,
    primaryStartTimeoutMs:
      values.primary_start_timeout ??
      values.master_start_timeout ??
      DEFAULT_PRIMARY_START_TIMEOUT_MS,
    primaryStopTimeoutMs: values.primary_stop_timeout ?? values.master_stop_timeout ?? 0,
    maximumTimelinesHistory: values.max_timelines_history ?? 0,
    permanentSlots: permanentSlots(values, warnings),
    ignoreSlots: ignoredSlots(values.ignore_slots ?? []),
    memberSlotsTtlMs: values.member_slots_ttl ?? DEFAULT_MEMBER_SLOTS_TTL_MS,
    usePgRewind: local.use_pg_rewind ?? postgresql.use_pg_rewind ?? false,
    removeDataDirectoryOnRewindFailure:
      local.remove_data_directory_on_rewind_failure ??
      postgresql.remove_data_directory_on_rewind_failure ??
      false,
    removeDataDirectoryOnDivergedTimelines:
      local.remove_data_directory_on_diverged_timelines ??
      postgresql.remove_data_directory_on_diverged_timelines ??
      false,
    paused: values.pause ?? false,
    failsafeMode: values.failsafe_mode ?? false,
    failsafeTimeoutMs: config.tenure.failsafe_timeout ?? DEFAULT_FAILSAFE_TIMEOUT_MS,
  };
}

/** What is not understood as "off" is taken as asked for: to ignore it could cost commits. */
function synchronousMode({ values, raw }: Dynamic): Settings['synchronousMode'] {
  if (raw.synchronous_mode === undefined) return 'off';
  if (values.synchronous_mode === 'quorum') return 'quorum';
  return ['off', 'false', 'no', '0'].includes(values.synchronous_mode ?? '') ? 'off' : 'on';
}

function synchronousPolicy(read: Dynamic) {
  const { values } = read;
  return {
    // A standby cluster's own setting does not apply (C-5.15).
    synchronousMode: asksForStandbyCluster(read) ? ('off' as const) : synchronousMode(read),
    synchronousModeStrict: values.synchronous_mode_strict ?? false,
    synchronousNodeCount: values.synchronous_node_count ?? 1,
    maximumLagOnSyncnode: values.maximum_lag_on_syncnode ?? -1,
  };
}

function asksForStandbyCluster({ raw }: Dynamic): boolean {
  const section = raw.standby_cluster;
  return (
    section !== undefined &&
    section !== false &&
    !(typeof section === 'object' && Object.keys(section ?? {}).length === 0)
  );
}

function missingFeatures(read: Dynamic): string[] {
  const warnings: string[] = [];
  if (asksForStandbyCluster(read)) warnings.push('/config standby_cluster is not supported yet');
  return warnings;
}

/** What `/config` is when the cluster is created: Patroni's four defaults, then `bootstrap.dcs` as written. */
export function initialDynamicConfiguration(config: Config): Readonly<Record<string, unknown>> {
  return {
    ttl: DEFAULT_TIMING.ttlMs / 1000,
    loop_wait: DEFAULT_TIMING.loopWaitMs / 1000,
    retry_timeout: DEFAULT_TIMING.retryTimeoutMs / 1000,
    maximum_lag_on_failover: DEFAULT_MAXIMUM_LAG,
    ...withoutPasswords(config.bootstrapDynamic),
  };
}

/** Everybody may read /config, and nobody reads users from there (C-6.1). */
function withoutPasswords(dynamic: Tree): Tree {
  const { postgresql } = dynamic;
  if (!isTree(postgresql) || postgresql.authentication === undefined) return dynamic;
  const { authentication: _kept, ...rest } = postgresql;
  return { ...dynamic, postgresql: rest };
}
