/** A deliberately broken version of the agent: the simulator that does not catch it is blind. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FaultKind, Modes } from '../schedule.ts';

export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  /** Found exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Variant {
  readonly name: string;
  /** What is broken. */
  readonly what: string;
  readonly edits: readonly Edit[];
  /** Caught within this many schedules. */
  readonly within: number;
  /** Weather in which it shows; every kind when it is left out. */
  readonly kinds?: readonly FaultKind[];
  /** In which it shows; drawn by seed where it is left out. */
  readonly modes?: Partial<Modes>;
}

export const ROOT = join(import.meta.dirname, '..', '..', '..');

/** The text of a file with its edits. @throws Error an edit does not apply any more */
export function edited(file: string, edits: readonly Edit[]): string {
  let text = readFileSync(join(ROOT, file), 'utf8');
  for (const { find, replace } of edits) {
    const parts = text.split(find);
    if (parts.length !== 2)
      throw new Error(`${file}: found ${parts.length - 1} times, expected once: ${find}`);
    text = parts.join(replace);
  }
  return text;
}

/** From now on this process loads the broken files. Call it before the simulator is imported. */
export function breakIt({ edits }: Variant): void {
  const files = new Map<string, string>();
  for (const file of new Set(edits.map((edit) => edit.file))) {
    const text = edited(
      file,
      edits.filter((edit) => edit.file === file),
    );
    files.set(pathToFileURL(join(ROOT, file)).href, text);
  }
  registerHooks({
    load: (url, context, next) => {
      const found = next(url, context);
      const source = files.get(url);
      return source === undefined ? found : { ...found, source };
    },
  });
}
