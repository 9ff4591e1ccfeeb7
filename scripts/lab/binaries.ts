/** Where this machine's PostgreSQL is. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const DEBIAN = '/usr/lib/postgresql';
const OLDEST = 12;

let found: string | undefined;

/** The folder of the newest PostgreSQL's programs. */
export function binDir(): string {
  found ??= findBinDir();
  return found;
}

function findBinDir(): string {
  const versions = existsSync(DEBIAN)
    ? readdirSync(DEBIAN).filter((name) => /^\d+$/.test(name))
    : [];
  const newestFirst = versions.map(Number).sort((a, b) => b - a);
  for (const version of newestFirst) {
    const folder = join(DEBIAN, String(version), 'bin');
    if (version >= OLDEST && existsSync(join(folder, 'postgres'))) return folder;
  }
  throw new Error(
    `no PostgreSQL found below ${DEBIAN} (versions there: ${versions.join(', ') || 'none'}; needed: ${OLDEST} or newer); run scripts/system-packages.sh`,
  );
}
