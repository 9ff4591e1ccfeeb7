import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectiveSettings, loadConfig } from '../../src/config/index.ts';
import { file, MINIMAL } from './files.ts';

const configOf = (more = '') =>
  loadConfig(undefined, { PATRONI_CONFIGURATION: `${MINIMAL}${more}` }).config;
const plain = configOf();

const effective = (
  dynamic: Record<string, unknown> | null,
  config = plain,
  allMembersRunTenure = true,
) => effectiveSettings(config, dynamic, { allMembersRunTenure });

describe('what applies', () => {
  it('is the defaults where nobody says otherwise', () => {
    const { settings, server, warnings } = effective({});
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({
      ttlMs: 30_000,
      loopWaitMs: 10_000,
      retryTimeoutMs: 10_000,
      maximumLagOnFailover: 1_048_576,
      primaryStartTimeoutMs: 300_000,
      memberSlotsTtlMs: 1_800_000,
      permanentSlots: [],
      ignoreSlots: [],
      useSlots: true,
      usePgRewind: false,
      paused: false,
      synchronousMode: 'off',
      synchronousModeStrict: false,
      synchronousNodeCount: 1,
      maximumLagOnSyncnode: -1,
      userSynchronousStandbyNames: '',
      standbyCluster: false,
      mayBootstrap: false,
    });
    expect(server).toMatchObject({
      pgHba: null,
      pgIdent: null,
      recoveryConf: {},
      parameters: {},
      synchronous: false,
    });
  });

  it('is /config over the defaults, with units', () => {
    const { settings, warnings } = effective({
      ttl: '1min',
      loop_wait: 5,
      retry_timeout: '7s',
      maximum_lag_on_failover: '2MB',
      primary_start_timeout: 0,
      master_start_timeout: 9,
      member_slots_ttl: '1h',
      pause: true,
      check_timeline: 'yes',
      bogus: { kept: true },
      postgresql: { use_slots: false, use_pg_rewind: true },
    });
    expect(warnings).toEqual(['/config bogus is not known: kept, without effect']);
    expect(settings).toMatchObject({
      ttlMs: 60_000,
      loopWaitMs: 5000,
      retryTimeoutMs: 7000,
      maximumLagOnFailover: 2 * 1024 ** 2,
      primaryStartTimeoutMs: 0,
      memberSlotsTtlMs: 3_600_000,
      paused: true,
      checkTimeline: true,
      useSlots: false,
      usePgRewind: true,
    });
  });

  it('knows the old name of primary_start_timeout', () => {
    expect(effective({ master_start_timeout: 9 }).settings.primaryStartTimeoutMs).toBe(9000);
  });

  it('is the local file over /config for PostgreSQL', () => {
    const config = loadConfig(
      file(
        MINIMAL.replace(
          '  data_dir',
          '  use_pg_rewind: off\n  pg_hba: [local all all trust]\n  parameters: {work_mem: 8MB, Log_Statement: all}\n  data_dir',
        ),
      ),
      {},
    ).config;
    const { settings, server } = effective(
      {
        postgresql: {
          use_pg_rewind: true,
          pg_hba: ['other'],
          pg_ident: ['a b c'],
          parameters: { work_mem: '4MB', log_statement: 'none', fsync: true },
        },
      },
      config,
    );
    expect(settings.usePgRewind).toBe(false);
    expect(server.pgHba).toEqual(['local all all trust']);
    expect(server.pgIdent).toEqual(['a b c']);
    expect(server.parameters).toMatchObject({ work_mem: '8MB', log_statement: 'all', fsync: 'on' });
  });

  it('is not the local file for times and for what replication depends on', () => {
    const config = loadConfig(
      file(
        `${MINIMAL.replace('  data_dir', '  parameters: {max_connections: 50, port: 1, hot_standby: off}\n  data_dir')}\nttl: 99\n`,
      ),
      {},
    ).config;
    const { settings, server, warnings } = effective(
      { postgresql: { parameters: { max_connections: 60 } } },
      config,
    );
    expect(settings.ttlMs).toBe(30_000);
    expect(server.parameters).toEqual({ max_connections: '60' });
    expect(warnings).toHaveLength(3);
  });

  it('is never an address or a password out of /config', () => {
    const { warnings } = effective({
      postgresql: {
        listen: 'x',
        authentication: { superuser: { password: 'geheim' } },
        pg_ctl_timeout: 3,
      },
    });
    expect(warnings).toEqual([
      '/config postgresql.listen is ignored: it belongs to one member',
      '/config postgresql.authentication is ignored: it belongs to one member',
      '/config postgresql.pg_ctl_timeout is without effect: set it in the file of each member',
    ]);
  });

  it('is bootstrap.dcs until /config is known', () => {
    const config = configOf('\nbootstrap: {dcs: {ttl: 40}}\n');
    expect(effective(null, config).settings).toMatchObject({ ttlMs: 40_000, mayBootstrap: true });
    expect(effective({}, config).settings.ttlMs).toBe(30_000);
  });

  it('leaves recovery settings of the daemon alone', () => {
    const { server, warnings } = effective({
      postgresql: {
        recovery_conf: {
          restore_command: 'cp',
          primary_conninfo: 'x',
          recovery_target_time: 'now',
        },
      },
    });
    expect(server.recoveryConf).toEqual({ restore_command: 'cp' });
    expect(warnings).toHaveLength(2);
  });
});

describe('times', () => {
  it.each([
    // wanted [ttl, loop_wait, retry_timeout], used, all members run Tenure
    [[30, 10, 10], [30, 10, 10], true],
    [[30, 20, 10], [30, 10, 10], true],
    [[20, 10, 10], [20, 1, 9], true],
    [[5, 1, 2], [5, 1, 2], true],
    [[1, 1, 1], [3, 1, 1], true],
    [[5, 1, 2], [20, 1, 3], false],
    [[20, 10, 9], [20, 2, 9], false],
  ])('%j become %j, all members run Tenure: %s', (wanted, used, allMembersRunTenure) => {
    const [ttl, loop_wait, retry_timeout] = wanted;
    const { settings, warnings } = effective(
      { ttl, loop_wait, retry_timeout },
      plain,
      allMembersRunTenure,
    );
    expect([settings.ttlMs, settings.loopWaitMs, settings.retryTimeoutMs]).toEqual(
      used.map((seconds) => seconds * 1000),
    );
    expect(warnings.length > 0).toBe(JSON.stringify(wanted) !== JSON.stringify(used));
  });
});

describe('garbage in /config', () => {
  it('costs the key that it stands in, with a warning', () => {
    const { settings, server, warnings } = effective({
      ttl: 'soon',
      loop_wait: [5],
      maximum_lag_on_failover: -1,
      pause: 'perhaps',
      postgresql: { use_slots: {}, parameters: { work_mem: [1] }, pg_hba: 'x' },
    });
    expect(settings).toMatchObject({
      ttlMs: 30_000,
      loopWaitMs: 10_000,
      maximumLagOnFailover: 1_048_576,
      paused: false,
      useSlots: true,
    });
    expect(server.parameters).toEqual({});
    expect(server.pgHba).toBeNull();
    expect(warnings).toHaveLength(7);
    expect(warnings).toContain(
      '/config ttl: found "soon", allowed: seconds, or a number with ms, s, min, h or d, at least 1: the default is used',
    );
  });

  it('never throws and never gives times that cannot be kept', () => {
    const keys = [
      'ttl',
      'loop_wait',
      'retry_timeout',
      'postgresql',
      'pause',
      'synchronous_mode',
      'standby_cluster',
      'slots',
    ];
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()),
        fc.boolean(),
        (dynamic, tenure) => {
          const { settings } = effective(dynamic, plain, tenure);
          expect(settings.loopWaitMs + 2 * settings.retryTimeoutMs).toBeLessThanOrEqual(
            settings.ttlMs,
          );
          expect(settings.ttlMs).toBeGreaterThanOrEqual(tenure ? 3000 : 20_000);
        },
      ),
    );
  });
});

describe('failsafe mode', () => {
  it.each([
    [{}, false],
    [{ failsafe_mode: true }, true],
    [{ failsafe_mode: 'on' }, true],
    [{ failsafe_mode: 'off' }, false],
  ])('%j', (dynamic, failsafeMode) => {
    const { settings, warnings } = effective(dynamic);
    expect(settings).toMatchObject({ failsafeMode, failsafeTimeoutMs: 2000 });
    expect(warnings).toEqual([]);
  });
});

describe('synchronous replication', () => {
  it.each([
    [{ synchronous_mode: true }, 'on', 0],
    [{ synchronous_mode: 'on' }, 'on', 0],
    [{ synchronous_mode: 'quorum' }, 'quorum', 0],
    // Not understood: taken as asked for, because to ignore it could cost commits.
    [{ synchronous_mode: 'garbage' }, 'on', 1],
    [{ synchronous_mode: { on: true } }, 'on', 1],
    [{ synchronous_mode: 'off' }, 'off', 0],
    [{ synchronous_mode: null }, 'off', 0],
    // C-5.15: a standby cluster ignores it.
    [{ synchronous_mode: true, standby_cluster: { host: 'x' } }, 'off', 1],
  ])('%j is %s', (dynamic, synchronousMode, count) => {
    const { settings, server, warnings } = effective(dynamic);
    expect(settings).toMatchObject({ synchronousMode });
    expect(server.synchronous).toBe(synchronousMode !== 'off');
    expect(warnings).toHaveLength(count);
  });

  it('has its own numbers, and the user their own names', () => {
    const { settings } = effective({
      synchronous_mode: true,
      synchronous_mode_strict: true,
      synchronous_node_count: 2,
      maximum_lag_on_syncnode: '1MB',
      postgresql: { parameters: { synchronous_standby_names: 'backup' } },
    });
    expect(settings).toMatchObject({
      synchronousModeStrict: true,
      synchronousNodeCount: 2,
      maximumLagOnSyncnode: 1_048_576,
      userSynchronousStandbyNames: 'backup',
    });
  });
});

describe('what /config asks for in vain', () => {
  it.each([
    [{ standby_cluster: { host: 'x' } }, true],
    [{ standby_cluster: {} }, false],
  ])('%j is told to the rules', (dynamic, standbyCluster) => {
    const { settings, warnings } = effective(dynamic);
    expect(settings).toMatchObject({ standbyCluster });
    expect(warnings.length > 0).toBe(standbyCluster);
  });

  it('is said', () => {
    expect(effective({ slots: { a: { type: 'logical' } } }).warnings).toEqual([
      '/config slots.a is not supported yet: logical slots are neither made nor carried over to a new leader',
    ]);
  });
});

describe('tags', () => {
  const tagsOf = (tags: string) => {
    const { config, warnings } = loadConfig(file(`${MINIMAL}\ntags: ${tags}\n`), {});
    return { tags: effective({}, config).settings.tags, warnings };
  };

  it.each([
    ['{}', { nofailover: false, failoverPriority: 1, raw: {} }],
    ['{nofailover: yes}', { nofailover: true, failoverPriority: 0, raw: { nofailover: true } }],
    ['{sync_priority: 0}', { nosync: true, syncPriority: 0, raw: { sync_priority: 0 } }],
    ['{sync_priority: 3}', { nosync: false, syncPriority: 3, raw: { sync_priority: 3 } }],
    [
      '{failover_priority: 0}',
      { nofailover: true, failoverPriority: 0, raw: { failover_priority: 0 } },
    ],
    [
      '{failover_priority: 5, noloadbalance: off}',
      { nofailover: false, failoverPriority: 5, raw: { failover_priority: 5 } },
    ],
    [
      '{nofailover: off, failover_priority: 2}',
      { failoverPriority: 2, raw: { nofailover: false, failover_priority: 2 } },
    ],
    [
      '{clonefrom: on, replicatefrom: n2, zone: [a]}',
      {
        clonefrom: true,
        replicatefrom: 'n2',
        raw: { clonefrom: true, replicatefrom: 'n2', zone: ['a'] },
      },
    ],
  ])('%s', (written, expected) => {
    const { tags, warnings } = tagsOf(written);
    expect(tags).toMatchObject(expected);
    expect(tags.raw).toEqual(expected.raw);
    expect(warnings).toEqual([]);
  });

  it.each([
    [
      '{nofailover: on, failover_priority: 1}',
      { nofailover: true, failoverPriority: 0 },
      'Conflicting configuration between nofailover: True and failover_priority: 1. Defaulting to nofailover: True',
    ],
    [
      '{nofailover: off, failover_priority: 0}',
      { nofailover: false, failoverPriority: 1 },
      'Conflicting configuration between nofailover: False and failover_priority: 0. Defaulting to nofailover: False',
    ],
    [
      '{nosync: on, sync_priority: 2}',
      { nosync: true, syncPriority: 0 },
      'Conflicting configuration between nosync: True and sync_priority: 2. Defaulting to nosync: True',
    ],
  ])('%s contradict each other', (written, expected, warning) => {
    const { tags, warnings } = tagsOf(written);
    expect(tags).toMatchObject(expected);
    expect(warnings).toEqual([warning]);
  });
});

describe('primary_stop_timeout', () => {
  it.each([
    [{}, 0],
    [{ primary_stop_timeout: 5 }, 5000],
    [{ master_stop_timeout: '1min' }, 60_000],
    [{ master_stop_timeout: 9, primary_stop_timeout: 5 }, 5000],
  ])('of %j is %i ms', (dynamic, primaryStopTimeoutMs) => {
    expect(effective(dynamic).settings).toMatchObject({ primaryStopTimeoutMs });
  });
});
