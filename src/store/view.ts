/** From the keys of one read to a {@link ClusterView}. Never throws, whatever stands there. */
import type { ClusterView, LeaderKey, Member, StatusKey } from '../core/model.ts';
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
import { decodeClaims, decodeHandover, decodeUnconfirmed } from './ours.ts';
import { Problems, type Report } from './problems.ts';
import { sameKeys, Unchanged } from './unchanged.ts';

/** What is kept from one view to the next: most of it stands as it stood. */
export class KnownBefore {
  readonly members = new Unchanged<Member>();
  readonly config = new Unchanged<ClusterView['config']>();
  readonly status = new Unchanged<StatusKey>();
  readonly history = new Unchanged<ClusterView['history']>();
  readonly timelines = new Unchanged<ClusterView['timelines']>();
  view: { readonly of: readonly KeyValue[]; readonly decoded: ClusterView } | null = null;
}

/** @param wentBack a problem of the store itself */
export function decodeView(
  keys: Keys,
  revision: number,
  kvs: readonly KeyValue[],
  wentBack: string | null = null,
  before: KnownBefore = new KnownBefore(),
): ClusterView {
  const { view: last } = before;
  if (last !== null && wentBack === null && sameKeys(last.of, kvs)) {
    return last.decoded.revision === revision
      ? last.decoded
      : Object.freeze({ ...last.decoded, revision });
  }
  const found = new Map(kvs.map((kv) => [kv.key, kv]));
  const problems = new Problems(keys.base);
  const at = (key: string): [KeyValue | undefined, Report] => [found.get(key), problems.about(key)];
  const [initialize, reportInitialize] = at(keys.initialize);
  const owner = found.get(keys.bootstrap)?.value ?? null;
  const view = {
    revision,
    initialize: decodeInitialize(initialize, owner, reportInitialize),
    leader: decodeLeader(...at(keys.leader)),
    members: decodeMembers(keys, kvs, problems, before.members),
    config:
      before.config.readOne(...at(keys.config), decodeConfig) ?? ({ kind: 'absent' } as const),
    status: decodeStatusOf(at(keys.status), at(keys.optime), before.status),
    history:
      before.history.readOne(...at(keys.history), ({ value }, report) =>
        decodeHistory(value, report),
      ) ?? null,
    failover: decodeFailover(...at(keys.failover)),
    sync: decodeSync(...at(keys.sync)),
    failsafe: decodeFailsafe(found.get(keys.failsafe)?.value, problems.about(keys.failsafe)),
    timelines: before.timelines.readOne(...at(keys.timeline), decodeClaims) ?? null,
    handover: decodeHandover(...at(keys.handover)),
    unconfirmed: decodeUnconfirmed(...at(keys.unconfirmed)),
  };
  const decoded = deepFreeze({
    ...view,
    problems: [...(wentBack === null ? [] : [wentBack]), ...problems.lines()],
  });
  before.view = wentBack === null ? { of: kvs, decoded } : null;
  return decoded;
}

/** What the legacy position means depends on two keys: such a view is read anew every time. */
function decodeStatusOf(
  [status, reportStatus]: [KeyValue | undefined, Report],
  [optime, reportOptime]: [KeyValue | undefined, Report],
  before: Unchanged<StatusKey>,
): StatusKey {
  const decode = (kv: KeyValue | undefined, report: Report): StatusKey =>
    decodeStatus(kv?.value, optime?.value, report, reportOptime);
  if (optime !== undefined) return decode(status, reportStatus);
  return before.readOne(status, reportStatus, decode) ?? decode(undefined, reportStatus);
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

function decodeMembers(
  keys: Keys,
  kvs: readonly KeyValue[],
  problems: Problems,
  before: Unchanged<Member>,
): Member[] {
  const members = before.read(
    kvs.filter(({ key }) => memberName(keys, key) !== null),
    (key) => problems.about(key),
    ({ key, value, leaseId, modRevision }, report) => {
      const name = key.slice(keys.members.length);
      return { ...decodeMember(value, report), name, leaseId, modRevision };
    },
  );
  return [...members].sort((one, other) => (one.name < other.name ? -1 : 1));
}
