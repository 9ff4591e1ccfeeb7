import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { file, MINIMAL } from './files.ts';

const load = (environment: Record<string, string>) => loadConfig(file(MINIMAL), environment);

/** Everything that is needed, without a file. */
const ALONE = {
  PATRONI_SCOPE: 'bench',
  PATRONI_NAME: 'n1',
  PATRONI_RESTAPI_LISTEN: '127.0.0.1:8008',
  PATRONI_ETCD3_HOSTS: 'a:1,b:2',
  PATRONI_POSTGRESQL_LISTEN: '127.0.0.1:5432',
  PATRONI_POSTGRESQL_DATA_DIR: '/srv/data',
  PATRONI_REPLICATION_USERNAME: 'replicator',
};

describe('variables', () => {
  it('lie over the file', () => {
    const { config, warnings } = load({
      PATRONI_NAME: 'n9',
      PATRONI_NAMESPACE: '/other/',
      PATRONI_LOG_LEVEL: 'debug',
      PATRONI_LOG_STATIC_FIELDS: '{app: tenure}',
      PATRONI_POSTGRESQL_BIN_DIR: '/opt/bin',
      PATRONI_POSTGRESQL_BIN_PG_CTL: 'ctl',
      PATRONI_SUPERUSER_PASSWORD: '0123',
      PATRONI_ETCD3_HOSTS: 'a:1,b',
      TENURE_STATE_DIR: '/srv/state',
    });
    expect(warnings).toEqual([]);
    expect(config).toMatchObject({
      name: 'n9',
      namespace: '/other/',
      log: { level: 'DEBUG', static_fields: { app: 'tenure' } },
      etcd3: { hosts: ['a:1', 'b'] },
      tenure: { state_dir: '/srv/state' },
      postgresql: {
        bin_dir: '/opt/bin',
        bin_name: { pg_ctl: 'ctl' },
        authentication: {
          superuser: { password: '0123' },
          replication: { username: 'replicator' },
        },
      },
    });
  });

  it('are enough without a file', () => {
    expect(loadConfig(undefined, ALONE).config).toMatchObject({
      scope: 'bench',
      etcd3: { hosts: ['a:1', 'b:2'] },
    });
  });

  it('stand in for a file that is not there, which is said', () => {
    expect(loadConfig('/nowhere/node.yml', ALONE).warnings).toEqual([
      '/nowhere/node.yml does not exist: the environment is used instead',
    ]);
  });

  it('of ours win, with a warning', () => {
    const { config, warnings } = load({ PATRONI_NAME: 'theirs', TENURE_NAME: 'ours' });
    expect(config.name).toBe('ours');
    expect(warnings).toEqual(['TENURE_NAME and PATRONI_NAME are both set: TENURE_NAME is used']);
  });

  it('have names from long ago', () => {
    expect(load({ PATRONI_LOGLEVEL: 'ERROR' }).config.log.level).toBe('ERROR');
  });

  it('may name a file that holds the value', () => {
    const secret = file('geheim\n');
    const { config, warnings } = load({
      TENURE_SUPERUSER_PASSWORD_FILE: secret,
      PATRONI_REPLICATION_PASSWORD_FILE: file('two\nlines'),
      PATRONI_REPLICATION_PASSWORD: '',
    });
    expect(warnings).toEqual([]);
    expect(config.postgresql.authentication).toMatchObject({
      superuser: { password: 'geheim' },
      replication: { password: 'two\nlines' },
    });
  });

  it('that name a file which cannot be used are all refused', () => {
    const wrong = {
      TENURE_SUPERUSER_PASSWORD_FILE: '/nowhere/secret',
      PATRONI_ETCD3_PASSWORD_FILE: file('\n'),
      TENURE_NAME: 'n1',
      TENURE_NAME_FILE: file('n2'),
    };
    const message = (() => {
      try {
        load(wrong);
        return 'accepted';
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message).toContain(
      'TENURE_SUPERUSER_PASSWORD_FILE: /nowhere/secret cannot be read (ENOENT), allowed: a file with the value',
    );
    expect(message).toMatch(/PATRONI_ETCD3_PASSWORD_FILE: \S+ is empty/);
    expect(message).toContain('TENURE_NAME and TENURE_NAME_FILE are both set, allowed: one');
  });

  it('that nobody knows are named, without their value', () => {
    expect(load({ PATRONI_BOGUS: 'geheim', TENURE_NODE: '/usr/bin/node' }).warnings).toEqual([
      'PATRONI_BOGUS is not known: ignored',
    ]);
  });

  it('of what is not supported give the same warning as the file', () => {
    expect(load({ PATRONI_LOG_LOGGERS: '{a: INFO}' }).warnings[0]).toContain(
      'log.loggers is not supported yet',
    );
  });

  it('may hold the credentials of the REST API', () => {
    const { config, warnings } = load({
      PATRONI_RESTAPI_USERNAME: 'u',
      PATRONI_RESTAPI_PASSWORD: '0',
    });
    expect(config.restapi.authentication).toEqual({ username: 'u', password: '0' });
    expect(warnings).toEqual([]);
  });
});
