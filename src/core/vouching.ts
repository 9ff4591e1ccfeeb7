/** What `/sync` says about who may lead (rule S5; contract 5.9, 5.15; field D40). */
import type { ClusterView, SyncKey } from './cluster.ts';
import { includesName } from './guarantee.ts';
import type { PeerFacts } from './model.ts';
import type { Settings } from './settings.ts';

interface View {
  readonly settings: Pick<Settings, 'synchronousMode'>;
  readonly cluster: Pick<ClusterView, 'sync'>;
}

/** `/sync` while it decides: synchronous mode is on, and the key names a leader or cannot be read. */
export function activeSync({ settings, cluster }: View): SyncKey | null {
  const { sync } = cluster;
  if (settings.synchronousMode === 'off' || sync === null) return null;
  return sync.leader !== null || sync.unreadable === true ? sync : null;
}

/**
 * Whether a member holds every acknowledged commit by itself, together with enough others, or is
 * not known to. Without an active `/sync` nobody is asked for more than in asynchronous mode.
 */
export type Vouched = 'alone' | 'by votes' | 'no';

export function vouched(name: string, view: View): Vouched {
  const sync = activeSync(view);
  if (sync === null) return 'alone';
  if (sync.unreadable === true || sync.leader === null) return 'no';
  if (includesName([sync.leader], name)) return 'alone';
  if (includesName(sync.standbys, name)) return sync.quorum === 0 ? 'alone' : 'by votes';
  return view.settings.synchronousMode === 'quorum' ? 'by votes' : 'no';
}

/** Named in `/sync` as a standby: one that a switchover may go to (contract 3.7, 5.11). */
export function isSynchronous(name: string, { sync }: Pick<ClusterView, 'sync'>): boolean {
  return sync !== null && sync.leader !== null && includesName(sync.standbys, name);
}

/** Those who vote: the leader and the standbys of `/sync`. */
export function electors({ leader, standbys }: SyncKey): readonly string[] {
  return [...(leader === null ? [] : [leader]), ...standbys];
}

/**
 * Votes that `name` needs besides its own WAL, and those it has. A vote is a promise: only a member
 * that has cut its walreceiver can acknowledge nothing more to the former leader (protocol 0.3).
 */
export function ballot(
  name: string,
  sync: SyncKey,
  peers: readonly PeerFacts[],
  isAhead: (answer: Extract<PeerFacts['answer'], { known: true }>['value']) => boolean,
): { readonly needed: number; readonly votes: readonly string[] } {
  const voters = electors(sync);
  const needed = includesName(voters, name) ? sync.quorum : sync.quorum + 1;
  const votes = peers.flatMap((peer) => {
    const { answer } = peer;
    if (!answer.known || peer.name === name || !includesName(voters, peer.name)) return [];
    const { inRecovery, receiving } = answer.value;
    return inRecovery && !receiving && !isAhead(answer.value) ? [peer.name] : [];
  });
  return { needed, votes };
}
