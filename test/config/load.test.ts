import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import {
  apiUrl,
  type Config,
  ConfigError,
  initialDynamicConfiguration,
  loadConfig,
  postgresOptions,
  restOptions,
  secretsOf,
} from '../../src/config/index.ts';
import { storeAddress } from '../../src/config/parts.ts';
import { file, folder, MINIMAL } from './files.ts';

const load = (text: string, environment: Record<string, string> = {}) =>
  loadConfig(file(text), environment);

/** The minimal configuration with one path set. */
function withPath(path: string, value: unknown): string {
  const document = parseDocument(MINIMAL);
  document.setIn(path.split('.'), value);
  return String(document);
}

function faults(text: string, environment: Record<string, string> = {}): readonly string[] {
  try {
    load(text, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
}

describe('a configuration', () => {
  it('needs little, and the rest has defaults', () => {
    const { config, warnings } = load(MINIMAL);
    expect(warnings).toEqual([]);
    expect(config).toMatchObject({
      scope: 'bench',
      namespace: '/service',
      restapi: { connect_address: { host: '127.0.0.1', port: 8008 } },
      postgresql: {
        connect_address: { host: '127.0.0.1', port: 5432 },
        config_dir: '/srv/n1/data',
        database: 'postgres',
        pg_ctl_timeout: 60_000,
        authentication: { superuser: { username: 'postgres' } },
      },
      tenure: { state_dir: '/srv/n1/data.tenure', guard: 'required' },
      log: { type: 'plain', level: 'INFO' },
    });
    expect(config.bootstrap).toBeUndefined();
  });

  it('has a guard unless it is told to do without', () => {
    expect(load(withPath('tenure.guard', false)).config.tenure.guard).toBe('off');
    expect(load(MINIMAL, { TENURE_GUARD: 'off' }).config.tenure.guard).toBe('off');
    expect(faults(withPath('tenure.guard', 'maybe'))[0]).toContain('allowed: required or off');
  });

  it('has relative folders resolved where the daemon was started', () => {
    const { config } = load(withPath('postgresql.data_dir', 'data/n1'));
    expect(config.postgresql.data_dir).toBe(resolve('data/n1'));
    expect(config.tenure.state_dir).toBe(resolve('data/n1.tenure'));
  });

  it('is read from all files of a folder in name order', () => {
    const path = folder();
    writeFileSync(join(path, '10-base.yml'), MINIMAL);
    writeFileSync(
      join(path, '20-over.yaml'),
      'name: n7\npostgresql: {database: other, authentication: {superuser: {username: boss}}}\n',
    );
    writeFileSync(join(path, '15-ignored.txt'), 'name: no');
    const { config } = loadConfig(path, {});
    expect(config.name).toBe('n7');
    expect(config.postgresql).toMatchObject({
      database: 'other',
      data_dir: '/srv/n1/data',
      authentication: { superuser: { username: 'boss' }, replication: { username: 'replicator' } },
    });
  });

  it('is read from PATRONI_CONFIGURATION, over which no variable lies', () => {
    const { config } = loadConfig(undefined, {
      PATRONI_CONFIGURATION: MINIMAL,
      PATRONI_NAME: 'other',
    });
    expect(config.name).toBe('n1');
  });

  it('takes a key without a value as not set', () => {
    const { config, warnings } = load(`${MINIMAL}\nwatchdog:\ntags:\nlog:\n  level:\n`);
    expect(config.log.level).toBe('INFO');
    expect(warnings).toEqual([]);
  });
});

describe('what is wrong', () => {
  it('is listed all at once, each with path, what was found and what is allowed', () => {
    const text = `
name: a/b
restapi: 3
etcd3: {hosts: [], password: tell-nobody}
bootstrap: {dcs: {ttl: abc}}
postgresql:
  listen: 127.0.0.1:999999
  pg_hba: host all
  parameters: {work_mem: [1]}
  authentication: {replication: {username: r, password: [tell-nobody]}}
tags: {nofailover: maybe}
`;
    const lines = faults(text);
    expect(lines).toEqual(
      expect.arrayContaining([
        'scope: found nothing, allowed: text (quote on, off, yes, no, true and false)',
        'name: found "a/b", allowed: text without / and blanks',
        'restapi: found 3, allowed: a map',
        'etcd3.hosts: found a list, allowed: host:port, a comma-separated text or a list of them',
        'etcd3.username: found nothing, allowed: text, because etcd3.password is set',
        'bootstrap.dcs.ttl: found "abc", allowed: seconds, or a number with ms, s, min, h or d, at least 1',
        'postgresql.listen: found "127.0.0.1:999999", allowed: host:port or host,host:port (port 5432 if none is given)',
        'postgresql.data_dir: found nothing, allowed: a folder',
        'postgresql.pg_hba: found "host all", allowed: a list of lines',
        'postgresql.parameters.work_mem: found a list, allowed: text, a number or on/off',
        'postgresql.authentication.replication.password: found a list, allowed: text (quote on, off, yes, no, true and false)',
        'tags.nofailover: found "maybe", allowed: on, off, true, false, yes, no, 1 or 0',
      ]),
    );
    expect(lines).toHaveLength(12);
    expect(lines.join()).not.toContain('tell-nobody');
  });

  it('never shows a secret, whatever is wrong with it', () => {
    expect(faults(withPath('postgresql.authentication.superuser.password', true))).toEqual([
      'postgresql.authentication.superuser.password: found a boolean (not shown), allowed: text (quote on, off, yes, no, true and false)',
    ]);
  });

  it.each([
    ['bootstrap.dcs.standby_cluster', { host: 'other' }],
    ['etcd3.srv', 'example.org'],
    ['etcd3.proxy', 'http://proxy:1'],
    ['citus.group', 1],
    ['consul.host', 'localhost'],
    ['etcd.host', 'localhost'],
    ['tenure.state_dir', '/srv/n1/data/state'],
    ['restapi.listen', '10.0.0.1,10.0.0.2:8008'],
  ])('includes %s: %j, which could cost data or split the cluster', (path, value) => {
    const lines = faults(withPath(path, value));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(
      path.startsWith('citus') || /^(consul|etcd)\./.test(path) ? path.split('.')[0] : path,
    );
  });

  it('is refused in the form of a variable too', () => {
    expect(faults(MINIMAL, { PATRONI_CONSUL_HOST: 'localhost:8500' })).toHaveLength(1);
  });

  it.each([
    ['bootstrap.dcs.synchronous_mode', true],
    ['bootstrap.dcs.synchronous_mode', false],
    ['bootstrap.dcs.synchronous_mode', 'off'],
    ['etcd3.use_proxies', false],
    ['watchdog.mode', 'off'],
    ['watchdog.mode', 'required'],
    ['watchdog.safety_margin', -1],
    ['postgresql.callbacks', {}],
    ['bootstrap.dcs.failsafe_mode', false],
  ])('does not include %s: %j, which asks for nothing', (path, value) => {
    expect(load(withPath(path, value)).warnings).toEqual([]);
  });

  it('names file, line and column of broken YAML', () => {
    const path = file('scope: a\nname: [b\netcd3: {}\n', 'broken.yml');
    expect(() => loadConfig(path, {})).toThrow(/broken\.yml:\n {2}line 3, column 1: /);
  });

  it.each([
    ['nothing at all', undefined, 'no configuration file is given'],
    ['a file that is not there', '/nowhere/node.yml', 'no such file or folder'],
  ])('says so about %s', (_what, path, expected) => {
    expect(() => loadConfig(path, {})).toThrow(expected);
  });

  it('is an address that nobody could reach', () => {
    expect(faults(withPath('restapi.listen', '0.0.0.0:8008'))).toEqual([
      'restapi.connect_address: found nothing, allowed: host:port, because listen does not name one reachable host',
    ]);
    expect(faults(withPath('postgresql.connect_address', '0.0.0.0:5432'))).toHaveLength(1);
  });
});

describe('what is not acted on', () => {
  it.each([
    [
      'postgresql.use_slots',
      true,
      'postgresql.use_slots is not supported yet: it is a setting of the whole cluster',
    ],
    [
      'postgresql.pg_hbaa',
      ['x'],
      'postgresql.pg_hbaa is not known: kept, without effect (did you mean pg_hba?)',
    ],
    ['bogus', 1, 'bogus is not known: kept, without effect'],
    [
      'bootstrap.initdb',
      [{ pwfile: 'x' }],
      'bootstrap.initdb: pwfile is ignored: the daemon decides it',
    ],
  ])('%s gives one warning', (path, value, expected) => {
    const { warnings } = load(withPath(path, value));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(expected);
  });

  it('is kept', () => {
    const { config } = load(withPath('bogus', { deep: [1] }));
    expect((config as Config & { bogus: unknown }).bogus).toEqual({ deep: [1] });
  });

  it('is not said of tags, which may have any name', () => {
    const { config, warnings } = load(withPath('tags.datacenter', 'east'));
    expect(warnings).toEqual([]);
    expect(config.tags.datacenter).toBe('east');
  });
});

describe('what each part is told', () => {
  it('of etcd: every way to name its members', () => {
    const urls = (section: Record<string, unknown>): readonly string[] =>
      storeAddress(load(withPath('etcd3', section)).config).urls;
    expect(urls({ hosts: 'a:1, b' })).toEqual(['http://a:1', 'http://b:2379']);
    expect(urls({ hosts: ['a:1', '[::1]:2'] })).toEqual(['http://a:1', 'http://[::1]:2']);
    expect(urls({ host: 'a', port: 5, protocol: 'https' })).toEqual(['https://a:5']);
    expect(urls({ url: 'https://a:7' })).toEqual(['https://a:7']);
  });

  it('of PostgreSQL', () => {
    const { config } =
      load(`${MINIMAL.replace('5432', '"127.0.0.1,10.0.0.1:6000"').replace('127.0.0.1:"', '"')}
bootstrap:
  initdb: [{encoding: UTF8}, data-checksums]
  post_init: /bin/true
`);
    expect(postgresOptions(config)).toMatchObject({
      listen: '127.0.0.1,10.0.0.1:6000',
      superuser: { username: 'postgres' },
      replication: { username: 'replicator', password: 'rep-secret' },
      initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
      postBootstrap: '/bin/true',
    });
    expect(postgresOptions(config)).not.toHaveProperty('rewind');
  });

  it('of the REST API', () => {
    const { config } = load(withPath('restapi', { listen: '*:8008', connect_address: 'db1:8008' }));
    expect(restOptions(config)).toEqual({ listen: { host: '', port: 8008 } });
    expect(apiUrl(config)).toBe('http://db1:8008/patroni');
  });

  it('as secrets', () => {
    const text = MINIMAL.replace(
      'hosts: 127.0.0.1:2379',
      'hosts: a\n  username: u\n  password: etcd-secret',
    );
    expect(secretsOf(load(text).config)).toEqual(['etcd-secret', 'rep-secret']);
  });
});

describe('the dynamic configuration of a new cluster', () => {
  it('is what Patroni writes for the same file', () => {
    const fixtures = join(import.meta.dirname, 'fixtures');
    const { config } = loadConfig(join(fixtures, 'node.yml'), {});
    const expected: unknown = JSON.parse(readFileSync(join(fixtures, 'dynamic.json'), 'utf8'));
    expect(initialDynamicConfiguration(config)).toEqual(expected);
    expect(JSON.stringify(initialDynamicConfiguration(config))).toBe(JSON.stringify(expected));
  });

  it('begins with four defaults and keeps everything else as written', () => {
    const { config } = load(
      withPath('bootstrap.dcs', { ttl: '1min', bogus: { a: [1] }, gone: null }),
    );
    expect(initialDynamicConfiguration(config)).toEqual({
      ttl: '1min',
      loop_wait: 10,
      retry_timeout: 10,
      maximum_lag_on_failover: 1_048_576,
      bogus: { a: [1] },
    });
  });
});
