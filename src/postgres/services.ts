/**
 * Debian's own service (`postgresql@15-main`) beside us: it starts the PostgreSQL that this daemon looks
 * after, or another one on the same port. Both are said by name, as either looks like a riddle otherwise.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Instance } from './instance.ts';
import { allProcesses, processArguments } from './proc.ts';

/** Debian's service that a process belongs to, by /proc/<pid>/cgroup; null: none. */
export function debianService(cgroups: string): string | null {
  return /\/(postgresql@[^/\s]+)\.service/.exec(cgroups)?.[1]?.replaceAll('\\x2d', '-') ?? null;
}

function serviceOf(pid: number): string | null {
  try {
    return debianService(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
  } catch {
    return null;
  }
}

/** What to do about a service, as a sentence's end. */
function advice(service: string): string {
  const [version, cluster] = service.replace('postgresql@', '').split('-', 2);
  return `keep it from starting again: systemctl disable --now ${service}, and "manual" in /etc/postgresql/${version}/${cluster}/start.conf`;
}

/** Of a PostgreSQL that was found running; null: Debian's service has not started it. */
export function startedByService(pid: number, service = serviceOf(pid)): string | null {
  if (service === null) return null;
  return `PostgreSQL, process ${pid}, was started by the service ${service}, which may stop it or start it at any time; ${advice(service)}`;
}

/**
 * Who has the port that a server could not listen on: a PostgreSQL of this user in another directory.
 * '' when none is found, else `; …`.
 */
export function otherOnPort(instance: Instance, ownDataDir: string, port: number): string {
  for (const entry of allProcesses()) {
    if (!instance.isServerCommand(entry)) continue;
    const folder = dataDirOf(processArguments(entry.pid));
    if (folder === null || resolve(folder) === resolve(ownDataDir)) continue;
    if (portOf(folder) !== port) continue;
    const service = serviceOf(entry.pid);
    const whose = service === null ? '' : ` of the service ${service}; ${advice(service)}`;
    return `; port ${port} is taken by the PostgreSQL in ${folder}, process ${entry.pid}${whose}`;
  }
  return '';
}

/** `-D folder`, of a postmaster's arguments; its children have another text there. */
function dataDirOf(args: readonly string[]): string | null {
  const at = args.indexOf('-D');
  return at < 0 ? null : (args[at + 1] ?? null);
}

/** The fourth line of its postmaster.pid. */
function portOf(folder: string): number | null {
  try {
    const line = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')[3];
    return line === undefined ? null : Number(line);
  } catch {
    return null;
  }
}
