/**
 * `GET /metrics` (C-4): Patroni's metrics under their names and in their order, then ours. A view of
 * the latest snapshot like any other (rule F6).
 */
import type { MemberState } from '../core/model.ts';
import type { Snapshot } from '../status.ts';
import { PATRONI_PROTOCOL_VERSION } from '../version.ts';
import type { View } from './answer.ts';
import { exposition, flag, type Metric, type Sample } from './exposition.ts';
import { cachedView, syncRole } from './facts.ts';
import { OWN_METRICS } from './own-metrics.ts';

/** Numbers of states; the position is the number. */
const STATES: readonly (readonly [name: string, state: MemberState | null])[] = [
  ['initdb', 'initializing new cluster'],
  ['initdb_failed', null],
  ['custom_bootstrap', null],
  ['custom_bootstrap_failed', null],
  ['creating_replica', 'creating replica'],
  ['running', 'running'],
  ['starting', 'starting'],
  ['bootstrap_starting', null],
  ['start_failed', 'start failed'],
  ['restarting', 'restarting'],
  ['restart_failed', 'restart failed'],
  ['stopping', 'stopping'],
  ['stopped', 'stopped'],
  ['stop_failed', null],
  ['crashed', 'crashed'],
];

/** A server that gives no answers is in an unknown state, not running (C-3.3). */
function stateNumber({ state, postgres }: Snapshot): number {
  if (state === 'running' && postgres?.sql.known !== true) return -1;
  return STATES.findIndex(([, named]) => named === state);
}

type SqlFacts = Extract<NonNullable<Snapshot['postgres']>['sql'], { known: true }>['value'];

function asked({ postgres }: Snapshot): SqlFacts | null {
  return postgres?.sql.known === true ? postgres.sql.value : null;
}

const ofPrimary =
  (value: (sql: SqlFacts) => number | null) =>
  (snapshot: Snapshot): readonly Sample[] => {
    const sql = asked(snapshot);
    return [{ value: sql === null || sql.inRecovery ? 0 : (value(sql) ?? 0) }];
  };

const ofStandby =
  (value: (sql: SqlFacts) => number | null) =>
  (snapshot: Snapshot): readonly Sample[] => {
    const sql = asked(snapshot);
    return [{ value: sql?.inRecovery === true ? (value(sql) ?? 0) : 0 }];
  };

/** Seconds since the epoch of `2026-07-01 12:00:00.123456+00:00`, with the microseconds; 0: none. */
function epochSeconds(text: string | null): number {
  const [, date, time, fraction = '', zone] =
    /^(\S+) (\d\d:\d\d:\d\d)(\.\d+)?(.*)$/.exec(text ?? '') ?? [];
  const whole = Date.parse(`${date}T${time}${zone}`) / 1000;
  return Number.isFinite(whole) ? Number(`${whole}${fraction}`) : 0;
}

function isSynchronous(snapshot: Snapshot, role: 'sync_standby' | 'quorum_standby'): boolean {
  const view = cachedView(snapshot);
  if (view === null || asked(snapshot)?.inRecovery !== true) return false;
  return syncRole(snapshot, view, snapshot.name) === role;
}

const versionNumber = PATRONI_PROTOCOL_VERSION.split('.')
  .map((part) => part.padStart(2, '0'))
  .join('');

/** From a server that says its version; Patroni leaves these out otherwise. */
const whereVersionIsKnown =
  (is: (sql: SqlFacts) => boolean) =>
  (snapshot: Snapshot): readonly Sample[] => {
    const sql = asked(snapshot);
    return sql === null ? [] : flag(is(sql));
  };

/** In Patroni's order. */
export const PATRONI_METRICS: readonly Metric<Snapshot>[] = [
  {
    name: 'patroni_version',
    type: 'gauge',
    help: 'Version of Patroni whose protocol is spoken, two digits for each part.',
    samples: () => [{ value: versionNumber }],
  },
  {
    name: 'patroni_postgres_running',
    type: 'gauge',
    help: '1 while PostgreSQL runs and gives answers.',
    samples: (s) => flag(STATES[stateNumber(s)]?.[1] === 'running'),
  },
  {
    name: 'patroni_postmaster_start_time',
    type: 'gauge',
    help: 'When PostgreSQL was started, seconds since the epoch; 0: not known.',
    samples: (s) => [{ value: epochSeconds(asked(s)?.postmasterStartTime ?? null) }],
  },
  {
    name: 'patroni_primary',
    type: 'gauge',
    help: '1 on a primary.',
    samples: ({ role }) => flag(role === 'primary'),
  },
  {
    name: 'patroni_xlog_location',
    type: 'counter',
    help: 'WAL position of a primary, bytes; 0 on others.',
    samples: ofPrimary((sql) => sql.currentLsn),
  },
  {
    name: 'patroni_standby_leader',
    type: 'gauge',
    help: '1 on the leader of a standby cluster.',
    samples: () => flag(false),
  },
  {
    name: 'patroni_replica',
    type: 'gauge',
    help: '1 on a replica.',
    samples: ({ role }) => flag(role === 'replica'),
  },
  {
    name: 'patroni_sync_standby',
    type: 'gauge',
    help: '1 on a synchronous standby.',
    samples: (s) => flag(isSynchronous(s, 'sync_standby')),
  },
  {
    name: 'patroni_quorum_standby',
    type: 'gauge',
    help: '1 on a standby that counts for the quorum.',
    samples: (s) => flag(isSynchronous(s, 'quorum_standby')),
  },
  {
    name: 'patroni_xlog_received_location',
    type: 'counter',
    help: 'WAL that a replica has received, bytes; 0 on others.',
    samples: ofStandby((sql) => sql.receiveLsn ?? sql.replayLsn),
  },
  {
    name: 'patroni_xlog_replayed_location',
    type: 'counter',
    help: 'WAL that a replica has replayed, bytes; 0 on others.',
    samples: ofStandby((sql) => sql.replayLsn),
  },
  {
    name: 'patroni_xlog_replayed_timestamp',
    type: 'gauge',
    help: 'Commit time of the last transaction that a replica has replayed, seconds since the epoch; 0: none.',
    samples: ofStandby((sql) => epochSeconds(sql.replayTimestamp)),
  },
  {
    name: 'patroni_xlog_paused',
    type: 'gauge',
    help: '1 while replay is paused.',
    samples: ofStandby((sql) => (sql.replayPaused ? 1 : 0)),
  },
  {
    name: 'patroni_postgres_streaming',
    type: 'gauge',
    help: '1 on a replica that streams.',
    samples: whereVersionIsKnown(
      (sql) => sql.inRecovery && sql.walReceiver?.status === 'streaming',
    ),
  },
  {
    name: 'patroni_postgres_in_archive_recovery',
    type: 'gauge',
    help: 'Always 0: WAL from an archive is not told apart.',
    samples: whereVersionIsKnown(() => false),
  },
  {
    name: 'patroni_postgres_server_version',
    type: 'gauge',
    help: 'Version of the running PostgreSQL as a number; 0: not known.',
    samples: (s) => [{ value: asked(s)?.serverVersion ?? 0 }],
  },
  {
    name: 'patroni_cluster_unlocked',
    type: 'gauge',
    help: '1 while nobody is known to hold the leader key.',
    samples: (s) => flag(!cachedView(s)?.leader?.name),
  },
  {
    name: 'patroni_failsafe_mode_is_active',
    type: 'gauge',
    help: '1 while a leader goes on without etcd.',
    samples: ({ failsafeActive }) => flag(failsafeActive),
  },
  {
    name: 'patroni_postgres_timeline',
    type: 'gauge',
    help: 'Timeline of the running PostgreSQL; 0: not known.',
    samples: (s) => [{ value: asked(s)?.timeline ?? 0 }],
  },
  {
    name: 'patroni_dcs_last_seen',
    type: 'gauge',
    help: 'When etcd was last read, seconds since the epoch.',
    samples: ({ storeLastSeen }) => [{ value: Math.floor(storeLastSeen ?? 0) }],
  },
  {
    name: 'patroni_pending_restart',
    type: 'gauge',
    help: '1 while a setting waits for a restart of PostgreSQL.',
    samples: ({ pendingRestart }) => flag(pendingRestart.length > 0),
  },
  {
    name: 'patroni_is_paused',
    type: 'gauge',
    help: '1 in pause.',
    samples: ({ paused }) => flag(paused),
  },
  {
    name: 'patroni_postgres_state',
    type: 'gauge',
    help: 'State of PostgreSQL as a number; -1: not known.',
    comment: `Values: ${STATES.map(([name], at) => `${at}=${name}`).join(', ')}`,
    samples: (s) => [{ value: stateNumber(s) }],
  },
  // Newer than the protocol version that we publish (C-4, [M]).
  {
    name: 'patroni_failsafe_mode_enabled',
    type: 'gauge',
    help: '1 while failsafe_mode is on.',
    samples: ({ settings }) => flag(settings.failsafeMode),
  },
  {
    name: 'patroni_failsafe_member',
    type: 'gauge',
    help: '1 on a member that /failsafe names.',
    samples: ({ cluster, name }) => flag(Object.hasOwn(cluster?.failsafe ?? {}, name)),
  },
  {
    name: 'patroni_failover_priority',
    type: 'gauge',
    help: 'Failover priority in force; 0: never to be promoted.',
    samples: ({ settings }) => [{ value: settings.tags.failoverPriority }],
  },
];

export function metricsText(snapshot: Snapshot): string {
  const { scope, name } = snapshot;
  return exposition([...PATRONI_METRICS, ...OWN_METRICS], snapshot, { scope, name });
}

export const metricsAnswer: View = (snapshot) => ({
  status: 200,
  body: () => metricsText(snapshot),
});
