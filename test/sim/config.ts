/** The configuration of a simulated node, as the real code reads it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../src/config/index.ts';
import type { Schedule } from './schedule.ts';

let loaded: Config | null = null;

/** Read by the real code, once. */
export function baseConfig(): Config {
  if (loaded !== null) return loaded;
  const folder = mkdtempSync(join(tmpdir(), 'tenure-sim-'));
  const path = join(folder, 'node.yml');
  const text = `scope: demo
name: n1
restapi: {listen: '127.0.0.1:8008'}
etcd3: {hosts: '127.0.0.1:2379'}
bootstrap: {dcs: {}}
postgresql:
  listen: 127.0.0.1:5432
  data_dir: /srv/n1/data
  authentication: {replication: {username: replicator, password: secret}}
`;
  try {
    writeFileSync(path, text);
    loaded = loadConfig(path, {}).config;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return loaded;
}

function synchronous({ synchronous: mode, strict, standbys }: Schedule['modes']): object {
  return {
    synchronous_mode: mode,
    synchronous_mode_strict: strict,
    synchronous_node_count: standbys,
  };
}

export function configOf(
  name: string,
  {
    timing,
    maximumLag,
    usePgRewind,
    modes,
  }: Pick<Schedule, 'timing' | 'maximumLag' | 'usePgRewind' | 'modes'>,
): Config {
  const base = baseConfig();
  return {
    ...base,
    name,
    bootstrapDynamic: {
      ...timing,
      maximum_lag_on_failover: maximumLag,
      ...(modes.failsafe ? { failsafe_mode: true } : {}),
      ...(modes.synchronous === 'off' ? {} : synchronous(modes)),
      postgresql: {
        use_pg_rewind: usePgRewind,
        remove_data_directory_on_rewind_failure: true,
        remove_data_directory_on_diverged_timelines: true,
      },
    },
  };
}
