import { readFileSync } from 'node:fs';

export function fixture(name: string): string {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8');
}

/** `[path with query, status]` of each line. */
export function checks(name: string): [string, number][] {
  const lines = fixture(name).trim().split('\n');
  return lines.map((line) => {
    const [path = '', status = ''] = line.split(' ');
    return [path, Number(status)];
  });
}
