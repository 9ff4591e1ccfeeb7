import { describe, expect, test } from 'vitest';
import type { Answer } from '../../src/api/answer.ts';
import { ENDPOINTS } from '../../src/api/routes.ts';
import type { Snapshot } from '../../src/status.ts';
import { TENURE_VERSION } from '../../src/version.ts';
import { fixture } from './fixtures.ts';
import {
  member,
  NOW,
  postgres,
  primary,
  primarySql,
  replica,
  replicaSql,
  settings,
  tags,
  view,
} from './snapshots.ts';

type Json = Record<string, unknown>;

function get(endpoint: string, snapshot: Snapshot): Answer {
  const question = { path: `/${endpoint}`, query: new URLSearchParams() };
  return ENDPOINTS[endpoint]?.(snapshot, question) ?? { status: 404, body: null };
}

function body(endpoint: string, snapshot: Snapshot): Json {
  return JSON.parse(JSON.stringify(get(endpoint, snapshot).body?.())) as Json;
}

/** As text: the order of keys counts. */
function text(endpoint: string, snapshot: Snapshot): string {
  const { tenure: _ours, ...theirs } = body(endpoint, snapshot);
  return JSON.stringify(theirs);
}

const compact = (json: string): string => JSON.stringify(JSON.parse(json));

describe('GET /patroni (C-3.3)', () => {
  test('a primary and a replica as Patroni shows them, key by key', () => {
    expect(text('patroni', primary())).toBe(compact(fixture('primary-patroni.txt')));
    expect(text('patroni', replica())).toBe(compact(fixture('replica-patroni.txt')));
  });

  test('optional fields, in their order', () => {
    const shown = body(
      'patroni',
      replica({
        name: 'n3',
        paused: true,
        pendingRestart: [{ name: 'max_connections', oldValue: '100', newValue: '120' }],
        cluster: view({ leader: null }),
        settings: settings({ tags: tags({ clonefrom: true }) }),
      }),
    );
    expect(Object.keys(shown)).toEqual([
      'state',
      'postmaster_start_time',
      'role',
      'server_version',
      'xlog',
      'sync_standby',
      'timeline',
      'replication_state',
      'pause',
      'cluster_unlocked',
      'dcs_last_seen',
      'tags',
      'database_system_identifier',
      'pending_restart',
      'pending_restart_reason',
      'patroni',
      'tenure',
    ]);
    expect(shown).toMatchObject({
      sync_standby: true,
      pause: true,
      cluster_unlocked: true,
      pending_restart: true,
      tags: { clonefrom: true },
    });
  });

  test('without answers from PostgreSQL there are no positions, and running is unknown', () => {
    const silent = postgres(primarySql(), { sql: { known: false, why: 'hung' } });
    const shown = body('patroni', primary({ postgres: silent }));
    expect(shown).toMatchObject({ state: 'unknown', role: 'primary' });
    expect(shown).not.toHaveProperty('xlog');
    expect(body('patroni', primary({ postgres: null, state: 'starting' })).state).toBe('starting');
    // D7: what was seen before the stop began is not shown either.
    const stopping = body('patroni', primary({ state: 'stopping', role: 'demoted' }));
    expect(stopping).toMatchObject({ state: 'stopping', role: 'demoted' });
    expect(stopping).not.toHaveProperty('xlog');
  });

  test('unknown is not zero', () => {
    const blind = body(
      'patroni',
      primary({ postgres: postgres(primarySql({ currentLsn: null })) }),
    );
    expect(blind).not.toHaveProperty('xlog');
    const timeline = body(
      'patroni',
      replica({ postgres: postgres(replicaSql({ timeline: null })) }),
    ).timeline;
    expect(timeline).toBeNull();
  });

  test('a replica that does not stream shows no replication_state; received falls back to replayed', () => {
    const sql = replicaSql({
      walReceiver: null,
      receiveLsn: null,
      replayLsn: 5,
      replayTimestamp: null,
      replayPaused: true,
    });
    const shown = body('patroni', replica({ postgres: postgres(sql) }));
    expect(shown).not.toHaveProperty('replication_state');
    expect(shown.xlog).toEqual({
      received_location: 5,
      replayed_location: 5,
      replayed_timestamp: null,
      paused: true,
    });
  });

  test('the view counts as none when it is older than ttl', () => {
    expect(body('patroni', replica({ clusterReadAt: NOW - 30_000 })).cluster_unlocked).toBe(true);
    expect(body('patroni', replica({ clusterReadAt: NOW - 29_999 }))).not.toHaveProperty(
      'cluster_unlocked',
    );
  });

  test('our object: what is decided, whose lease it is, what is being done', () => {
    const job = {
      kind: 'clone',
      startedAt: NOW - 1_500,
      outcome: null,
      phase: 'copying',
      detail: 'n1',
    } as const;
    expect(body('patroni', primary({ leaderDeadline: NOW + 1500.7, job })).tenure).toEqual({
      version: TENURE_VERSION,
      rule: 'lead.hold',
      why: 'the lease is proven',
      lease: { holder: 'n1', time_left_ms: 1500 },
      guard: 'armed',
      watchdog: 'off',
      job: { kind: 'clone', phase: 'copying', detail: 'n1', running_ms: 1500, outcome: null },
    });
    expect(body('patroni', replica({ decision: null })).tenure).toMatchObject({
      rule: null,
      why: null,
      lease: { holder: 'n1', time_left_ms: null },
      job: null,
    });
    const ahead = primary({ cluster: view({ leader: null }) });
    expect(body('patroni', ahead).tenure).toMatchObject({ lease: { holder: 'n1' } });
    const late = primary({ leaderDeadline: NOW - 1, cluster: view({ leader: null }) });
    expect(body('patroni', late).tenure).toMatchObject({
      lease: { holder: null, time_left_ms: 0 },
    });
    const ended = { ...job, outcome: { ok: false, why: 'no space', endedAt: NOW - 500 } };
    expect(body('patroni', replica({ job: ended })).tenure).toMatchObject({
      job: { running_ms: 1000, outcome: { ok: false, why: 'no space' } },
    });
  });
});

describe('GET /cluster (C-3.4)', () => {
  test('as Patroni shows it, key by key, whoever is asked', () => {
    expect(text('cluster', primary())).toBe(compact(fixture('primary-cluster.txt')));
    expect(text('cluster', replica())).toBe(compact(fixture('primary-cluster.txt')));
  });

  const members = (snapshot: Snapshot): Json[] => body('cluster', snapshot).members as Json[];

  test('lag against the last published position; unknown is said', () => {
    const status = { optime: 2 ** 32 + 500, slots: {}, retainSlots: [] };
    const slow = member('n2', {
      position: 2 ** 32 + 200,
      replayLsn: 2 ** 32 + 100,
      receiveLsn: null,
    });
    const cluster = view({ status, members: [slow] });
    const shown = members(primary({ cluster }))[0];
    expect(shown).toMatchObject({
      lag: 300,
      lsn: '1/C8',
      replay_lag: 400,
      replay_lsn: '1/64',
      receive_lag: 'unknown',
      receive_lsn: 'unknown',
    });
    const blind = view({ status: { ...status, optime: null }, members: [slow] });
    expect(members(primary({ cluster: blind }))[0]).toMatchObject({ lag: 'unknown', lsn: '1/C8' });
  });

  test('optional fields, roles and order', () => {
    const settings = { ...primary().settings, synchronousMode: 'quorum' as const };
    const cluster = view({
      members: [
        member('n3', {
          state: 'starting',
          replicationState: null,
          timeline: null,
          tags: tags({ clonefrom: true }),
          pendingRestart: true,
        }),
        member('n2', { connUrl: 'postgres://[::1]/postgres' }),
        member('n1', { connUrl: null, apiUrl: null }),
      ],
      failover: {
        leader: 'n1',
        candidate: 'n2',
        scheduledAt: '2026-12-01T03:00:00+00:00',
        modRevision: 1,
      },
    });
    const shown = body('cluster', primary({ cluster, settings, paused: true }));
    expect(Object.keys(shown)).toEqual(['members', 'pause', 'scheduled_switchover', 'scope']);
    expect(shown.pause).toBe(true);
    expect(shown.scheduled_switchover).toEqual({
      at: '2026-12-01T03:00:00+00:00',
      from: 'n1',
      to: 'n2',
    });
    const [first, second, third] = shown.members as Json[];
    expect(first).toEqual({
      name: 'n1',
      role: 'leader',
      state: 'running',
      api_url: null,
      timeline: 1,
    });
    expect(second).toMatchObject({ name: 'n2', role: 'replica', host: '::1', port: 5432 });
    expect(Object.keys(third ?? {}).slice(0, 8)).toEqual([
      'name',
      'role',
      'state',
      'api_url',
      'host',
      'port',
      'pending_restart',
      'tags',
    ]);
    expect(third).toMatchObject({ role: 'quorum_standby', state: 'starting' });
  });

  test('a request without a schedule is not shown', () => {
    const failover = { leader: null, candidate: 'n2', scheduledAt: null, modRevision: 1 };
    expect(body('cluster', primary({ cluster: view({ failover }) }))).not.toHaveProperty(
      'scheduled_switchover',
    );
  });
});

describe('GET /history, /config, /failsafe (C-3.5)', () => {
  test('history rows as Patroni writes them', () => {
    const history = [
      {
        timeline: 1,
        switchLsn: 67509288,
        reason: 'no recovery target specified',
        at: '2026-11-20T11:37:52.078048+00:00',
        leader: 'n3',
      },
    ];
    expect(get('history', primary({ cluster: view({ history }) })).body?.()).toEqual(
      JSON.parse(fixture('history-after-switchover.txt')),
    );
    const bare = view({ history: [{ timeline: 1, switchLsn: 1, reason: 'r' }] });
    expect(get('history', primary({ cluster: bare })).body?.()).toEqual([[1, 1, 'r']]);
    expect(get('history', primary({ cluster: view({ history: null }) })).body?.()).toEqual([]);
  });

  test('config as it stands in the store; 502 when there is none that is valid', () => {
    const values = JSON.parse(fixture('primary-config.txt')) as Json;
    const valid = view({ config: { kind: 'valid', values, modRevision: 1 } });
    expect(text('config', primary({ cluster: valid }))).toBe(
      compact(fixture('primary-config.txt')),
    );
    for (const config of [
      { kind: 'absent' },
      { kind: 'garbage', text: '{', modRevision: 1 },
    ] as const) {
      expect(get('config', primary({ cluster: view({ config }) })).status).toBe(502);
    }
  });

  test('503 while no view was ever read; the last view is good enough', () => {
    const blind = primary({ cluster: null, clusterReadAt: null });
    for (const endpoint of ['cluster', 'history', 'config']) {
      expect(get(endpoint, blind).status).toBe(503);
      expect(body(endpoint, blind)).toMatchObject({ error: 'no_view' });
      expect(get(endpoint, primary({ clusterReadAt: 0 })).status).toBe(200);
    }
    expect(get('patroni', blind).status).toBe(200);
    expect(get('failsafe', primary()).status).toBe(502);
  });

  test('/failsafe is the list as it stands, and a leader without the store is shown', () => {
    const failsafe = { n1: 'http://127.0.0.1:5701/patroni', n2: 'http://127.0.0.1:5702/patroni' };
    expect(body('failsafe', primary({ cluster: view({ failsafe }) }))).toEqual(failsafe);
    expect(body('patroni', primary())).not.toHaveProperty('failsafe_mode_is_active');
    expect(body('patroni', primary({ failsafeActive: true }))).toMatchObject({
      failsafe_mode_is_active: true,
    });
  });
});
