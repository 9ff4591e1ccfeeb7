/**
 * Carries out the steps of a decision, in order. Nothing is chosen here: a step says all there is
 * to do, and the first that fails ends the tick. Each write re-proves its premise (rule S2).
 */
import { recordedHistory } from './core/history.ts';
import type { ClusterView, Observation, Step } from './core/model.ts';
import type { NamesInForce } from './core/streaming.ts';
import type { Failsafe } from './failsafe/failsafe.ts';
import type { Measures } from './measures.ts';
import type { Leadership, Store } from './store/store.ts';
import { clusterOf, refuseUnless, StepRefused, Work, type WorkOptions } from './work.ts';

export { StepRefused } from './work.ts';

export interface ActOptions extends WorkOptions {
  readonly store: Store;
  readonly failsafe: Pick<Failsafe, 'standing'>;
  readonly measures: Pick<Measures, 'elected'>;
  /** What becomes `/config` of a new cluster. */
  readonly initialConfig: () => Readonly<Record<string, unknown>>;
  /** `/history` is up to date for this timeline. */
  readonly onHistoryWritten: (timeline: number) => void;
  /** Between the two, what becomes of a write of `/sync` is not known. */
  readonly onSyncWrite: (state: 'sent' | 'settled') => void;
  /** synchronous_standby_names came into force; null: from now on it is not known which are. */
  readonly onNamesInForce: (names: NamesInForce | null) => void;
}

const ORPHANS_TIMEOUT_MS = 5_000;
const NAMES_TIMEOUT_MS = 2_000;

export class Act {
  readonly #options: ActOptions;
  readonly #work: Work;

  constructor(options: ActOptions) {
    this.#options = options;
    this.#work = new Work(options);
  }

  /** @throws StepRefused, store and PostgreSQL errors: the rest of the steps is not carried out */
  async carryOut(step: Step, seen: Observation): Promise<void> {
    const { store, postgres, jobs, name } = this.#options;
    switch (step.do) {
      case 'raceInitialize':
        return refuseUnless(await store.raceInitialize(name), 'failed to acquire initialize lock');
      case 'releaseInitialize':
        return refuseUnless(
          await store.releaseInitialize(name, step.modRevision),
          '/initialize is not ours to release',
        );
      case 'finishBootstrap':
        return this.#finishBootstrap(step.systemIdentifier, seen.settings.ttlMs);
      case 'campaign':
      case 'claim':
      case 'takeOver':
        return this.#takeKey(step, clusterOf(seen), seen.memory.leaderlessSince);
      case 'resign':
        return this.#resign(step);
      case 'startJob':
        return this.#work.begin(step.job, seen);
      case 'cancelJob':
        return jobs.cancel();
      case 'follow':
        if (await postgres.follow(step.upstream))
          this.#options.log('info', `following ${step.upstream?.name ?? 'nobody'}`);
        return;
      case 'slots':
        return postgres.slots(step);
      case 'writeSync':
      case 'setSynchronousNames':
      case 'endSender':
        return this.#synchronize(step);
      case 'killEverything':
        postgres.freezeEverything();
        postgres.killEverything();
        return;
      case 'killOrphans':
        await postgres.killOrphans(ORPHANS_TIMEOUT_MS);
        return;
      case 'writeHistory':
        return this.#writeHistory(
          step.timeline,
          clusterOf(seen),
          seen.settings.maximumTimelinesHistory,
        );
      case 'tellUnconfirmed':
      case 'writeInitialize':
      case 'writeConfig':
        return refuseUnless(await this.#writeAsLeader(step), 'no longer the leader');
      case 'clearFailover':
        return refuseUnless(
          await store.clearFailover(this.#leadership(), step.modRevision),
          'the failover key has changed',
        );
      case 'answer':
        return this.#options.requests.settle(step.request, step);
      case 'dropSchedule':
        this.#options.log('info', `the scheduled restart is gone: ${step.why}`);
        this.#options.requests.unschedule();
        return;
      case 'withdraw':
      case 'exit':
        // The loop's to carry out: the member key says the one, the process ends with the other.
        return;
    }
  }

  #leadership(): Leadership {
    const { leadership } = this.#options.lease;
    if (leadership === null) throw new StepRefused('no longer the leader');
    return leadership;
  }

  async #writeAsLeader(
    step: Extract<Step, { do: 'tellUnconfirmed' | 'writeInitialize' | 'writeConfig' }>,
  ): Promise<boolean> {
    const { store, initialConfig, log } = this.#options;
    const leadership = this.#leadership();
    if (step.do === 'writeConfig') return store.writeConfig(leadership, initialConfig());
    if (step.do === 'writeInitialize')
      return store.writeInitialize(leadership, step.systemIdentifier);
    log('warning', step.fate);
    return store.writeUnconfirmed(leadership, null);
  }

  async #synchronize(
    step: Extract<Step, { do: 'writeSync' | 'setSynchronousNames' | 'endSender' }>,
  ): Promise<void> {
    const { store, postgres } = this.#options;
    switch (step.do) {
      case 'writeSync': {
        const leadership = this.#leadership();
        this.#options.onSyncWrite('sent');
        const written = await store.writeSync(leadership, step.content, step.modRevision);
        this.#options.onSyncWrite('settled');
        return refuseUnless(written, 'no longer the leader, or /sync has changed');
      }
      case 'setSynchronousNames':
        return this.#setSynchronousNames(step.names);
      case 'endSender':
        return postgres.endSender(step.pid, step.startedAt);
    }
  }

  /** The store was told before, as leader; that must still be so when commits stop waiting (S2). */
  async #setSynchronousNames(names: string | null): Promise<void> {
    const { postgres, lease, clock } = this.#options;
    this.#leadership();
    const { deadline } = lease.facts();
    refuseUnless(deadline !== null && clock.now() < deadline, 'the lease is not proven');
    // Late, they may come into force behind our back: then nothing may rely on the former ones.
    this.#options.onNamesInForce(null);
    const inForce = await postgres.setSynchronousNames(names, NAMES_TIMEOUT_MS);
    if (inForce.flushedLsn === null) return;
    this.#options.onNamesInForce({
      names: inForce.names,
      lsn: inForce.flushedLsn,
      ofUser: names === null,
    });
  }

  async #finishBootstrap(systemIdentifier: string, ttlMs: number): Promise<void> {
    const { lease, journal, fence, clock } = this.#options;
    // The member's lease was renewed ttl / 3 ago at the latest, so this comes before its end.
    const result = await fence.during(clock.now() + ttlMs / 2, () =>
      lease.finishBootstrap(systemIdentifier, this.#options.initialConfig()),
    );
    if (!result.won)
      throw new StepRefused(`could not finish the bootstrap in the store: ${result.why}`);
    await journal.leading(lease.facts().leaseId);
  }

  async #takeKey(
    step: Extract<Step, { do: 'campaign' | 'claim' | 'takeOver' }>,
    cluster: ClusterView,
    freeSince: number | null,
  ): Promise<void> {
    const { lease, store, name, journal, failsafe, measures, clock } = this.#options;
    const seenTimelines = cluster.timelines?.modRevision ?? 0;
    if (step.do === 'claim') {
      const claimed = await store.claimTimeline(
        name,
        this.#leadership(),
        step.claim,
        seenTimelines,
      );
      return refuseUnless(claimed, `timeline ${step.claim} could not be reserved`);
    }
    // Given since the look: whoever relies on it must not find a second primary (contract 5.4).
    const promise = failsafe.standing;
    if (step.do === 'campaign' && promise !== null && promise.leader !== name)
      throw new StepRefused(`${promise.leader} goes on without the store`);
    const result =
      step.do === 'campaign'
        ? await lease.campaign(step.claim, seenTimelines, () => this.#recordWin(step.claim))
        : await lease.takeOver(step.modRevision);
    if (!result.won) throw new StepRefused(`Could not take out TTL lock: ${result.why}`);
    if (step.do === 'campaign') measures.elected(freeSince, clock.now());
    await journal.leading(lease.facts().leaseId);
  }

  /** Clients wait: the disk has both, in one write, by the time that the promotion asks for them (F4). */
  #recordWin(claim: number | null): void {
    const { journal, lease, log } = this.#options;
    const written = [journal.leading(lease.facts().leaseId)];
    if (claim !== null) written.push(journal.promoting(claim));
    Promise.all(written).catch((error: unknown) =>
      log('warning', `recording the promotion: ${String(error)}`),
    );
  }

  async #resign(step: Extract<Step, { do: 'resign' }>): Promise<void> {
    const { lease, name } = this.#options;
    const marker = {
      leader: name,
      floorLsn: step.floorLsn,
      timeline: step.timeline,
      candidate: step.candidate,
    };
    refuseUnless(await lease.resign(marker, null), 'the leader key was not ours any more');
  }

  async #writeHistory(timeline: number, cluster: ClusterView, maximum: number): Promise<void> {
    const { postgres, store, name } = this.#options;
    const { entries, writtenAt } = await postgres.history(timeline);
    // Whoever reserved this timeline led it; only its own leader knows that it was this node.
    const leader =
      cluster.timelines?.claims.findLast(([claimed]) => claimed === timeline)?.[1] ?? name;
    const newest = { at: isoWithZone(writtenAt), leader };
    const rows = recordedHistory(cluster.history ?? [], entries, newest, maximum);
    refuseUnless(await store.writeHistory(this.#leadership(), rows), 'no longer the leader');
    this.#options.onHistoryWritten(timeline);
  }
}

/** ISO 8601 with an explicit zone, as `/history` has it (contract 2.3). */
function isoWithZone(at: Date | null): string | null {
  return at === null ? null : at.toISOString().replace(/Z$/, '000+00:00');
}
