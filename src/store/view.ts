/** From the keys of one read to a {@link ClusterView}. Never throws, whatever stands there. */
import type { ClusterView, LeaderKey, Member } from '../core/model.ts';
import {
  decodeConfig,
  decodeFailover,
  decodeFailsafe,
  decodeHistory,
  decodeInitialize,
  decodeStatus,
  decodeSync,
} from './codecs.ts';
import { deepFreeze } from './json.ts';
import { type Keys, memberName } from './keys.ts';
import type { KeyValue } from './keyvalue.ts';
import { decodeMember } from './members.ts';
import { decodeClaims, decodeHandover } from './ours.ts';
import { Problems, type Report } from './problems.ts';

/** @param wentBack a problem of the store itself */
export function decodeView(
  keys: Keys,
  revision: number,
  kvs: readonly KeyValue[],
  wentBack: string | null = null,
): ClusterView {
  const found = new Map(kvs.map((kv) => [kv.key, kv]));
  const problems = new Problems(keys.base);
  const at = (key: string): [KeyValue | undefined, Report] => [found.get(key), problems.about(key)];
  const value = (key: string): [string | undefined, Report] => [
    found.get(key)?.value,
    problems.about(key),
  ];
  const [status, reportStatus] = value(keys.status);
  const [optime, reportOptime] = value(keys.optime);
  const [initialize, reportInitialize] = at(keys.initialize);
  const owner = found.get(keys.bootstrap)?.value ?? null;
  const view = {
    revision,
    initialize: decodeInitialize(initialize, owner, reportInitialize),
    leader: decodeLeader(...at(keys.leader)),
    members: decodeMembers(keys, kvs, problems),
    config: decodeConfig(...at(keys.config)),
    status: decodeStatus(status, optime, reportStatus, reportOptime),
    history: decodeHistory(...value(keys.history)),
    failover: decodeFailover(...at(keys.failover)),
    sync: decodeSync(...at(keys.sync)),
    failsafe: decodeFailsafe(...value(keys.failsafe)),
    timelines: decodeClaims(...at(keys.timeline)),
    handover: decodeHandover(...at(keys.handover)),
  };
  return deepFreeze({
    ...view,
    problems: [...(wentBack === null ? [] : [wentBack]), ...problems.lines()],
  });
}

/** A key with an empty name is still a key: nobody can take it, so it is not absent (rule S4). */
export function decodeLeader(kv: KeyValue | undefined, report: Report): LeaderKey | null {
  if (!kv) return null;
  if (kv.value === '') report(kv.value, 'the name of a member; delete the key to free it');
  return {
    name: kv.value,
    leaseId: kv.leaseId,
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
  };
}

function decodeMembers(keys: Keys, kvs: readonly KeyValue[], problems: Problems): Member[] {
  const members: Member[] = [];
  for (const kv of kvs) {
    const name = memberName(keys, kv.key);
    if (name === null) continue;
    const record = decodeMember(kv.value, problems.about(kv.key));
    members.push({ ...record, name, leaseId: kv.leaseId, modRevision: kv.modRevision });
  }
  return members.sort((one, other) => (one.name < other.name ? -1 : 1));
}
