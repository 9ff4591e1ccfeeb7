/** What the local server is told: settings by role, methods, slots; out of file and `/config`. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  ConfigError,
  effectiveSettings,
  loadConfig,
  postgresOptions,
} from '../../src/config/index.ts';
import { file, MINIMAL } from './files.ts';

const alone = { allMembersRunTenure: true };

function effective(local: string, dynamic: Readonly<Record<string, unknown>> = {}) {
  const { config } = loadConfig(file(`${MINIMAL}${local}`), {});
  return effectiveSettings(config, dynamic, alone);
}

function faults(local: string): readonly string[] {
  try {
    loadConfig(file(`${MINIMAL}${local}`), {});
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
}

describe('settings by role', () => {
  it('lie over /config, the file over both, and not over what all members share', () => {
    const { server, warnings } = effective(
      `  parameters_replica: {work_mem: 1MB, max_connections: 5, synchronous_standby_names: x}
  pg_hba_primary: [local all all peer]
`,
      {
        postgresql: {
          parameters_replica: { work_mem: '9MB', hot_standby_feedback: true },
          pg_ident_replica: ['map a b'],
        },
      },
    );
    expect(server.byRole).toEqual({
      primary: { parameters: {}, pgHba: ['local all all peer'], pgIdent: null },
      replica: {
        parameters: { work_mem: '1MB', hot_standby_feedback: 'on' },
        pgHba: null,
        pgIdent: ['map a b'],
      },
    });
    expect(warnings).toEqual([
      'postgresql.parameters_replica.max_connections is ignored: it is the same in every role and comes from parameters',
      'postgresql.parameters_replica.synchronous_standby_names is ignored: it is the same in every role and comes from parameters',
    ]);
  });

  it('of a standby leader are said to be without effect', () => {
    const dynamic = { postgresql: { parameters_standby_leader: { work_mem: '1MB' } } };
    expect(effective('', dynamic).warnings).toEqual([
      '/config postgresql.parameters_standby_leader is not supported yet: standby clusters are not supported yet',
    ]);
  });
});

describe('methods', () => {
  const METHODS = `  create_replica_methods: [pgbackrest, basebackup]
  pgbackrest:
    command: /usr/bin/pgbackrest --stanza=demo restore
    keep_data: True
    no_params: True
    threads: 4
  basebackup: [{max-rate: 100M}, {pgdata: /x}]
  rewind: [{restore-target-wal: true}]
`;

  it('to make a replica come with their sections', () => {
    const { server, warnings } = effective(METHODS);
    expect(server.making).toEqual({
      replicaMethods: [
        {
          name: 'pgbackrest',
          command: '/usr/bin/pgbackrest --stanza=demo restore',
          options: { threads: '4' },
          noParameters: true,
          keepData: true,
        },
        'basebackup',
      ],
      basebackup: [{ 'max-rate': '100M' }],
      rewind: ['restore-target-wal'],
    });
    expect(warnings).toEqual(['postgresql.basebackup: pgdata is ignored: the daemon decides it']);
    expect(loadConfig(file(`${MINIMAL}${METHODS}`), {}).warnings).toEqual([]);
  });

  it('may come from /config', () => {
    const postgresql = parse(`p:\n${METHODS}`) as { p: Record<string, unknown> };
    const { server } = effective('', { postgresql: postgresql.p });
    expect(server.making?.replicaMethods).toHaveLength(2);
    expect(server.making?.replicaMethods[0]).toMatchObject({ name: 'pgbackrest', keepData: true });
  });

  it('that need no leader are not waited for in vain without a word', () => {
    const { warnings } = effective('  create_replica_methods: [wal_e]\n  wal_e: {no_leader: 1}\n');
    expect(warnings).toEqual([
      'postgresql.wal_e.no_leader is not supported yet: a replica is made when there is a leader',
    ]);
  });

  it('that make the cluster have to say how', () => {
    expect(faults('bootstrap: {method: restore}\n')).toEqual([
      'bootstrap.restore: found nothing, allowed: a map with a command',
    ]);
    expect(
      faults('bootstrap: {method: restore, restore: {no_params: 3, recovery_conf: x}}\n'),
    ).toEqual([
      'bootstrap.restore.command: found nothing, allowed: a command line',
      'bootstrap.restore.no_params: found 3, allowed: on, off, true, false, yes, no, 1 or 0',
      'bootstrap.restore.recovery_conf: found "x", allowed: a map of settings',
    ]);
    const { config } = loadConfig(
      file(
        `${MINIMAL}bootstrap: {method: restore, restore: {command: /r, target: 3, recovery_conf: {Restore_Command: cp, recovery_target_inclusive: off}}}\n`,
      ),
      {},
    );
    expect(postgresOptions(config).bootstrapMethod).toEqual({
      program: {
        name: 'restore',
        command: '/r',
        options: { target: '3' },
        noParameters: false,
        keepData: false,
      },
      recoveryConf: { restore_command: 'cp', recovery_target_inclusive: 'off' },
      keepRecoveryConf: false,
    });
  });
});

describe('permanent slots', () => {
  it('come from the first map that has any; logical ones are said to be missing', () => {
    const { settings, warnings } = effective('', {
      permanent_slots: {},
      slots: {
        a: { type: 'physical' },
        b: 1,
        c: { type: 'logical' },
        d: { cluster_type: 'standby' },
      },
      ignore_slots: [{ name: 'x', type: 'physical' }, { plugin: 'pgoutput' }],
    });
    expect(settings.permanentSlots).toEqual(['a', 'b']);
    expect(settings.ignoreSlots).toEqual([
      { name: 'x', type: 'physical', logicalOnly: false },
      { name: null, type: null, logicalOnly: true },
    ]);
    expect(warnings).toEqual([
      '/config slots.c is not supported yet: logical slots are neither made nor carried over to a new leader',
    ]);
  });

  it('have names that PostgreSQL takes', () => {
    expect(faults('bootstrap: {dcs: {slots: {My-Slot: 1}}}\n')).toEqual([
      'bootstrap.dcs.slots.My-Slot: found 1, allowed: a map from slot name ([a-z0-9_], at most 63) to {type: physical}',
    ]);
  });
});
