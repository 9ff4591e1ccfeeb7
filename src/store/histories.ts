/**
 * Which history of the store an answer belongs to, and whether it is from a past that is already
 * left behind (rule S3). A store that was wiped or restored keeps its cluster id while revisions and
 * raft terms begin again: to hold on to the old ones for ever would refuse it for ever (D20).
 */
import type { Clock } from '../clock.ts';
import type { CallKind, CallOptions, Header } from './keyvalue.ts';

/** For callers that do not say; above it no lease of a default configuration is still alive. */
export const FORGET_AFTER_MS = 60_000;

/** Nothing but answers from before what is known, without a good one in between. */
interface Doubt {
  readonly clusterId: string;
  /** Of the first such answer. */
  readonly since: number;
  /** Endpoints asked after the time was over: the last word is theirs, all of them. */
  readonly asked: Set<number>;
  /** At least one of them answered, from the past as before. */
  confirmed: boolean;
}

export class Histories {
  readonly #clock: Clock;
  readonly #endpoints: number;
  /** Highest raft term seen, by store (D14). */
  readonly #terms = new Map<string, number>();
  /** How often the history of a store began anew. */
  readonly #begun = new Map<string, number>();
  #doubt: Doubt | null = null;

  /** @param endpoints how many there are */
  constructor(clock: Clock, endpoints: number) {
    this.#clock = clock;
    this.#endpoints = endpoints;
  }

  /**
   * The header as the callers see it: a history that began anew is another store to them, so that
   * nothing they know of the old one is compared with it.
   */
  header(found: Header): Header {
    const begun = this.#begun.get(found.clusterId) ?? 0;
    return begun === 0 ? found : { ...found, clusterId: `${found.clusterId}#${begun}` };
  }

  /**
   * Why the answer is refused, null when it is not. Keep-alives and the like are answered without
   * raft, by a member that may be deposed or behind: they are no evidence of a new history.
   */
  refusal(found: Header, kind: CallKind, options: CallOptions): string | null {
    const { clusterId, revision, raftTerm } = found;
    const highest = this.#terms.get(clusterId) ?? 0;
    const { notBefore } = options;
    const known = notBefore?.clusterId === this.header(found).clusterId ? notBefore.revision : 0;
    const older = raftTerm < highest || revision < known;
    if (!older) this.#doubt = null;
    else if (kind === 'read') this.#suspect(clusterId, options);
    if (raftTerm < highest) return `answered in raft term ${raftTerm}, but ${highest} has begun`;
    this.#terms.set(clusterId, raftTerm);
    if (kind !== 'read' || revision >= known) return null;
    return `answered with revision ${revision}, but ${known} is known`;
  }

  /**
   * A read got no acceptable answer from this endpoint. Once that has been so for long enough, and
   * every endpoint was given another chance after that, what was known is forgotten.
   */
  failed(endpoint: number, kind: CallKind, options: CallOptions): void {
    const doubt = this.#doubt;
    if (doubt === null || kind !== 'read' || !this.#isOver(doubt, options)) return;
    doubt.asked.add(endpoint);
    if (doubt.asked.size < this.#endpoints) return;
    if (!doubt.confirmed) {
      doubt.asked.clear();
      return;
    }
    const { clusterId } = doubt;
    this.#terms.delete(clusterId);
    this.#begun.set(clusterId, (this.#begun.get(clusterId) ?? 0) + 1);
    this.#doubt = null;
  }

  #suspect(clusterId: string, options: CallOptions): void {
    if (this.#doubt?.clusterId !== clusterId) {
      const since = this.#clock.now();
      this.#doubt = { clusterId, since, asked: new Set(), confirmed: false };
    }
    if (this.#isOver(this.#doubt, options)) this.#doubt.confirmed = true;
  }

  #isOver({ since }: Doubt, { forgetAfterMs = FORGET_AFTER_MS }: CallOptions): boolean {
    return this.#clock.now() - since > forgetAfterMs;
  }
}
