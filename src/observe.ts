/**
 * Builds one Observation: asks the store, the local server and, where a decision needs them, the
 * peers and the leader's server. Everything is bounded; what gives no answer is unknown (rule S4).
 */
import { type Clock, within } from './clock.ts';
import { awaitsNamed } from './core/candidates.ts';
import type {
  ClusterView,
  FailsafePromise,
  JobState,
  Known,
  LeaseFacts,
  LocalRequest,
  Memory,
  Observation,
  PeerFacts,
  PostgresFacts,
  ScheduledRestart,
  UpstreamFacts,
} from './core/model.ts';
import { memberNamed, upstreamOf } from './core/rules.ts';
import type { Settings } from './core/settings.ts';
import type { Peers } from './peers.ts';
import type { Postgres } from './postgres/postgres.ts';
import type { Store } from './store/store.ts';

const PEER_TIMEOUT_MS = 2000;
const UPSTREAM_TIMEOUT_MS = 2000;

export interface Sources {
  readonly clock: Clock;
  readonly store: Store;
  readonly postgres: Postgres;
  readonly peers: Peers;
}

/** The first half: what memory is brought up to date with. */
export interface Seen {
  /** When the look began: what happened since is not in it. */
  readonly since: number;
  readonly now: number;
  readonly cluster: Known<ClusterView>;
  readonly postgres: PostgresFacts;
}

/** One linearizable read and one round of questions to PostgreSQL, at the same time. */
export async function look(sources: Sources, settings: Settings): Promise<Seen> {
  const since = sources.clock.now();
  const [cluster, postgres] = await Promise.all([
    readCluster(sources, settings),
    sources.postgres.observe({ searchWalEnd: false }),
  ]);
  return { since, now: sources.clock.now(), cluster, postgres };
}

async function readCluster(
  { store, clock }: Sources,
  settings: Settings,
): Promise<Known<ClusterView>> {
  try {
    const value = await within(
      clock,
      settings.retryTimeoutMs + 100,
      'reading the store',
      store.read(),
    );
    return { known: true, value };
  } catch (error) {
    return { known: false, why: error instanceof Error ? error.message : String(error) };
  }
}

export interface Frame {
  readonly name: string;
  readonly settings: Settings;
  readonly lease: LeaseFacts;
  readonly job: JobState | null;
  readonly request: LocalRequest | null;
  readonly scheduledRestart: ScheduledRestart | null;
  readonly promise: FailsafePromise | null;
  readonly stopping: boolean;
  readonly watchdogFailure: string | null;
  readonly memory: Memory;
}

/** The second half: questions that only some situations need. */
export async function complete(sources: Sources, seen: Seen, frame: Frame): Promise<Observation> {
  const cluster = seen.cluster.known ? seen.cluster.value : null;
  const busy = frame.job !== null && frame.job.outcome === null;
  const [peers, upstream, vanishedLeaseMs, postgres] = await Promise.all([
    cluster !== null && !busy && peersMatter(cluster, seen, frame)
      ? askPeers(sources, cluster, frame)
      : Promise.resolve([]),
    askUpstream(sources, cluster, seen.postgres, frame),
    askVanishedLease(sources, cluster, frame.memory),
    busy ? Promise.resolve(seen.postgres) : withWalEnd(sources, cluster, seen.postgres, frame),
  ]);
  // Answers took time: deadlines must be compared with now, not with the beginning of the look.
  return Object.freeze({
    ...frame,
    now: sources.clock.now(),
    wallNow: sources.clock.wall().getTime(),
    cluster: seen.cluster,
    postgres,
    peers,
    upstream,
    vanishedLeaseMs,
  });
}

/**
 * In a race, and for a leader that is asked to hand over: a candidate is judged by fresh facts (F3).
 * Who was named by the leader that stopped, and holds everything it had, need not ask (F4): the
 * others can say nothing that would change it, and one that hangs would hold up the promotion. Nor
 * does anybody else while the named one has its time: answering would keep it from promoting.
 */
function peersMatter(
  cluster: ClusterView,
  { now, postgres: { sql } }: Seen,
  { name, memory }: Frame,
): boolean {
  const { leader, failover, handover } = cluster;
  if (leader !== null) return leader.name === name && failover !== null;
  const { lastLeader, leaderlessSince } = memory;
  if (lastLeader !== null && lastLeader.name !== handover?.leader) return true;
  const leaderlessMs = now - (leaderlessSince ?? now);
  if (failover === null && awaitsNamed(handover, cluster, name, leaderlessMs)) return false;
  const floor = handover?.floorLsn ?? null;
  if (handover?.candidate !== name || floor === null || !sql.known) return true;
  const { inRecovery, receiveLsn, replayLsn } = sql.value;
  return !inRecovery || Math.max(receiveLsn ?? 0, replayLsn ?? 0) < floor;
}

function askPeers(
  { peers }: Sources,
  cluster: ClusterView,
  frame: Frame,
): Promise<readonly PeerFacts[]> {
  // Whose key went with an outage of the store may hold more than we do (contract 5.9a).
  const listed = frame.settings.failsafeMode ? (cluster.failsafe ?? {}) : {};
  const urls = new Map(Object.entries(listed));
  for (const { name, apiUrl } of cluster.members) if (apiUrl !== null) urls.set(name, apiUrl);
  urls.delete(frame.name);
  const others = [...urls].map(([name, apiUrl]) => ({ name, apiUrl }));
  return peers.ask(others, Math.min(PEER_TIMEOUT_MS, frame.settings.ttlMs / 4));
}

const NOT_ASKED: Known<never> = { known: false, why: 'not asked' };

async function askUpstream(
  { postgres }: Sources,
  cluster: ClusterView | null,
  facts: PostgresFacts,
  frame: Frame,
): Promise<Known<UpstreamFacts>> {
  const leader = cluster?.leader ?? null;
  if (
    cluster === null ||
    leader === null ||
    leader.name === frame.name ||
    !hasToCompare(facts, frame)
  )
    return NOT_ASKED;
  const member = memberNamed(cluster, leader.name);
  const upstream = member === null ? null : upstreamOf(member);
  if (upstream === null)
    return { known: false, why: `${leader.name} has not published how to reach it` };
  try {
    return { known: true, value: await postgres.askUpstream(upstream, UPSTREAM_TIMEOUT_MS) };
  } catch (error) {
    return { known: false, why: error instanceof Error ? error.message : String(error) };
  }
}

function hasToCompare(facts: PostgresFacts, frame: Frame): boolean {
  if (frame.job !== null && frame.job.outcome === null) return false;
  if (facts.postmaster.kind === 'none')
    return facts.dataDirectory.kind === 'cluster' || facts.interrupted !== null;
  if (frame.request?.do === 'reinitialize') return true;
  const since = frame.memory.notStreamingSince;
  return since !== null && frame.memory.lastRole === 'replica';
}

/** The end of the local WAL matters only where a stopped server is to follow another's history. */
async function withWalEnd(
  { postgres }: Sources,
  cluster: ClusterView | null,
  facts: PostgresFacts,
  frame: Frame,
): Promise<PostgresFacts> {
  const leader = cluster?.leader ?? null;
  const stopped =
    facts.postmaster.kind === 'none' &&
    facts.dataDirectory.kind === 'cluster' &&
    facts.orphans === 0;
  if (!stopped || leader === null || leader.name === frame.name || facts.interrupted !== null)
    return facts;
  return postgres.observe({ searchWalEnd: true });
}

async function askVanishedLease(
  { store }: Sources,
  cluster: ClusterView | null,
  memory: Memory,
): Promise<Known<number>> {
  const last = memory.lastLeader;
  if (cluster === null || cluster.leader !== null || last === null || last.leaseId === null)
    return NOT_ASKED;
  try {
    return { known: true, value: await store.leaseRemaining(last.leaseId) };
  } catch (error) {
    return { known: false, why: error instanceof Error ? error.message : String(error) };
  }
}
