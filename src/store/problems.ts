/**
 * Collects what could not be understood in the store, one line for each key: which, what was
 * found, what is allowed. Decoders report here and never throw (rule S4).
 */
import { shown } from './json.ts';

/** What a decoder of one key gets: `allowed` says what would have been right. */
export type Report = (found: string, allowed: string) => void;

export class Problems {
  readonly #base: string;
  readonly #lines = new Map<string, string>();

  constructor(base: string) {
    this.#base = base;
  }

  /** Only the first problem of a key is kept: the rest usually follows from it. */
  about(key: string): Report {
    return (found, allowed) => {
      if (this.#lines.has(key)) return;
      const name = key.startsWith(`${this.#base}/`) ? key.slice(this.#base.length + 1) : key;
      this.#lines.set(key, `${name}: found ${shown(found)}, allowed: ${allowed}`);
    };
  }

  lines(): readonly string[] {
    return [...this.#lines.values()].sort();
  }
}
