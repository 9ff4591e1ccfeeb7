/** Files that a script writes its results to. */
import { closeSync, openSync } from 'node:fs';

/** Before the work, not after it. Ends the process (2) when the file cannot be written. */
export function mustBeWritable(option: string, file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const user = process.getuid?.() ?? 'unknown';
    console.error(
      `${option}: ${why}; allowed: a file that user ${user} may write (as root this runs as another user: name one in /tmp)`,
    );
    process.exit(2);
  }
}
