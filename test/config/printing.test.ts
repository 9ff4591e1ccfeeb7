/** `--validate-config --print`, the sample, and what is made of a running server (C-6.9). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configOf, loadConfig, printConfig, sampleConfig } from '../../src/config/index.ts';
import { file, folder, MINIMAL } from './files.ts';

describe('what applies', () => {
  it('is printed with the source of each value, secrets hidden', () => {
    const path = folder();
    writeFileSync(join(path, '1.yml'), MINIMAL);
    writeFileSync(
      join(path, '2.yml'),
      'name: n7\nbootstrap: {dcs: {ttl: 60}}\ntags: {zone: a}\nmine: 1\npostgresql: {before_stop: drain --key=rep-secret}\netcd3: {username: u, password: tell-nobody}\n',
    );
    const text = printConfig(path, {
      PATRONI_NAMESPACE: '/other',
      PATRONI_SUPERUSER_PASSWORD: 'tell-nobody',
      HOME: '/home/x',
    });
    expect(text).not.toMatch(/tell-nobody|rep-secret/);
    const lines = text.split('\n').map((line) => line.trim());
    for (const line of [
      `scope: "bench" # ${path}/1.yml`,
      `name: "n7" # ${path}/2.yml`,
      'namespace: "/other" # PATRONI_NAMESPACE',
      'password: "***" # PATRONI_SUPERUSER_PASSWORD',
      `password: "***" # ${path}/1.yml`,
      `ttl: 60 # ${path}/2.yml`,
      'loop_wait: 10 # default',
      `zone: "a" # ${path}/2.yml`,
      `mine: 1 # ${path}/2.yml`,
      'pgpass: "/home/x/pgpass" # default',
      'database: "postgres" # default',
      'pg_ctl_timeout: 60 # default',
      'connect_address: "127.0.0.1:5432" # default',
      'state_dir: "/srv/n1/data.tenure" # default',
      `before_stop: "drain --key=***" # ${path}/2.yml`,
    ])
      expect(lines).toContain(line);
  });

  it('is a configuration that says the same', () => {
    const first = printConfig(file(MINIMAL), {});
    const again = file(first);
    const plain = (text: string): unknown => parse(text);
    expect(plain(printConfig(again, {}))).toEqual(plain(first));
  });
});

describe('a configuration that is made', () => {
  it('for this machine is valid, without a warning', () => {
    expect(loadConfig(file(sampleConfig()), {}).warnings).toEqual([]);
  });

  it('of a server has its settings where they belong', () => {
    const text = configOf({
      version: '15.1',
      dataDir: '/data',
      configDir: '/etc/pg',
      binDir: '/usr/bin',
      listenAddresses: '*',
      port: 5433,
      clusterName: 'main',
      user: 'boss',
      settings: {
        max_connections: '200',
        work_mem: '8MB',
        primary_conninfo: 'password=x',
        hba_file: '/x',
      },
      hba: ['local all all peer'],
      ident: [],
    });
    expect(text).not.toContain('password=x');
    const { config, warnings } = loadConfig(file(text), {});
    expect(warnings).toEqual([]);
    expect(config).toMatchObject({
      scope: 'main',
      bootstrapDynamic: { postgresql: { parameters: { max_connections: '200' } } },
      postgresql: {
        listen: { hosts: ['*'], port: 5433 },
        data_dir: '/data',
        config_dir: '/etc/pg',
        bin_dir: '/usr/bin',
        authentication: { superuser: { username: 'boss' } },
        pg_hba: ['local all all peer'],
        parameters: { work_mem: '8MB' },
      },
    });
  });
});
