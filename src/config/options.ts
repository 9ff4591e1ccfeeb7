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
