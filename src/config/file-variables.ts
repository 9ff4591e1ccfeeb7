/** Variables whose value is in a file, as secrets of containers are: `TENURE_SUPERUSER_PASSWORD_FILE=/run/secrets/it`. */
import { readFileSync } from 'node:fs';
import type { Environment } from './environment.ts';
import { ConfigError } from './errors.ts';

const BY_FILE = /^((?:PATRONI|TENURE)_(.+))_FILE$/;

/**
 * The environment with each `X_FILE` replaced by `X` and the file's contents, without the line's end.
 * The file is read again at each reload.
 * @param isSetting whether a name without prefix is that of a setting
 * @throws ConfigError a file cannot be read or is empty, or X is set beside X_FILE
 */
export function withFileVariables(
  environment: Environment,
  isSetting: (name: string) => boolean,
): Environment {
  const result: Record<string, string | undefined> = { ...environment };
  const faults: string[] = [];
  for (const [variable, path] of Object.entries(environment)) {
    const [, target = '', name = ''] = BY_FILE.exec(variable) ?? [];
    if (!path || !isSetting(name) || isSetting(`${name}_FILE`)) continue;
    delete result[variable];
    if (environment[target]) faults.push(`${target} and ${variable} are both set, allowed: one`);
    const value = contents(path);
    if (typeof value === 'string') result[target] = value;
    else faults.push(`${variable}: ${path} ${value.fault}, allowed: a file with the value`);
  }
  if (faults.length > 0) throw new ConfigError('environment', faults);
  return result;
}

function contents(path: string): string | { readonly fault: string } {
  try {
    const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return value === '' ? { fault: 'is empty' } : value;
  } catch (error) {
    return { fault: `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})` };
  }
}
