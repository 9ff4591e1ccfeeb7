import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { controlledSettings, postmasterArguments } from '../../src/postgres/commandline.ts';
import {
  type ConfFile,
  confText,
  followedBy,
  hasRecovery,
  isGenerated,
  ownDefaults,
} from '../../src/postgres/conffile.ts';
import {
  parseSettingLine,
  quoteSetting,
  readSetting,
  settingLine,
  unquoteSetting,
  withoutRecoverySettings,
} from '../../src/postgres/conftext.ts';

/** What the daemon that we replace writes for a replica of the cluster in the contract's fixtures. */
const REPLICA = `include 'postgresql.base.conf'

cluster_name = 'bench'
fsync = 'on'
hot_standby = 'on'
listen_addresses = '127.0.0.1'
max_connections = '60'
max_locks_per_transaction = '64'
max_prepared_transactions = '0'
max_replication_slots = '10'
max_wal_senders = '10'
max_worker_processes = '8'
port = '5602'
shared_buffers = '32MB'
track_commit_timestamp = 'off'
unix_socket_directories = '/srv/tenure'
wal_keep_size = '128MB'
wal_level = 'replica'
wal_log_hints = 'on'
hba_file = '/srv/tenure/n2/data/pg_hba.conf'
ident_file = '/srv/tenure/n2/data/pg_ident.conf'

# recovery.conf
primary_conninfo = 'dbname=postgres user=replicator passfile=/srv/tenure/n2.pgpass host=127.0.0.1 port=5601 sslmode=prefer application_name=n2 gssencmode=prefer channel_binding=prefer'
primary_slot_name = 'n2'
recovery_target = ''
recovery_target_lsn = ''
recovery_target_name = ''
recovery_target_time = ''
recovery_target_timeline = 'latest'
recovery_target_xid = ''
`;

const COMMAND_LINE =
  '-D /srv/tenure/n2/data --config-file=/srv/tenure/n2/data/postgresql.conf --listen_addresses=127.0.0.1 --port=5602 --cluster_name=bench --wal_level=replica --hot_standby=on --max_connections=60 --max_wal_senders=10 --max_prepared_transactions=0 --max_locks_per_transaction=64 --track_commit_timestamp=off --max_replication_slots=10 --max_worker_processes=8 --wal_log_hints=on';

const PARAMETERS = {
  max_connections: '60',
  wal_level: 'replica',
  hot_standby: 'on',
  max_wal_senders: '10',
  max_replication_slots: '10',
  wal_log_hints: 'on',
  shared_buffers: '32MB',
  fsync: 'on',
  unix_socket_directories: '/srv/tenure',
};
const IDENTITY = { listenAddresses: '127.0.0.1', port: 5602, scope: 'bench' };
const CONNINFO =
  'dbname=postgres user=replicator passfile=/srv/tenure/n2.pgpass host=127.0.0.1 port=5601 sslmode=prefer application_name=n2 gssencmode=prefer channel_binding=prefer';

function file(more: Partial<ConfFile> = {}): ConfFile {
  const parameters = more.parameters ?? PARAMETERS;
  return {
    include: 'postgresql.base.conf',
    defaults: ownDefaults(15, '6.1.0-18-amd64'),
    parameters,
    controlled: controlledSettings(parameters, IDENTITY, null),
    hbaFile: '/srv/tenure/n2/data/pg_hba.conf',
    identFile: '/srv/tenure/n2/data/pg_ident.conf',
    recovery: { primaryConninfo: CONNINFO, slotName: 'n2', more: {} },
    ...more,
  };
}

function withoutComments(text: string): string[] {
  return text.split('\n').filter((line) => !/^# (?!recovery)/.test(line));
}

describe('postgresql.conf', () => {
  test('has the lines of the fixture, in its order, and our two additions', () => {
    const lines = withoutComments(confText(file()));
    const ours = ["recovery_init_sync_method = 'syncfs'", "wal_retrieve_retry_interval = '100ms'"];
    expect(lines).toEqual(expect.arrayContaining(ours));
    expect(lines.filter((line) => !ours.includes(line))).toEqual(REPLICA.split('\n'));
  });

  test.each([
    [13, '6.1.0-18-amd64', false],
    [14, '6.1.0-18-amd64', true],
    [18, '5.8.0', true],
    [15, '5.7.19', false],
    [15, '4.18.0-553.el8', false],
    [15, 'unheard of', false],
  ])('PostgreSQL %i on Linux %s syncs its files at once: %s', (version, kernel, whole) => {
    const defaults = ownDefaults(version, kernel);
    expect('recovery_init_sync_method' in defaults).toBe(whole);
    const parameters = { recovery_init_sync_method: 'fsync' };
    const text = confText(file({ defaults, parameters }));
    expect(readSetting(text, 'recovery_init_sync_method')).toBe('fsync');
  });

  test('two comment lines of our own come first', () => {
    const header = confText(file()).split('\n').slice(0, 2);
    expect(header.every((line) => line.startsWith('# '))).toBe(true);
    expect(header.join()).toContain('Tenure');
    expect(isGenerated(confText(file()))).toBe(true);
    expect(isGenerated("port = '5432'\n")).toBe(false);
  });

  test('a primary has no recovery section', () => {
    const text = confText(file({ recovery: null }));
    expect(hasRecovery(text)).toBe(false);
    expect(text).not.toMatch(/primary_|recovery_target/);
    expect(hasRecovery(confText(file()))).toBe(true);
  });

  test('a retry interval of the user stays (F5)', () => {
    const parameters = { ...PARAMETERS, wal_retrieve_retry_interval: '400ms' };
    expect(readSetting(confText(file({ parameters })), 'wal_retrieve_retry_interval')).toBe(
      '400ms',
    );
  });

  test("recovery settings of the user's parameters do not get in, those of recovery_conf do", () => {
    const parameters = { ...PARAMETERS, primary_conninfo: 'host=evil', restore_command: 'false' };
    const text = confText(
      file({
        parameters,
        recovery: {
          primaryConninfo: null,
          slotName: null,
          more: {
            restore_command: 'cp /a/%f %p',
            recovery_target_timeline: '7',
            primary_slot_name: 'x',
          },
        },
      }),
    );
    expect(readSetting(text, 'primary_conninfo')).toBeNull();
    expect(readSetting(text, 'primary_slot_name')).toBeNull();
    expect(readSetting(text, 'restore_command')).toBe('cp /a/%f %p');
    expect(readSetting(text, 'recovery_target_timeline')).toBe('latest');
  });

  test('whom it follows can be read back', () => {
    expect(followedBy(confText(file()))).toEqual({ name: '', host: '127.0.0.1', port: 5601 });
    expect(followedBy(confText(file({ recovery: null })))).toBeNull();
  });
});

describe('values', () => {
  test('any text comes back from its quoted form, and stays in its line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (value) => {
        const quoted = quoteSetting(value);
        expect(quoted).not.toContain('\n');
        expect(unquoteSetting(quoted)).toBe(value);
      }),
    );
  });

  test('any text comes back from a line among others', () => {
    const text = fc.string().filter((value) => !value.includes('\r'));
    fc.assert(
      fc.property(text, (value) => {
        const lines = `a = 'x'\n${settingLine('b', value)}\nc = 'y'`;
        expect(readSetting(lines, 'b')).toBe(value);
        expect(readSetting(lines, 'c')).toBe('y');
      }),
    );
  });

  test('lines as people write them', () => {
    expect(parseSettingLine('port = 5432 # here')).toEqual({ name: 'port', value: '5432' });
    expect(parseSettingLine("Port 'a b'")).toEqual({ name: 'port', value: "'a b'" });
    expect(parseSettingLine('# port = 1')).toBeNull();
    expect(parseSettingLine("include 'x.conf'")).toBeNull();
    expect(parseSettingLine("a.b_c='d'")).toEqual({ name: 'a.b_c', value: "'d'" });
  });

  test('postgresql.auto.conf loses what recovery reads, and nothing else', () => {
    const text =
      "# keep\nwork_mem = '8MB'\nprimary_conninfo = 'host=a'\nRestore_Command = 'x'\nport = 1\n";
    expect(withoutRecoverySettings(text)).toBe("# keep\nwork_mem = '8MB'\nport = 1\n");
  });
});

describe('the command line', () => {
  const controlled = (
    parameters: Record<string, string>,
    required: Record<string, number> | null = null,
  ) => controlledSettings(parameters, IDENTITY, required);

  test('is that of the fixture', () => {
    const args = postmasterArguments(
      '/srv/tenure/n2/data',
      '/srv/tenure/n2/data/postgresql.conf',
      controlled(PARAMETERS),
    );
    expect(args.join(' ')).toBe(COMMAND_LINE);
  });

  test.each([
    ['max_connections', '24', '100'],
    ['max_connections', 'many', '100'],
    ['max_wal_senders', '2', '10'],
    ['max_locks_per_transaction', '31', '64'],
    ['max_replication_slots', '3', '10'],
    ['max_worker_processes', '1', '8'],
    ['max_prepared_transactions', '-1', '0'],
    ['hot_standby', 'off', 'on'],
    ['wal_level', 'minimal', 'replica'],
    ['wal_log_hints', 'perhaps', 'on'],
    ['wal_keep_size', '8MB', '128MB'],
    ['wal_keep_size', 'much', '128MB'],
  ])('%s = %s is replaced by %s, with a warning (C-6.4)', (name, asked, used) => {
    const { file: values, warnings } = controlled({ [name]: asked });
    expect(values[name]).toBe(used);
    expect(warnings).toEqual([expect.stringContaining(name)]);
  });

  test.each([
    ['max_connections', '25', '25'],
    ['wal_level', 'logical', 'logical'],
    ['wal_log_hints', 'false', 'off'],
    ['wal_keep_size', '1GB', '1GB'],
    ['wal_keep_size', '16MB', '16MB'],
  ])('%s = %s is taken', (name, asked, used) => {
    const { file: values, warnings } = controlled({ [name]: asked });
    expect([values[name], warnings]).toEqual([used, []]);
  });

  test('wal_keep_segments of old configurations becomes wal_keep_size', () => {
    expect(controlled({ wal_keep_segments: '8' }).file).toMatchObject({ wal_keep_size: '128MB' });
    expect(controlled({ wal_keep_segments: '100' }).file).toMatchObject({
      wal_keep_size: '1600MB',
    });
  });

  test("a standby has at least pg_control's values", () => {
    const required = { max_connections: 200, max_wal_senders: 5 };
    expect(controlled({ max_connections: '60' }, required).file).toMatchObject({
      max_connections: '200',
      max_wal_senders: '10',
    });
  });
});
