/**
 * Who may be promoted, and why not. One function for the race, for switchover and for explaining
 * (contract 5.9; rules F4, S6; field D26, D34, D44).
 */
import { clusterTimeline, type Position } from './history.ts';
import { formatLsn } from './lsn.ts';
import type { ClusterView, Handover, Member, PeerFacts } from './model.ts';
import type { Settings } from './settings.ts';
import { slotName } from './slots.ts';
import { activeSync, ballot, isSynchronous, vouched } from './vouching.ts';

export interface Candidacy {
  readonly eligible: boolean;
  readonly why: string;
  /** Not eligible now, but only because somebody else should come first: look again soon. */
  readonly waiting: boolean;
  /** Whoever is ahead on the same timeline, where nothing else stands in the way. */
  readonly behind?: string;
}

export interface CandidateSituation {
  readonly name: string;
  /** Where this node's own WAL ends now: received or replayed, whichever is further. Asked fresh, never from the store (field D34). */
  readonly position: Position;
  readonly peers: readonly PeerFacts[];
  readonly cluster: ClusterView;
  readonly settings: Settings;
  /** Valid hand-over marker of the leader that resigned, null when it vanished. */
  readonly handover: Handover | null;
  /** Member that an operator named for a failover while nobody leads (contract 5.9c); null: none. */
  readonly requested: string | null;
  /** How long the leader key has been free, ms. */
  readonly leaderlessMs: number;
  /** How long this node's own member key has been there, ms: little after an outage of the store. */
  readonly memberMs: number;
  /** Why the watchdog that this node needs cannot be used, null when nothing is known against it. */
  readonly watchdogFailure: string | null;
}

const yes = (why: string): Candidacy => ({ eligible: true, why, waiting: false });
const no = (why: string): Candidacy => ({ eligible: false, why, waiting: false });
const wait = (why: string): Candidacy => ({ eligible: false, why, waiting: true });

/** May this node take the free leader key? Rules in order; the first that applies decides. */
export function candidacy(situation: CandidateSituation): Candidacy {
  return (
    barred(situation) ??
    livePrimary(situation) ??
    requestedMember(situation) ??
    unrecordedTimeline(situation) ??
    belowFloor(situation) ??
    namedCandidate(situation) ??
    tooFewVotes(situation) ??
    lagging(situation) ??
    behindPeer(situation) ??
    behindSilentPeer(situation) ??
    behindAbsentMember(situation) ??
    yes(`at ${at(situation.position)}, no living member is ahead`)
  );
}

function barred({
  settings,
  cluster,
  name,
  handover,
  requested,
  watchdogFailure,
}: CandidateSituation): Candidacy | null {
  if (watchdogFailure !== null) return no(`watchdog.mode is required, and ${watchdogFailure}`);
  // In pause only what an operator asked for is done, and by nobody else (contract 5.9).
  if (settings.paused && requested !== name && handover?.candidate !== name)
    return no('the cluster is paused');
  if (settings.standbyCluster) {
    return no('standby_cluster is configured, which this version does not run');
  }
  if (settings.tags.nofailover || settings.tags.failoverPriority <= 0) {
    return no('the nofailover tag is set');
  }
  // The leader may be going on without the store, and has asked everybody but this member (contract 5.9a).
  if (requested !== name && isLeftOut(name, { settings, cluster })) {
    return no('failsafe mode is on and /failsafe does not name this member');
  }
  // An operator who names this member takes the loss upon himself (contract 5.9c; field D37).
  if (requested !== name && vouched(name, { settings, cluster }) === 'no') {
    return no('synchronous mode is on and /sync does not name this member');
  }
  return null;
}

/** Whoever cannot win must not be waited for (simulator, test-1117). */
function isLeftOut(
  name: string,
  { settings, cluster }: Pick<CandidateSituation, 'settings' | 'cluster'>,
): boolean {
  const { failsafe } = cluster;
  if (!settings.failsafeMode) return false;
  return failsafe !== null && Object.keys(failsafe).length > 0 && failsafe[name] === undefined;
}

function livePrimary({ peers }: CandidateSituation): Candidacy | null {
  const primary = peers.find((peer) => peer.answer.known && !peer.answer.value.inRecovery);
  return primary === undefined ? null : wait(`primary ${primary.name} is still alive`);
}

/** An operator takes the loss upon himself: neither lag nor a peer that is ahead stands in the way. */
function requestedMember({ requested, peers, name }: CandidateSituation): Candidacy | null {
  if (requested === null) return null;
  if (requested === name) return yes('an operator asked for a failover to this member');
  const answer = peers.find((peer) => peer.name === requested)?.answer;
  return answer?.known === true
    ? wait(`an operator asked for a failover to ${requested}, which is alive`)
    : null;
}

/** A timeline that nobody recorded comes from a promotion outside the race (field D44, D51). */
function unrecordedTimeline({
  position,
  cluster,
  settings,
  name,
}: CandidateSituation): Candidacy | null {
  // Had a commit been acknowledged on a later timeline, /sync would not name this member (field D40).
  if (activeSync({ settings, cluster }) !== null) return null;
  const recorded = recordedTimeline(cluster);
  if (recorded === null) {
    return settings.checkTimeline && position.timeline === 0 ? no('own timeline is unknown') : null;
  }
  if (position.timeline > recorded) {
    const follower = cluster.members.find(
      (member) => member.name !== name && member.timeline === recorded && mayLead(member),
    );
    if (follower === undefined) return null;
    return no(
      `own timeline ${position.timeline} was never recorded (the cluster is on ${recorded}), and ${follower.name} is on the recorded one`,
    );
  }
  // By /history alone: a claim whose winner died before promoting binds nobody.
  const promoted = clusterTimeline(cluster.history);
  if (settings.checkTimeline && promoted !== null && position.timeline < promoted) {
    return no(`own timeline ${position.timeline} is older than the cluster's timeline ${promoted}`);
  }
  return null;
}

/** Newest timeline that the store knows to be legitimate; null when nothing is recorded. */
export function recordedTimeline(cluster: ClusterView): number | null {
  const byHistory = clusterTimeline(cluster.history);
  const byClaim = cluster.timelines?.claims.at(-1)?.[0] ?? null;
  if (byClaim === null) return byHistory;
  return byHistory === null ? byClaim : Math.max(byHistory, byClaim);
}

/** A planned hand-over loses nothing: nobody below its end wins while a living member has it (F4). */
function belowFloor({
  handover,
  position,
  cluster,
  settings,
  peers,
  name,
}: CandidateSituation): Candidacy | null {
  const floor = handover?.floorLsn ?? null;
  if (handover === null || floor === null || position.lsn >= floor) return null;
  const holder = cluster.members.find((member) => {
    if (member.name === name || member.name === handover.leader || !mayLead(member)) return false;
    if (vouched(member.name, { settings, cluster }) === 'no') return false;
    if (isLeftOut(member.name, { settings, cluster })) return false;
    const answer = peers.find((peer) => peer.name === member.name)?.answer;
    const known = answer?.known === true ? answer.value.position : (member.position ?? 0);
    return Math.max(known, member.position ?? 0) >= floor;
  });
  if (holder === undefined) return null;
  return wait(
    `at ${at(position)}, below the hand-over's end ${formatLsn(floor)}, which ${holder.name} has`,
  );
}

/** Time that the member which a hand-over names has for itself, ms: the others do not even ask. */
const NAMED_FIRST_MS = 1000;

/** Whether somebody else is named, has a living key, and has had less than its time. */
export function awaitsNamed(
  handover: Handover | null,
  cluster: ClusterView,
  name: string,
  leaderlessMs: number,
): boolean {
  const candidate = handover?.candidate ?? null;
  if (candidate === null || candidate === name || leaderlessMs >= NAMED_FIRST_MS) return false;
  return cluster.members.some((member) => member.name === candidate && member.leaseId !== null);
}

function namedCandidate(situation: CandidateSituation): Candidacy | null {
  const { handover, position, peers, name, cluster, leaderlessMs, settings } = situation;
  const candidate = handover?.candidate ?? null;
  if (candidate === null || leaderlessMs > settings.ttlMs) return null;
  // Whoever went another way than the leader is no heir of it, whatever its position says (S6).
  const heir = position.timeline >= (handover?.timeline ?? 0);
  if (candidate === name && !heir) return null;
  // A name is no vote: without the end of a clean shutdown the others have to be asked.
  if (candidate === name && needsVotes(situation)) return null;
  if (candidate === name) return yes('named as the candidate of the hand-over');
  if (isLeftOut(candidate, situation)) return null;
  if (awaitsNamed(handover, cluster, name, leaderlessMs)) return wait(`${candidate} was named`);
  const answer = peers.find((peer) => peer.name === candidate)?.answer;
  return answer?.known === true ? wait(`${candidate} was named and is alive`) : null;
}

/** Whoever holds the end of a clean shutdown holds everything; others need the votes of `/sync`. */
function needsVotes({ name, settings, cluster, handover, position }: CandidateSituation): boolean {
  if (vouched(name, { settings, cluster }) !== 'by votes') return false;
  const floor = handover?.floorLsn ?? null;
  return floor === null || position.lsn < floor || position.timeline < (handover?.timeline ?? 0);
}

function tooFewVotes(situation: CandidateSituation): Candidacy | null {
  const { name, peers, position } = situation;
  const sync = activeSync(situation);
  if (sync === null || !needsVotes(situation)) return null;
  const { needed, votes } = ballot(name, sync, peers, (theirs) =>
    isAhead({ timeline: theirs.timeline ?? position.timeline, lsn: theirs.position }, position),
  );
  if (votes.length >= needed) return null;
  const of = `${votes.length} of ${needed} votes${votes.length > 0 ? ` (${votes.join(', ')})` : ''}`;
  return wait(`${of}: members of /sync that are not ahead and receive nothing any more`);
}

/**
 * The bound operators set on what may be lost. It is held against this node's own fresh position:
 * one that was published before the leader died would bar everybody for ever (field D34).
 */
function lagging({
  cluster,
  position,
  settings,
  handover,
  name,
}: CandidateSituation): Candidacy | null {
  // Whoever /sync lets lead holds everything that was acknowledged, however much more was written.
  if (activeSync({ settings, cluster }) !== null) return null;
  const floor = handover?.floorLsn ?? null;
  if (handover?.candidate === name || (floor !== null && position.lsn >= floor)) return null;
  const optime = cluster.status.optime;
  if (optime === null) return null;
  const lag = optime - position.lsn;
  if (lag <= settings.maximumLagOnFailover) return null;
  return wait(
    `${lag} bytes behind the last position the leader published, more than maximum_lag_on_failover ${settings.maximumLagOnFailover}; when the leader is lost for good, a manual failover to a named member overrides this`,
  );
}

function behindPeer(situation: CandidateSituation): Candidacy | null {
  const { position, cluster, peers, settings, handover } = situation;
  for (const peer of peers) {
    if (!peer.answer.known || peer.answer.value.watchdogFailed) continue;
    if (isLeftOut(peer.name, situation)) continue;
    // Who gave the lease away without a floor has said that it cannot lead.
    if (peer.name === handover?.leader && handover.floorLsn === null) continue;
    // The former leader may have written more than was ever acknowledged (contract 5.9b).
    if (vouched(peer.name, situation) === 'no' || peer.name === activeSync(situation)?.leader)
      continue;
    const { tags, position: lsn, timeline } = peer.answer.value;
    if (tags.nofailover || tags.failoverPriority <= 0) continue;
    const theirs: Position = { timeline: timeline ?? position.timeline, lsn };
    if (!isRecorded(theirs.timeline, cluster)) continue;
    if (isAhead(theirs, position)) {
      const why = `${peer.name} is ahead at ${at(theirs)}, own position is ${at(position)}`;
      const moving = theirs.timeline === position.timeline;
      return { eligible: false, why, waiting: true, ...(moving && { behind: peer.name }) };
    }
    const equal = theirs.timeline === position.timeline && theirs.lsn === position.lsn;
    if (equal && tags.failoverPriority > settings.tags.failoverPriority) {
      return wait(
        `${peer.name} has the same position and the higher failover_priority ${tags.failoverPriority}`,
      );
    }
  }
  return null;
}

/**
 * A member whose lease lives but whose agent does not answer may hold more than we do: it gets a
 * moment, never the whole cluster.
 */
function behindSilentPeer(situation: CandidateSituation): Candidacy | null {
  const { position, cluster, peers, name, leaderlessMs, settings, handover } = situation;
  if (leaderlessMs > Math.min(settings.ttlMs, 5000) || activeSync(situation) !== null) return null;
  const silent = cluster.members.find((member) => {
    // Whoever gave the lease away has said that it cannot lead.
    if (member.name === name || member.name === handover?.leader) return false;
    if (!mayLead(member) || member.position === null) return false;
    if (isLeftOut(member.name, situation)) return false;
    const answer = peers.find((peer) => peer.name === member.name)?.answer;
    if (answer === undefined || answer.known) return false;
    const theirs = { timeline: member.timeline ?? position.timeline, lsn: member.position };
    return isRecorded(theirs.timeline, cluster) && isAhead(theirs, position);
  });
  return silent === undefined
    ? null
    : wait(`${silent.name} does not answer but published a position ahead of ours`);
}

/** Members that lost their keys together are back within this time, ms. */
const COMING_BACK_MS = 3000;

/**
 * After an outage of the store every member key may be gone: whoever comes back first sees nobody,
 * though others hold more. Who has just come back, or knows that it lacks something, gives them a
 * moment.
 */
function behindAbsentMember(situation: CandidateSituation): Candidacy | null {
  const { position, cluster, name, leaderlessMs, memberMs, settings, handover } = situation;
  if (leaderlessMs > Math.min(settings.ttlMs, 5000) || activeSync(situation) !== null) return null;
  const promoted = clusterTimeline(cluster.history) ?? 0;
  if (position.timeline < promoted)
    return wait(`own position is ${at(position)}, and others may be on timeline ${promoted}`);
  const { optime, slots } = cluster.status;
  const left = handover?.leader ?? cluster.timelines?.claims.at(-1)?.[1] ?? '';
  const here = [...cluster.members.map((member) => member.name), name, left].map(slotName);
  const absent = Object.keys(slots).filter((slot) => !here.includes(slot));
  if (absent.length === 0) return null;
  if (optime !== null && position.lsn < optime)
    return wait(
      `at ${at(position)}, behind the last published ${formatLsn(optime)}, and ${absent.join(', ')} may come back with it`,
    );
  return memberMs < COMING_BACK_MS
    ? wait(`this member has just come back, and ${absent.join(', ')} may do so too and hold more`)
    : null;
}

function isRecorded(timeline: number, cluster: ClusterView): boolean {
  const recorded = recordedTimeline(cluster);
  return recorded === null || timeline <= recorded;
}

function isAhead(theirs: Position, ours: Position): boolean {
  return theirs.timeline === ours.timeline
    ? theirs.lsn > ours.lsn
    : theirs.timeline > ours.timeline;
}

function mayLead(member: Member): boolean {
  return !member.tags.nofailover && member.tags.failoverPriority > 0;
}

/** So many promotions may have gone unrecorded. */
const PUBLISHED_AHEAD = 100;

/** Timeline to reserve: above every claim, every record and every published timeline (S6). */
export function nextTimeline(cluster: ClusterView, own: number): number {
  const claimed = (cluster.timelines?.claims ?? []).map(([timeline]) => timeline);
  const recorded = Math.max(own, clusterTimeline(cluster.history) ?? 0, ...claimed);
  const published = cluster.members
    .map((member) => (member.leaseId === null ? 0 : (member.timeline ?? 0)))
    // A record is not a reservation: one absurd number must not use up all timelines.
    .filter((timeline) => timeline <= recorded + PUBLISHED_AHEAD);
  return Math.max(recorded, ...published) + 1;
}

/** Members that a resigning leader may hope for: alive, allowed to lead, and named in an active `/sync`; best first. */
export function handoverCandidates(
  cluster: ClusterView,
  leader: string,
  settings: Pick<Settings, 'synchronousMode'>,
): readonly string[] {
  const bySync = activeSync({ settings, cluster }) !== null;
  return cluster.members
    .filter((member) => member.name !== leader && mayLead(member) && member.state === 'running')
    .filter((member) => !bySync || isSynchronous(member.name, cluster))
    .sort(
      (a, b) =>
        b.tags.failoverPriority - a.tags.failoverPriority || (b.position ?? 0) - (a.position ?? 0),
    )
    .map((member) => member.name);
}

/** Is there anybody else who could take over from a leader whose PostgreSQL is down? */
export function failoverPossible(
  cluster: ClusterView,
  leader: string,
  settings: Pick<Settings, 'synchronousMode'>,
): boolean {
  const others = handoverCandidates(cluster, leader, settings).length;
  // One of them needs the votes of so many more, and the leader that goes may not be there.
  return others > (activeSync({ settings, cluster })?.quorum ?? 0);
}

function at(position: Position): string {
  return `${formatLsn(position.lsn)} on timeline ${position.timeline}`;
}
