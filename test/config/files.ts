/** Writes configurations for tests into a folder of their own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** The least that a configuration needs. */
export const MINIMAL = `
scope: bench
name: n1
restapi:
  listen: 127.0.0.1:8008
etcd3:
  hosts: 127.0.0.1:2379
postgresql:
  listen: 127.0.0.1:5432
  data_dir: /srv/n1/data
  authentication:
    replication: {username: replicator, password: rep-secret}
`;

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tenure-config-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function file(content: string, name = 'node.yml'): string {
  const path = join(folder(), name);
  writeFileSync(path, content);
  return path;
}
