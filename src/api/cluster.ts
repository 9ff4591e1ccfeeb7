/**
 * `GET /cluster`, `/history` and `/config` (C-3.4, C-3.5), from the last view of the store. Pure.
 *
 * Unlike Patroni, which reads the store for each `/cluster`, the answer is as old as the last tick
 * (rule F6), and it is still given when the store cannot be reached.
 */
import type { HistoryEntry } from '../core/history.ts';
import { formatLsn } from '../core/lsn.ts';
import type { ClusterView, FailoverRequest, Member } from '../core/model.ts';
import { upstreamOf } from '../core/rules.ts';
import type { Snapshot } from '../status.ts';
import type { View } from './answer.ts';
import { problem } from './errors.ts';
import { syncRole } from './facts.ts';

type Fields = Readonly<Record<string, unknown>>;

export const clusterAnswer: View = (snapshot) => {
  const view = snapshot.cluster;
  if (view === null) return problem('no_view');
  return { status: 200, body: () => clusterBody(snapshot, view) };
};

/** An absent or unreadable `/history` shows as `[]`, as Patroni shows it. */
export const historyAnswer: View = ({ cluster }) => {
  if (cluster === null) return problem('no_view');
  return { status: 200, body: () => (cluster.history ?? []).map(historyRow) };
};

/** Not knowing the configuration (503) and there being none (502) are different (rule S4). */
export const configAnswer: View = ({ cluster }) => {
  if (cluster === null) return problem('no_view');
  const { config } = cluster;
  return config.kind === 'valid'
    ? { status: 200, body: () => config.values }
    : problem('no_config');
};

/** Who has to agree that a leader goes on without the store (C-3.5). */
export const failsafeAnswer: View = ({ cluster }) => {
  const list = cluster?.failsafe ?? null;
  return list === null ? problem('no_failsafe') : { status: 200, body: () => list };
};

function clusterBody(snapshot: Snapshot, view: ClusterView): Fields {
  const { failover } = view;
  return {
    members: view.members
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((member) => memberFields(snapshot, view, member)),
    ...(snapshot.paused && { pause: true }),
    ...(failover?.scheduledAt && { scheduled_switchover: scheduleFields(failover) }),
    scope: snapshot.scope,
  };
}

function scheduleFields({ scheduledAt, leader, candidate }: FailoverRequest): Fields {
  return {
    at: scheduledAt,
    ...(leader !== null && { from: leader }),
    ...(candidate !== null && { to: candidate }),
  };
}

function memberFields(snapshot: Snapshot, view: ClusterView, member: Member): Fields {
  const isLeader = view.leader?.name === member.name;
  const role = isLeader ? leaderRole(snapshot) : syncRole(snapshot, view, member.name);
  return {
    name: member.name,
    role: role ?? 'replica',
    // `streaming` says more than `running`; a leader does not replicate from anyone.
    state: (role === 'leader' ? null : member.replicationState) || member.state,
    api_url: member.apiUrl,
    ...addressFields(member),
    ...(member.timeline !== null && { timeline: member.timeline }),
    ...(member.pendingRestart && { pending_restart: true }),
    ...(member.pendingRestartReason && { pending_restart_reason: member.pendingRestartReason }),
    ...(member.scheduledRestart && { scheduled_restart: member.scheduledRestart }),
    ...(Object.keys(member.tags.raw).length > 0 && { tags: member.tags.raw }),
    ...(!isLeader && lagFields(member, view.status.optime)),
  };
}

function leaderRole({ settings }: Snapshot): string {
  return settings.standbyCluster ? 'standby_leader' : 'leader';
}

/** Nothing when `conn_url` cannot be read: Patroni leaves both out then. */
function addressFields(member: Member): Fields {
  const upstream = upstreamOf(member);
  return upstream === null ? {} : { host: upstream.host, port: upstream.port };
}

/** Lag in bytes against the leader's last published position, never negative (C-3.4). */
function lagFields(member: Member, optime: number | null): Fields {
  const lag = (lsn: number | null): number | 'unknown' =>
    lsn === null || optime === null ? 'unknown' : Math.max(0, optime - lsn);
  const text = (lsn: number | null): string => (lsn === null ? 'unknown' : formatLsn(lsn));
  const { receiveLsn, replayLsn, position } = member;
  return {
    receive_lag: lag(receiveLsn),
    receive_lsn: text(receiveLsn),
    replay_lag: lag(replayLsn),
    replay_lsn: text(replayLsn),
    lag: lag(position),
    lsn: text(position),
  };
}

/** `[timeline, switch position, reason, time?, leader?]`; a leader never comes without a time. */
function historyRow({ timeline, switchLsn, reason, at, leader }: HistoryEntry): readonly unknown[] {
  const row = [timeline, switchLsn, reason];
  if (at === undefined) return row;
  return leader === undefined ? [...row, at] : [...row, at, leader];
}
