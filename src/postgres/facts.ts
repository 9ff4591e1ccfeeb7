/** One round of questions to a running server, in one query (C-appendix C). */
import { parseLsn } from '../core/lsn.ts';
import type { ControlFile, SqlFacts, WalReceiverFacts } from '../core/model.ts';
import { isRecoverySetting } from './conftext.ts';
import { PostgresError } from './postgres.ts';

export const TIME = `'YYYY-MM-DD HH24:MI:SS.USTZH:TZM'`;

/**
 * Numbers beyond 2^53 and positions come as text. Functions that are errors in recovery, or outside
 * of it, stand behind CASE; a promotion in the middle of the query is still an error.
 */
export const FACTS_SQL = `SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'version', current_setting('server_version_num')::int,
  'started', to_char(pg_postmaster_start_time(), ${TIME}),
  'walFile', CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END,
  'current', CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn()::text END,
  'received', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()::text END,
  'replayed', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END,
  'replayedAt', CASE WHEN pg_is_in_recovery() THEN to_char(pg_last_xact_replay_timestamp(), ${TIME}) END,
  'paused', CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
  'checksums', current_setting('data_checksums'),
  'hints', current_setting('wal_log_hints'),
  'system', (SELECT system_identifier::text FROM pg_control_system()),
  'checkpoint', (SELECT json_build_object('lsn', checkpoint_lsn::text, 'redo', redo_lsn::text,
      'timeline', timeline_id) FROM pg_control_checkpoint()),
  'minimum', (SELECT json_build_object('lsn', min_recovery_end_lsn::text,
      'timeline', min_recovery_end_timeline) FROM pg_control_recovery()),
  'receiver', (SELECT json_build_object('status', status, 'timeline', nullif(received_tli, 0),
      'host', sender_host, 'port', sender_port, 'slot', slot_name, 'end', latest_end_lsn::text)
      FROM pg_stat_wal_receiver),
  'senders', (SELECT coalesce(json_agg(json_build_object('pid', r.pid, 'name', application_name,
      'user', usename, 'address', host(client_addr), 'state', state, 'sync', sync_state,
      'priority', sync_priority, 'flush', flush_lsn::text, 'slot', s.slot_name,
      'started', to_char(backend_start, ${TIME})) ORDER BY r.pid), '[]')
      FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid),
  'slots', (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'type', slot_type,
      'active', active, 'restart', restart_lsn::text) ORDER BY slot_name), '[]')
      FROM pg_replication_slots),
  'follows', pg_is_in_recovery() AND current_setting('primary_conninfo') <> '',
  'synchronous', current_setting('synchronous_standby_names'),
  'waiting', CASE WHEN pg_is_in_recovery() OR current_setting('synchronous_standby_names') = ''
      THEN '[]' ELSE (SELECT coalesce(json_agg(id), '[]') FROM (SELECT pid || '/' ||
      coalesce(backend_xid::text, query_start::text, '') AS id FROM pg_stat_activity
      WHERE wait_event = 'SyncRep' LIMIT 500) w) END,
  'restart', (SELECT coalesce(json_agg(json_build_object('name', name,
      'old', current_setting(name), 'new', coalesce((SELECT setting FROM pg_file_settings f
        WHERE f.name = s.name ORDER BY seqno DESC LIMIT 1),
        CASE WHEN unit IS NULL THEN boot_val END, '?')) ORDER BY name), '[]')
      FROM pg_settings s WHERE pending_restart)
)::text AS facts`.replace(/\s+/g, ' ');

/** The document as the query builds it. */
interface Document {
  readonly recovery: boolean;
  readonly version: number;
  readonly started: string;
  readonly walFile: string | null;
  readonly current: string | null;
  readonly received: string | null;
  readonly replayed: string | null;
  readonly replayedAt: string | null;
  readonly paused: boolean;
  readonly checksums: string;
  readonly hints: string;
  readonly system: string;
  readonly checkpoint: { readonly lsn: string; readonly redo: string; readonly timeline: number };
  readonly minimum: { readonly lsn: string | null; readonly timeline: number | null };
  readonly receiver: {
    readonly status: string | null;
    readonly timeline: number | null;
    readonly host: string | null;
    readonly port: number | null;
    readonly slot: string | null;
    readonly end: string | null;
  } | null;
  readonly senders: readonly {
    readonly pid: number;
    readonly name: string | null;
    readonly user: string | null;
    readonly address: string | null;
    readonly state: string | null;
    readonly sync: string | null;
    readonly priority: number | null;
    readonly flush: string | null;
    readonly slot: string | null;
    readonly started: string | null;
  }[];
  readonly slots: readonly {
    readonly name: string;
    readonly type: string;
    readonly active: boolean;
    readonly restart: string | null;
  }[];
  readonly follows: boolean;
  readonly synchronous: string;
  readonly waiting: readonly string[];
  /** The file is read again only where a setting waits. */
  readonly restart: readonly {
    readonly name: string;
    readonly old: string;
    readonly new: string;
  }[];
}

export interface ServerFacts {
  readonly sql: SqlFacts;
  readonly control: ControlFile;
}

/** @throws PostgresError the answer is not the query's */
export function parseFacts(text: string | null | undefined): ServerFacts {
  if (!text) throw new PostgresError('PostgreSQL gave an empty answer');
  const document = JSON.parse(text) as Document;
  const { checkpoint, minimum } = document;
  const control: ControlFile = {
    systemIdentifier: document.system,
    state: document.recovery ? 'in archive recovery' : 'in production',
    timeline: checkpoint.timeline,
    checkpointLsn: parseLsn(checkpoint.lsn),
    redoLsn: parseLsn(checkpoint.redo),
    minRecoveryEndLsn: position(minimum.lsn) ?? 0,
    minRecoveryEndTimeline: minimum.timeline ?? 0,
    dataChecksums: document.checksums === 'on',
    walLogHints: document.hints === 'on',
  };
  const walReceiver = receiverOf(document);
  return {
    control,
    sql: {
      inRecovery: document.recovery,
      serverVersion: document.version,
      systemIdentifier: document.system,
      postmasterStartTime: document.started,
      timeline: timelineOf(document, control, walReceiver),
      currentLsn: position(document.current),
      receiveLsn: position(document.received),
      replayLsn: position(document.replayed),
      replayTimestamp: document.replayedAt,
      replayPaused: document.paused,
      walReceiver,
      walSenders: document.senders.map((sender) => ({
        pid: sender.pid,
        applicationName: sender.name ?? '',
        userName: sender.user ?? '',
        clientAddress: sender.address,
        state: sender.state ?? '',
        syncState: sender.sync ?? '',
        syncPriority: sender.priority ?? 0,
        flushLsn: position(sender.flush),
        slotName: sender.slot,
        startedAt: sender.started ?? '',
      })),
      slots: document.slots.map((slot) => ({
        name: slot.name,
        type: slot.type === 'logical' ? 'logical' : 'physical',
        active: slot.active,
        restartLsn: position(slot.restart),
      })),
      follows: document.follows,
      synchronousStandbyNames: document.synchronous,
      commitsWait: document.waiting.length > 0,
      waitingCommits: document.waiting,
      pendingRestart: document.restart
        .filter(({ name }) => !isRecoverySetting(name) && name !== 'hot_standby')
        .map((found) => ({ name: found.name, oldValue: found.old, newValue: found.new })),
    },
  };
}

function receiverOf({ receiver }: Document): WalReceiverFacts | null {
  if (receiver === null) return null;
  return {
    status: receiver.status ?? '',
    timeline: receiver.timeline,
    host: receiver.host,
    port: receiver.port,
    slotName: receiver.slot,
    latestEndLsn: position(receiver.end),
  };
}

function timelineOf(
  document: Document,
  control: ControlFile,
  receiver: WalReceiverFacts | null,
): number | null {
  if (document.walFile !== null) return Number.parseInt(document.walFile.slice(0, 8), 16);
  if (!document.recovery) return null;
  // pg_control lags behind what has been replayed, but never runs ahead of it.
  const written = Math.max(control.minRecoveryEndTimeline, control.timeline);
  return receiver?.timeline ?? (written === 0 ? null : written);
}

function position(text: string | null): number | null {
  return text === null ? null : parseLsn(text);
}
