/** Options for tools that the daemon sets itself: nobody else may. */
import type { ToolOption } from './values.ts';

export const INITDB_OWN: ReadonlySet<string> = new Set([
  'pgdata',
  'nosync',
  'no-sync',
  'pwfile',
  'sync-only',
  'version',
]);

export const BASEBACKUP_OWN: ReadonlySet<string> = new Set([
  'pgdata',
  'format',
  'wal-method',
  'xlog-method',
  'gzip',
  'version',
  'compress',
  'dbname',
  'host',
  'port',
  'username',
  'password',
]);

export const REWIND_OWN: ReadonlySet<string> = new Set([
  'target-pgdata',
  'source-pgdata',
  'source-server',
  'write-recovery-conf',
  'dry-run',
  'config-file',
  'no-ensure-shutdown',
  'no-sync',
  'version',
]);

/** Those that may stay; each of the others gives a warning. */
export function allowedOptions(
  path: string,
  options: readonly ToolOption[],
  own: ReadonlySet<string>,
  warnings: string[],
): readonly ToolOption[] {
  return options.filter((option) => {
    if (!own.has(option.name)) return true;
    warnings.push(`${path}: ${option.name} is ignored: the daemon decides it`);
    return false;
  });
}
