/**
 * `GET /patroni` and the body of health checks (C-3.3): Patroni's fields in Patroni's order, then
 * our own object `tenure`. Pure.
 */
import type { JobState, MemberState, SqlFacts } from '../core/model.ts';
import { pendingReasons, scheduledFields } from '../core/published.ts';
import type { Snapshot } from '../status.ts';
import { PATRONI_PROTOCOL_VERSION, TENURE_VERSION } from '../version.ts';
import { cachedView, syncRole } from './facts.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Patroni asks PostgreSQL only in these states; in others it shows no positions. */
const ASKED_STATES: ReadonlySet<MemberState> = new Set(['running', 'restarting', 'starting']);

export function patroniBody(snapshot: Snapshot): Fields {
  const { settings, systemIdentifier, scope, name } = snapshot;
  const view = cachedView(snapshot);
  return {
    ...postgresFields(snapshot),
    ...(snapshot.paused && { pause: true }),
    ...(!view?.leader?.name && { cluster_unlocked: true }),
    ...(snapshot.failsafeActive && { failsafe_mode_is_active: true }),
    dcs_last_seen: Math.floor(snapshot.storeLastSeen ?? 0),
    ...(Object.keys(settings.tags.raw).length > 0 && { tags: settings.tags.raw }),
    ...(systemIdentifier !== null && { database_system_identifier: systemIdentifier }),
    ...(snapshot.pendingRestart.length > 0 && {
      pending_restart: true,
      pending_restart_reason: pendingReasons(snapshot.pendingRestart),
    }),
    ...(snapshot.scheduledRestart !== null && {
      scheduled_restart: withoutServer(scheduledFields(snapshot.scheduledRestart)),
    }),
    patroni: { version: PATRONI_PROTOCOL_VERSION, scope, name },
    ...(snapshot.watchdog.failure !== null && { watchdog_failed: true }),
    tenure: tenureFields(snapshot),
  };
}

/** Without answers from PostgreSQL only state and role, so that peers see that it has no position. */
function postgresFields(snapshot: Snapshot): Fields {
  const { postgres, state, role } = snapshot;
  if (!postgres?.sql.known || !ASKED_STATES.has(state)) {
    return { state: state === 'running' ? 'unknown' : state, role };
  }
  const sql = postgres.sql.value;
  return {
    state,
    postmaster_start_time: sql.postmasterStartTime,
    role: sql.inRecovery ? 'replica' : 'primary',
    server_version: sql.serverVersion,
    ...positionFields(sql),
    ...(sql.inRecovery && syncFields(snapshot)),
    timeline: sql.timeline,
    ...(sql.inRecovery &&
      sql.walReceiver?.status === 'streaming' && { replication_state: 'streaming' }),
    ...(sql.walSenders.length > 0 && { replication: sql.walSenders.map(replicationFields) }),
  };
}

/**
 * A primary whose position is unknown shows no `xlog` at all: peers then count it as giving no
 * answer, where 0 would be a position (rule S4). A standby's 0 is true: nothing received yet.
 */
function positionFields(sql: SqlFacts): Fields {
  if (!sql.inRecovery) return sql.currentLsn === null ? {} : { xlog: { location: sql.currentLsn } };
  return {
    xlog: {
      received_location: sql.receiveLsn ?? sql.replayLsn ?? 0,
      replayed_location: sql.replayLsn ?? 0,
      replayed_timestamp: sql.replayTimestamp,
      paused: sql.replayPaused,
    },
  };
}

function syncFields(snapshot: Snapshot): Fields {
  const view = cachedView(snapshot);
  const role = view && syncRole(snapshot, view, snapshot.name);
  return role ? { [role]: true } : {};
}

function replicationFields(sender: SqlFacts['walSenders'][number]): Fields {
  return {
    usename: sender.userName,
    application_name: sender.applicationName,
    client_addr: sender.clientAddress,
    state: sender.state,
    sync_state: sender.syncState,
    sync_priority: sender.syncPriority,
  };
}

/** Here without the server that it is for (C-3.3). */
function withoutServer(fields: Fields): Fields {
  const { postmaster_start_time: _server, ...shown } = fields;
  return shown;
}

function tenureFields(snapshot: Snapshot): Fields {
  const { now, leaderDeadline, decision, job } = snapshot;
  const timeLeft = leaderDeadline === null ? null : Math.max(0, Math.floor(leaderDeadline - now));
  return {
    version: TENURE_VERSION,
    rule: decision?.rule ?? null,
    why: decision?.why ?? null,
    lease: {
      // Our own proof is newer than the last view of the store.
      holder: timeLeft ? snapshot.name : (snapshot.cluster?.leader?.name ?? null),
      time_left_ms: timeLeft,
    },
    guard: snapshot.guard.state,
    watchdog: snapshot.watchdog.state,
    job: job && jobFields(job, now),
    ...receivingFields(snapshot),
  };
}

/** Others count a vote only of a member that can acknowledge nothing more to the former leader (S5). */
function receivingFields({ postgres }: Snapshot): Fields {
  if (!postgres?.sql.known || !postgres.sql.value.inRecovery) return {};
  const { follows, walReceiver } = postgres.sql.value;
  return { receiving: follows || walReceiver !== null };
}

function jobFields(job: JobState, now: number): Fields {
  const { kind, phase, detail, startedAt, outcome } = job;
  return {
    kind,
    phase,
    detail,
    running_ms: Math.max(0, Math.floor((outcome?.endedAt ?? now) - startedAt)),
    outcome: outcome && { ok: outcome.ok, why: outcome.why },
  };
}
