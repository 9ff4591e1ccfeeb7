/** The fence's own programs. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** In bin/ of this package, whether this is run from src/ or from what was built of it. Null: it is not there. */
export function programFile(name: string): string | null {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const file = join(folder, 'bin', name);
    if (existsSync(file)) return file;
    if (folder === dirname(folder)) return null;
  }
}
