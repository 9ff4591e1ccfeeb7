import { describe, expect, test } from 'vitest';
import { check, liveness, readiness } from '../../src/api/health.ts';
import { parseBytes } from '../../src/api/lag.ts';
import type { Snapshot } from '../../src/status.ts';
import { checks } from './fixtures.ts';
import {
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

/** What the node answers to `/path?query`. */
function ask(snapshot: Snapshot, url: string): number {
  const [path = '', query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  if (path === '/liveness') return liveness(snapshot);
  return path === '/readiness'
    ? readiness(parameters, snapshot)
    : check(path, parameters, snapshot);
}

describe('the same answers as Patroni 4.1.4 (C-3.2)', () => {
  // No row differs: what we do on purpose differently are other situations, below.
  test.each(checks('primary-checks.txt'))('primary: %s → %i', (url, status) => {
    expect(ask(primary(), url)).toBe(status);
  });
  test.each(checks('replica-checks.txt'))('replica: %s → %i', (url, status) => {
    expect(ask(replica(), url)).toBe(status);
  });
});

describe('the order of the substring table', () => {
  test.each([
    ['/anything-leader-x', 200, 503],
    ['/my-standby-leader', 503, 503],
    ['/standby_leader', 503, 503],
    ['/primary-replica', 200, 503],
    ['/replica-primary', 200, 503],
    ['/read-only-primary', 200, 503],
    ['/read-only-replica', 503, 200],
    ['/healthy', 200, 200],
    ['/master-health', 200, 503],
    ['/sync-anything', 503, 503],
    ['/async/', 503, 503],
    ['', 503, 503],
  ])('%s: primary %i, replica %i', (path, onPrimary, onReplica) => {
    expect(ask(primary(), path)).toBe(onPrimary);
    expect(ask(replica(), path)).toBe(onReplica);
  });
});

describe('leadership', () => {
  const paths = ['/', '/primary', '/leader', '/master', '/read-write', '/read-only', '/readiness'];
  const stale = postgres(primarySql());
  const rows: [string, Partial<Snapshot>][] = [
    ['the deadline is now', { leaderDeadline: NOW }],
    ['the deadline has passed', { leaderDeadline: NOW - 1 }],
    ['leadership was never proven', { leaderDeadline: null }],
    [
      'not promoted yet',
      { postgres: postgres(replicaSql({ walReceiver: null })), role: 'replica' },
    ],
    ['PostgreSQL gives no answers', { postgres: { ...stale, sql: { known: false, why: 'hung' } } }],
    ['the postmaster is gone', { postgres: { ...stale, postmaster: { kind: 'none' } } }],
    [
      'nobody knows the postmaster',
      { postgres: { ...stale, postmaster: { kind: 'unknown', why: '' } } },
    ],
    ['PostgreSQL refuses connections', { postgres: { ...stale, ready: 'rejecting' } }],
    ['nothing was observed yet', { postgres: null }],
    // D7: facts are from the last tick, but the demotion has begun.
    ['D7: released, facts are stale', { leaderDeadline: null, role: 'demoted', state: 'stopping' }],
    ['D7: the lease is still ours, stopping', { state: 'stopping' }],
    ['D7: the lease is still ours, demoted', { role: 'demoted' }],
    ['D7: stopped', { state: 'stopped' }],
    ['D7: crashed', { state: 'crashed' }],
    ['D7: restarting', { state: 'restarting' }],
    ['D7: paused, demoted by hand', { paused: true, role: 'demoted', state: 'stopping' }],
  ];
  test.each(rows)('503: %s', (_what, change) => {
    const snapshot = primary(change);
    // A node that is not promoted yet reads well, and nothing else passes.
    const expected = paths.map((path) => [
      path,
      path === '/read-only' && snapshot.role === 'replica' ? 200 : 503,
    ]);
    expect(paths.map((path) => [path, ask(snapshot, path)])).toEqual(expected);
  });

  test('a view that names somebody else does not count against a newer proof', () => {
    expect(ask(primary({ cluster: view({ leader: null }) }), '/primary')).toBe(200);
    expect(ask(primary({ cluster: null, clusterReadAt: null }), '/primary')).toBe(200);
  });

  test('in pause the deadline is not in force; the last view names the leader', () => {
    const paused = { paused: true, leaderDeadline: NOW - 60_000 };
    const other = view({ leader: { name: 'n3', leaseId: '3', createRevision: 9, modRevision: 9 } });
    expect(ask(primary(paused), '/primary')).toBe(200);
    expect(ask(primary({ ...paused, clusterReadAt: NOW - 600_000 }), '/leader')).toBe(200);
    expect(ask(primary({ ...paused, cluster: other }), '/primary')).toBe(503);
    expect(ask(primary({ ...paused, cluster: view({ leader: null }) }), '/leader')).toBe(503);
  });

  test('in pause without any view the role of PostgreSQL decides (C-3.2 a)', () => {
    const blind = { paused: true, leaderDeadline: null, cluster: null, clusterReadAt: null };
    expect(ask(primary(blind), '/leader')).toBe(200);
    expect(ask(primary(blind), '/primary')).toBe(200);
    expect(ask(replica(blind), '/primary')).toBe(503);
    expect(ask(primary({ ...blind, paused: false }), '/primary')).toBe(503);
  });
});

describe('replica', () => {
  const behind = (bytes: number): Snapshot => {
    const sql = replicaSql();
    return replica({ postgres: postgres({ ...sql, replayLsn: (sql.replayLsn ?? 0) - bytes }) });
  };

  test('lag is measured against the walreceiver or /status, whichever is ahead', () => {
    expect(ask(behind(1024), '/replica?lag=1kB')).toBe(200);
    expect(ask(behind(1025), '/replica?lag=1kB')).toBe(503);
    const cut = replicaSql({ walReceiver: null, receiveLsn: 1000, replayLsn: 1000 });
    const cluster = (optime: number | null) =>
      view({ status: { optime, slots: {}, retainSlots: [] } });
    expect(
      ask(replica({ postgres: postgres(cut), cluster: cluster(1100) }), '/replica?lag=100'),
    ).toBe(200);
    expect(
      ask(replica({ postgres: postgres(cut), cluster: cluster(1101) }), '/replica?lag=100'),
    ).toBe(503);
    // Nobody knows where the leader is: no reason to refuse, as Patroni has it.
    expect(
      ask(replica({ postgres: postgres(cut), cluster: cluster(null) }), '/replica?lag=100'),
    ).toBe(200);
  });

  test('a lag that cannot be understood is ignored', () => {
    for (const lag of ['', 'much', '1XB', '1mb', 'MB']) {
      expect(ask(behind(1e9), `/replica?lag=${lag}`)).toBe(200);
    }
    expect(ask(behind(1e9), '/replica')).toBe(200);
  });

  test('lag also limits /read-only and /async, but not the primary', () => {
    expect(ask(behind(2048), '/read-only?lag=1kB')).toBe(503);
    expect(ask(behind(2048), '/async?lag=1kB')).toBe(503);
    expect(ask(primary(), '/read-only?lag=0')).toBe(200);
  });

  test('units', () => {
    const table = ['0', '1048576', '7B', '3kB', ' 2 MB ', '1GB', '1TB', '1.5kB', '-1'];
    const bytes = [0, 1048576, 7, 3072, 2097152, 2 ** 30, 2 ** 40, 1536, -1];
    expect(table.map(parseBytes)).toEqual(bytes);
    expect([null, '', 'x', '1 parsec', '1e3', '0x10', '1KB'].map(parseBytes)).toEqual(
      Array(7).fill(null),
    );
  });

  test.each([
    ['noloadbalance', { settings: settings({ tags: tags({ noloadbalance: true }) }) }],
    ['starting', { state: 'starting' }],
    ['no answers', { postgres: postgres(replicaSql(), { sql: { known: false, why: 'hung' } }) }],
    ['a primary', { postgres: postgres(primarySql()) }],
  ] as [string, Partial<Snapshot>][])('503: %s', (_what, change) => {
    for (const path of ['/replica', '/async', '/read-only']) {
      expect(ask(replica(change), path)).toBe(503);
    }
  });
});

describe('synchronous standbys', () => {
  const all = [
    '/sync',
    '/synchronous',
    '/quorum',
    '/async',
    '/asynchronous',
    '/read-only-sync',
    '/read-only-synchronous',
    '/read-only-quorum',
  ];
  const statuses = (snapshot: Snapshot): string[] =>
    all.filter((path) => ask(snapshot, path) === 200);
  const quorum = settings({ synchronousMode: 'quorum' });

  test.each([
    [
      'n3, priority',
      replica({ name: 'n3' }),
      ['/sync', '/synchronous', '/read-only-sync', '/read-only-synchronous'],
    ],
    [
      'named in other case',
      replica({ name: 'N3' }),
      ['/sync', '/synchronous', '/read-only-sync', '/read-only-synchronous'],
    ],
    ['n3, quorum', replica({ name: 'n3', settings: quorum }), ['/quorum', '/read-only-quorum']],
    ['n2', replica(), ['/async', '/asynchronous']],
    ['n1', primary(), ['/read-only-sync', '/read-only-synchronous', '/read-only-quorum']],
    [
      'synchronous mode off',
      replica({ name: 'n3', settings: settings({ synchronousMode: 'off' }) }),
      ['/async', '/asynchronous'],
    ],
    [
      '/sync without a leader',
      replica({
        name: 'n3',
        cluster: view({ sync: { leader: null, standbys: ['n3'], quorum: 0, modRevision: 5 } }),
      }),
      ['/async', '/asynchronous'],
    ],
    ['a view older than ttl', replica({ clusterReadAt: NOW - 30_000 }), []],
    ['no view', replica({ cluster: null, clusterReadAt: null }), []],
  ])('%s', (_who, snapshot, expected) => {
    expect(statuses(snapshot)).toEqual(expected);
  });
});

describe('tag filters', () => {
  const tagged = settings({ tags: tags({ datacenter: 'north', clonefrom: true, rack: 7 }) });
  test.each([
    ['tag_datacenter=north', 200],
    ['tag_datacenter=south', 503],
    ['tag_datacenter=North', 503],
    ['tag_clonefrom=true', 200],
    ['tag_clonefrom=True', 503],
    ['tag_rack=7', 200],
    ['tag_absent=1', 503],
    ['tag_constructor=x', 503],
    ['tag_datacenter=', 200],
    ['tag_datacenter=north&tag_rack=7', 200],
    ['tag_datacenter=north&tag_rack=8', 503],
    ['tag_rack=7&tag_datacenter=south&lag=1MB', 503],
  ])('?%s → %i', (query, status) => {
    for (const path of ['/replica', '/read-only', '/health', '/async']) {
      expect(ask(replica({ settings: tagged }), `${path}?${query}`)).toBe(status);
    }
  });

  test('are ignored where there can be only one', () => {
    for (const path of ['/', '/primary', '/leader', '/master', '/read-write']) {
      expect(ask(primary(), `${path}?tag_absent=1`)).toBe(200);
    }
    expect(ask(primary(), '/read-only?tag_absent=1')).toBe(503);
  });
});

describe('probes', () => {
  test('liveness: an overdue tick, sooner on a running primary', () => {
    const due = { nextTickDue: NOW - 30_000 };
    expect(ask(primary(due), '/liveness')).toBe(503);
    expect(ask(primary({ ...due, paused: true }), '/liveness')).toBe(200);
    expect(ask(primary({ nextTickDue: NOW - 29_999 }), '/liveness')).toBe(200);
    expect(ask(replica(due), '/liveness')).toBe(200);
    expect(ask(replica({ nextTickDue: NOW - 60_000 }), '/liveness')).toBe(503);
  });

  test('readiness: a replica that streams and is close enough', () => {
    const sql = replicaSql({ replayLsn: 0 });
    const at = (change: Partial<Snapshot>, query = '') =>
      ask(replica(change), `/readiness${query}`);
    expect(at({ postgres: postgres(sql) })).toBe(503);
    expect(at({ postgres: postgres(sql) }, '?mode=write')).toBe(200);
    expect(at({ postgres: postgres(sql) }, '?mode=apply')).toBe(503);
    expect(at({ postgres: postgres(sql) }, '?lag=1GB')).toBe(200);
    expect(at({ postgres: postgres(replicaSql({ walReceiver: null })) })).toBe(503);
    expect(at({ state: 'starting' })).toBe(503);
    expect(at({ cluster: null, clusterReadAt: null })).toBe(200);
    const deaf = replicaSql();
    const receiver = deaf.walReceiver && { ...deaf.walReceiver, latestEndLsn: null };
    expect(
      at({ clusterReadAt: NOW - 30_000, postgres: postgres({ ...deaf, walReceiver: receiver }) }),
    ).toBe(503);
  });
});
