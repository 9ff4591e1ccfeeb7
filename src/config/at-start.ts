/** Keys that are read once: a reload cannot change them, and says so. */
import { isDeepStrictEqual } from 'node:util';
import { pathText, valueAt } from './errors.ts';
import type { Config } from './load.ts';

const READ_AT_START: readonly (readonly string[])[] = [
  ['scope'],
  ['name'],
  ['namespace'],
  ...['hosts', 'host', 'url', 'port', 'protocol'].map((key) => ['etcd3', key]),
  ['restapi', 'listen'],
  ['restapi', 'connect_address'],
  ...['method', 'initdb', 'pg_hba', 'post_bootstrap', 'post_init'].map((key) => ['bootstrap', key]),
  ['watchdog'],
  ...[
    'listen',
    'connect_address',
    'proxy_address',
    'data_dir',
    'config_dir',
    'bin_dir',
    'bin_name',
    'custom_conf',
    'config_base_name',
    'use_unix_socket',
    'database',
    'pgpass',
    'pg_ctl_timeout',
  ].map((key) => ['postgresql', key]),
  ...['type', 'format', 'dateformat', 'static_fields', 'dir', 'file_size', 'file_num', 'mode'].map(
    (key) => ['log', key],
  ),
  ['tenure', 'state_dir'],
  ['tenure', 'guard'],
];

/** Names of those that differ. */
export function changedAtStartOnly(before: Config, after: Config): readonly string[] {
  return READ_AT_START.filter(
    (path) => !isDeepStrictEqual(valueAt(before, path), valueAt(after, path)),
  ).map(pathText);
}
