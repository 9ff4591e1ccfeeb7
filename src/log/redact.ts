/** Keeps secrets out of the log: by the name of a field, and by the value wherever it occurs. */

const HIDDEN = '***';
const SECRET_FIELD = /pass(word|wd|file|phrase)|secret|token|authorization|cookie|credential/i;
/** Deeper structures are cut: nothing worth logging lies there, and cycles end. */
const DEEPEST = 6;

export class Redactor {
  #pattern: RegExp | null = null;
  readonly #secrets = new Set<string>();

  add(secrets: readonly string[]): void {
    for (const secret of secrets) if (secret !== '') this.#secrets.add(secret);
    const parts = [...this.#secrets]
      .sort((left, right) => right.length - left.length)
      .map(patternOf);
    this.#pattern = parts.length === 0 ? null : new RegExp(parts.join('|'), 'g');
  }

  text(text: string): string {
    return this.#pattern === null ? text : text.replace(this.#pattern, HIDDEN);
  }

  /** A copy fit for the log: plain data, errors spelled out. */
  fields(value: unknown, depth = 0): unknown {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'bigint') return value.toString();
    if (typeof value !== 'object' || value === null) return value;
    if (depth >= DEEPEST) return '…';
    if (value instanceof Date) return value;
    if (value instanceof Error) return this.fields(spelledOut(value), depth);
    if (Array.isArray(value)) return value.map((item) => this.fields(item, depth + 1));
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [
        name,
        SECRET_FIELD.test(name) && item !== null && item !== undefined
          ? HIDDEN
          : this.fields(item, depth + 1),
      ]),
    );
  }
}

function spelledOut(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return { ...error, name, message, stack, ...(cause === undefined ? {} : { cause }) };
}

/** A short secret made of letters may be part of other words (postgres in postgresql): only as a word of its own. */
function patternOf(secret: string): string {
  const escaped = secret.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
  const wordLike = /^\w+$/.test(secret) && secret.length < 12;
  return wordLike ? `(?<!\\w)${escaped}(?!\\w)` : escaped;
}
