/** The configuration cannot be used. The message lists every fault, one line each, without secrets. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** One readable line per fault. */
  readonly lines: readonly string[];

  constructor(source: string, lines: readonly string[], options?: ErrorOptions) {
    super([`${source}:`, ...lines.map((line) => `  ${line}`)].join('\n'), options);
    this.lines = lines;
  }
}

/** Last part of a path that names a secret: its value never appears in a message. */
const SECRET_NAME = /password|passphrase|secret|token(?!s$)/i;

export function isSecretPath(path: readonly PropertyKey[]): boolean {
  return path.some((part) => SECRET_NAME.test(String(part)));
}

/** What was found, short and fit for a log line. */
export function describeFound(value: unknown, secret: boolean): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  if (secret) return `a ${typeof value} (not shown)`;
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  // The user and password of a URL.
  const shown = text.replace(/\/\/[^@/\s]*@/g, '//***@');
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
}

/** `postgresql.pg_hba[2]`. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text === '' ? '(top level)' : text;
}

/** The value at `path`, undefined where the path leads nowhere. */
export function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** `path: found X, allowed: Y`. */
export function faultLine(root: unknown, path: readonly PropertyKey[], allowed: string): string {
  const found = describeFound(valueAt(root, path), isSecretPath(path));
  return `${pathText(path)}: found ${found}, allowed: ${allowed}`;
}
