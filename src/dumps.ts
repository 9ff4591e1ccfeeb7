/**
 * Core files without memory: ours holds every password of the configuration. Node.js cannot make a
 * process undumpable; what the kernel writes into a core file a process can choose for itself.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** Which kinds of memory go into a core file (core(5)); children begin with their parent's. */
const filterOf = (process: string): string => `/proc/${process}/coredump_filter`;

let inherited: string | null = null;

/** From now on a core file of this process has registers and names, and no memory. Best effort. */
export function hideMemory(): void {
  try {
    const before = readFileSync(filterOf('self'), 'utf8').trim();
    writeFileSync(filterOf('self'), '0x0');
    inherited ??= `0x${before}`;
  } catch {
    // Not on this kernel: then core files have to be turned off by whoever starts the daemon.
  }
}

/** PostgreSQL's core files are for people who look for its bugs: they are as they would be without us. */
export function showMemoryOf(pid: number): void {
  if (inherited === null) return;
  try {
    writeFileSync(filterOf(String(pid)), inherited);
  } catch {
    // It has ended already.
  }
}
