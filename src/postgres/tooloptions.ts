/** Options of initdb and pg_basebackup as people write them in YAML (C-6.7), and shell words. */
import type { ToolOptions } from './options.ts';
import { PostgresError } from './postgres.ts';

/**
 * `[{encoding: UTF8}, 'data-checksums']` or `{encoding: UTF8, 'data-checksums': true}` as
 * `--encoding=UTF8 --data-checksums`. True and null stand for an option without a value; false
 * leaves it out.
 * @throws PostgresError one is forbidden, or is no option
 */
export function toolArguments(
  where: string,
  options: ToolOptions | undefined,
  forbidden: ReadonlySet<string>,
): string[] {
  const found: string[] = [];
  const add = (name: string, value: unknown): void => {
    const bare = name.trim().replace(/^--?/, '');
    if (!/^[A-Za-z][\w-]*$/.test(bare)) {
      throw new PostgresError(`${where}: ${JSON.stringify(name)} is no option`);
    }
    if (forbidden.has(bare.toLowerCase())) {
      throw new PostgresError(`${where}: option ${bare} is set by Tenure and cannot be given`);
    }
    if (value === false) return;
    if (value === true || value === null || value === undefined) found.push(`--${bare}`);
    else if (typeof value === 'string' || typeof value === 'number')
      found.push(`--${bare}=${value}`);
    else throw new PostgresError(`${where}: option ${bare} has no plain value`);
  };
  const list: readonly unknown[] = isList(options)
    ? options
    : Object.entries(options ?? {}).map(([name, value]) => ({ [name]: value }));
  for (const option of list) {
    if (typeof option === 'string') {
      const equals = option.indexOf('=');
      if (equals < 0) add(option, null);
      else add(option.slice(0, equals), option.slice(equals + 1));
    } else if (typeof option === 'object' && option !== null) {
      for (const [name, value] of Object.entries(option)) add(name, value);
    } else {
      throw new PostgresError(`${where}: ${JSON.stringify(option)} is no option`);
    }
  }
  return found;
}

function isList(
  options: ToolOptions | undefined,
): options is Extract<ToolOptions, readonly unknown[]> {
  return Array.isArray(options);
}

/**
 * A command line in words, with quotes and backslashes as a shell has them; nothing is expanded.
 * @throws PostgresError a quote is not closed
 */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  const pattern = /\s+|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])|([^\s'"\\]+)/y;
  let word: string | null = null;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) throw new PostgresError(`not a command: ${text}`);
    const [all, single, double, escaped, plain] = match;
    const part = single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain;
    if (part !== undefined) word = (word ?? '') + part;
    else if (word !== null && all.trim() === '') {
      words.push(word);
      word = null;
    }
  }
  if (word !== null) words.push(word);
  return words;
}
