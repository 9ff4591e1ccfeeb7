import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { metricsText, PATRONI_METRICS } from '../../src/api/metrics.ts';
import { metricsMarkdown } from '../../src/api/metrics-documentation.ts';
import { OWN_METRICS } from '../../src/api/own-metrics.ts';
import { RealClock } from '../../src/clock.ts';
import { Measures } from '../../src/measures.ts';
import { fixture } from './fixtures.ts';
import { serve } from './serving.ts';
import {
  NOW,
  postgres,
  primary,
  primarySql,
  replica,
  replicaSql,
  settings,
  view,
} from './snapshots.ts';

/** Names, types, labels and values, in their order; not the sentences. */
const patronis = (text: string): string[] =>
  text.split('\n').filter((line) => /^(?!# HELP)(?:# |patroni_)/.test(line));

const theirs = (name: string): string[] => fixture(name).trim().split('\n');

/** `name{labels}` of each sample, without scope and name, to its value. */
function values(text: string): Map<string, string> {
  const found = [...text.matchAll(/^(\w+)\{scope="[^"]*",name="[^"]*",?(.*)\} (\S+)$/gm)];
  return new Map(
    found.map(([, name, labels, value]) => [labels ? `${name}{${labels}}` : `${name}`, `${value}`]),
  );
}

describe('Patroni’s metrics (C-4)', () => {
  test('line by line as Patroni has them, on a primary and on a replica', () => {
    const lines = patronis(metricsText(primary()));
    expect(lines.slice(0, theirs('primary-metrics.txt').length)).toEqual(
      theirs('primary-metrics.txt'),
    );
    const others = patronis(metricsText(replica()));
    expect(others.slice(0, theirs('replica-metrics.txt').length)).toEqual(
      theirs('replica-metrics.txt'),
    );
  });

  test('flags', () => {
    const synchronous = { ...replica(), name: 'n3' };
    expect(values(metricsText(synchronous)).get('patroni_sync_standby')).toBe('1');
    const quorum = { ...synchronous, settings: settings({ synchronousMode: 'quorum' }) };
    expect(values(metricsText(quorum)).get('patroni_quorum_standby')).toBe('1');
    expect(values(metricsText(quorum)).get('patroni_sync_standby')).toBe('0');
    const found = values(
      metricsText(
        primary({
          paused: true,
          failsafeActive: true,
          cluster: view({ leader: null }),
          pendingRestart: [{ name: 'a', oldValue: '1', newValue: '2' }],
        }),
      ),
    );
    for (const name of [
      'is_paused',
      'failsafe_mode_is_active',
      'cluster_unlocked',
      'pending_restart',
    ]) {
      expect([name, found.get(`patroni_${name}`)]).toEqual([name, '1']);
    }
    const member = primary({
      settings: settings({ failsafeMode: true, tags: { ...settings().tags, failoverPriority: 3 } }),
      cluster: view({ failsafe: { n1: 'http://127.0.0.1:5701/patroni' } }),
    });
    const failsafe = values(metricsText(member));
    expect(failsafe.get('patroni_failsafe_mode_enabled')).toBe('1');
    expect(failsafe.get('patroni_failsafe_member')).toBe('1');
    expect(failsafe.get('patroni_failover_priority')).toBe('3');
    expect(found.get('patroni_failsafe_member')).toBe('0');
    const held = postgres(replicaSql({ replayPaused: true, replayTimestamp: null }));
    const standby = values(metricsText(replica({ postgres: held })));
    expect(standby.get('patroni_xlog_paused')).toBe('1');
    expect(standby.get('patroni_xlog_replayed_timestamp')).toBe('0');
  });

  test('a server that gives no answers is not shown as running', () => {
    const silent = postgres(primarySql(), { sql: { known: false, why: 'hung' } });
    const found = values(metricsText(primary({ postgres: silent })));
    expect(found.get('patroni_postgres_running')).toBe('0');
    expect(found.get('patroni_postgres_state')).toBe('-1');
    expect(found.get('patroni_xlog_location')).toBe('0');
    expect(found.get('patroni_postgres_server_version')).toBe('0');
    expect(found.has('patroni_postgres_streaming')).toBe(false);
    const stopped = values(metricsText(primary({ postgres: null, state: 'stopped' })));
    expect(stopped.get('patroni_postgres_state')).toBe('12');
  });
});

describe('ours', () => {
  test('the lease is shown by whoever holds it, at the time of asking', () => {
    const held = primary({ leaderDeadline: NOW + 1500 });
    expect(values(metricsText(held)).get('tenure_lease_remaining_seconds')).toBe('1.5');
    const over = primary({ leaderDeadline: NOW - 1 });
    expect(values(metricsText(over)).get('tenure_lease_remaining_seconds')).toBe('0');
    expect(values(metricsText(replica())).has('tenure_lease_remaining_seconds')).toBe(false);
  });

  test('histograms are cumulative and in seconds', () => {
    const measures = new Measures();
    for (const ms of [0.2, 3, 3, 20_000, Number.NaN, -1]) measures.ticks.observe(ms);
    const found = values(metricsText(primary({ measures })));
    expect(found.get('tenure_tick_seconds_bucket{le="0.001"}')).toBe('1');
    expect(found.get('tenure_tick_seconds_bucket{le="0.005"}')).toBe('3');
    expect(found.get('tenure_tick_seconds_bucket{le="10"}')).toBe('3');
    expect(found.get('tenure_tick_seconds_bucket{le="+Inf"}')).toBe('4');
    expect(found.get('tenure_tick_seconds_count')).toBe('4');
    expect(found.get('tenure_tick_seconds_sum')).toBe('20.0062');
  });

  test('a failover is told in its phases, on the node that did it', () => {
    const measures = new Measures();
    measures.elected(1000, 1200);
    const promotion = { kind: 'promote', startedAt: 1250 };
    measures.worked({ ...promotion, outcome: { ok: false, endedAt: 1300 } });
    const done = { ...promotion, outcome: { ok: true, endedAt: 1450 } };
    measures.worked(done);
    // Without an election of its own there is nothing that it took over.
    measures.worked(done);
    const outcome = { ok: true, endedAt: 300 };
    measures.worked({ kind: 'handover', startedAt: 0, stoppingSince: 70, outcome });
    const found = values(metricsText(primary({ measures })));
    const sum = (phase: string): string | undefined =>
      found.get(`tenure_failover_phase_seconds_sum{phase="${phase}"}`);
    expect(
      ['elect', 'promote', 'takeover', 'checkpoint', 'release'].map((phase) => sum(phase)),
    ).toEqual(['0.2', '0.4', '0.45', '0.07', '0.23']);
    expect(found.get('tenure_failover_phase_seconds_count{phase="takeover"}')).toBe('1');
    expect(found.get('tenure_jobs_total{job="promote",outcome="ok"}')).toBe('2');
    expect(found.get('tenure_jobs_total{job="promote",outcome="failed"}')).toBe('1');
  });

  test('requests to etcd, missed renewals, tools, guard, rule', () => {
    const measures = new Measures(() => ({ running: 1, started: 7 }));
    measures.request('read', 'answered', 4);
    measures.request('write', 'failed', 1000);
    measures.renewalsMissed += 1;
    const found = values(metricsText(primary({ measures })));
    expect(Object.fromEntries(found)).toMatchObject({
      'tenure_etcd_requests_total{kind="read",outcome="answered"}': '1',
      'tenure_etcd_requests_total{kind="write",outcome="failed"}': '1',
      'tenure_etcd_requests_total{kind="write",outcome="answered"}': '0',
      'tenure_etcd_request_seconds_sum{kind="write"}': '1',
      tenure_lease_renewals_missed_total: '1',
      tenure_child_processes: '1',
      tenure_child_processes_started_total: '7',
      'tenure_guard_state{state="armed"}': '1',
      'tenure_guard_state{state="fired"}': '0',
      'tenure_rule{rule="lead.hold"}': '1',
      'tenure_watchdog_state{state="off"}': '1',
      'tenure_watchdog_state{state="failed"}': '0',
      tenure_unconfirmed_commits: '0',
    });
    expect(Number(found.get('process_resident_memory_bytes'))).toBeGreaterThan(1e6);
  });

  test('names that come from people cannot break the format', () => {
    const text = metricsText(primary({ scope: 'a"b\\c\nd' }));
    expect(text.split('\n')[2]).toBe('patroni_version{scope="a\\"b\\\\c\\nd",name="n1"} 040104');
  });
});

test('timers that ran their time say how late they were; those cut short do not', async () => {
  const measures = new Measures();
  const clock = new RealClock((ms) => measures.lateness.observe(ms));
  const control = new AbortController();
  const cut = clock.wait(60_000, control.signal);
  await clock.wait(1);
  control.abort();
  await cut;
  expect(measures.lateness.count).toBe(1);
});

describe('what is exposed', () => {
  const all = [...PATRONI_METRICS, ...OWN_METRICS];

  test('has names and labels that Prometheus takes, each name once', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    for (const line of metricsText(primary()).trimEnd().split('\n')) {
      expect(line).toMatch(
        /^(?:# (?:HELP|TYPE|Values:) .+|[a-z_]+\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\} -?[\d.e+]+)$/,
      );
    }
    for (const { name, type } of all)
      expect([name, /_total$/.test(name)]).toEqual([
        name,
        type === 'counter' && !name.startsWith('patroni_'),
      ]);
  });

  test('is what docs/metrics.md says (node scripts/generate-docs.ts writes it)', () => {
    const path = join(import.meta.dirname, '../../docs/metrics.md');
    expect(readFileSync(path, 'utf8')).toBe(metricsMarkdown());
  });

  test('comes over HTTP as Prometheus asks for it', async () => {
    const { url } = await serve(primary());
    const answer = await fetch(`${url}/metrics`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(patronis(await answer.text())).toEqual(patronis(metricsText(primary())));
  });
});
