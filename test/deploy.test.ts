/** The files that people deploy with, as far as they can be checked without starting anything. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../src/config/index.ts';

const root = resolve(import.meta.dirname, '..');
const deployed = (name: string): string => readFileSync(join(root, 'deploy', name), 'utf8');
const systemd = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('deploy/systemd', () => {
  it.runIf(systemd)('has a unit and a drop-in without a fault', () => {
    const folder = mkdtempSync(join(tmpdir(), 'unit-'));
    try {
      // A drop-in is not looked for beside a file that is named: its sections are appended.
      const unit = deployed('systemd/tenure@.service').replace(
        '/usr/bin/tenure',
        join(root, 'bin/tenure'),
      );
      const file = join(folder, 'tenure@main.service');
      for (const text of [unit, `${unit}\n${deployed('systemd/hardened.conf')}`]) {
        writeFileSync(file, text);
        const checked = spawnSync('systemd-analyze', ['verify', '--man=no', file]);
        const { status, stderr } = checked;
        const ours = stderr
          .toString()
          .split('\n')
          .filter((line) => line.includes(folder));
        expect({ status, ours }).toEqual({ status: 0, ours: [] });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('leaves PostgreSQL and the guard alone when the daemon ends, and never gives up', () => {
    const unit = deployed('systemd/tenure@.service');
    expect(unit).toMatch(/^KillMode=process$/m);
    expect(unit).toMatch(/^StartLimitIntervalSec=0$/m);
    expect(unit).toMatch(/^Restart=on-failure$/m);
  });
});

describe('the image’s configuration', () => {
  it('is complete with what the entry point and the user add', () => {
    const { config, warnings } = loadConfig(join(root, 'deploy/containers/tenure.yml'), {
      TENURE_NAME: 'node1',
      TENURE_RESTAPI_CONNECT_ADDRESS: 'node1:8008',
      TENURE_POSTGRESQL_CONNECT_ADDRESS: 'node1:5432',
      PATRONI_ETCD3_HOSTS: 'etcd:2379',
      PATRONI_SUPERUSER_PASSWORD: 'one',
      PATRONI_REPLICATION_PASSWORD: 'two',
    });
    expect(warnings).toEqual([]);
    expect(config.postgresql.data_dir).toBe('/var/lib/postgresql/data');
    expect(config.tenure.state_dir).toBe('/var/lib/postgresql/data.tenure');
  });

  it.each([
    [{}, 'neither TENURE_SUPERUSER_PASSWORD nor TENURE_SUPERUSER_PASSWORD_FILE is set'],
    [
      { PATRONI_SUPERUSER_PASSWORD: 'one' },
      'neither TENURE_REPLICATION_PASSWORD nor TENURE_REPLICATION_PASSWORD_FILE is set',
    ],
  ])('is not enough without passwords: %j', (environment, message) => {
    const { status, stderr } = spawnSync('sh', [join(root, 'deploy/containers/entrypoint.sh')], {
      env: { PATH: process.env.PATH, ...environment },
    });
    expect(status).toBe(1);
    expect(stderr.toString()).toContain(message);
  });
});

describe('docker-compose.yml', () => {
  const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true });

  it('publishes on the loopback alone', () => {
    const ports = Object.values<{ ports?: string[] }>(compose.services).flatMap(
      (service) => service.ports ?? [],
    );
    expect(ports).toHaveLength(3);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('has no password in it, and takes each secret that the script makes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
    try {
      const script = join(root, 'deploy/containers/secrets.sh');
      execFileSync('sh', [script, folder]);
      const made = Object.keys(compose.secrets).map((name) =>
        readFileSync(join(folder, name), 'utf8'),
      );
      expect(new Set(made).size).toBe(4);
      expect(made.join()).toMatch(/^[0-9a-f,]{195}$/);
      execFileSync('sh', [script, folder]);
      expect(readFileSync(join(folder, 'superuser'), 'utf8')).toBe(made[0]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const given = Object.keys(compose.services.node1.environment);
    expect(given.filter((name) => /PASSWORD$/.test(name))).toEqual([]);
  });
});
