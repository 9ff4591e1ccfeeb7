/**
 * Carries out the steps of a decision, in order. Nothing is chosen here: a step says all there is
 * to do, and the first that fails ends the tick. Each write re-proves its premise (rule S2).
 */
import type { Clock } from './clock.ts';
import { recordedHistory } from './core/history.ts';
import type { ClusterView, Job, Observation, Step } from './core/model.ts';
import { memberNamed, upstreamOf } from './core/rules.ts';
import { promotionMarginMs } from './core/timing.ts';
import { handOver } from './handover.ts';
import type { Jobs } from './jobs.ts';
import type { LeaseKeeper } from './lease.ts';
import type { Postgres } from './postgres/postgres.ts';
import type { Leadership, Store } from './store/store.ts';

/** This node's own memory on disk; see Journal. */
export interface NodeJournal {
  readonly node: { readonly promotedHere: readonly number[]; readonly leaseId: string | null };
  /** On disk before a promotion is begun. @throws when it cannot be written */
  promoting(timeline: number): Promise<void>;
  leading(leaseId: string | null): Promise<void>;
  forgetPromotions(): Promise<void>;
  tell(event: Readonly<Record<string, unknown>>): void;
}

export interface ActOptions {
  readonly clock: Clock;
  readonly store: Store;
  readonly postgres: Postgres;
  readonly lease: LeaseKeeper;
  readonly jobs: Jobs;
  readonly journal: NodeJournal;
  readonly name: string;
  /** What becomes `/config` of a new cluster. */
  readonly initialConfig: () => Readonly<Record<string, unknown>>;
  readonly log: (level: 'info' | 'warning' | 'error', text: string) => void;
  /** `/history` is up to date for this timeline. */
  readonly onHistoryWritten: (timeline: number) => void;
}

/** A premise of a step did not hold when it was to be carried out. Ends the tick; the next one looks again. */
export class StepRefused extends Error {
  override readonly name = 'StepRefused';
}

/** Time that a fast stop may take before it is called failed, ms: clients that hold on are cut by it. */
const STOP_TIMEOUT_MS = 60_000;
const IMMEDIATE_TIMEOUT_MS = 15_000;
const PROMOTE_TIMEOUT_MS = 60_000;
const ORPHANS_TIMEOUT_MS = 5_000;
/** How long a candidate gets to receive the end of the shutdown checkpoint, ms. */
const HANDOVER_PATIENCE_MS = 10_000;

export class Act {
  readonly #options: ActOptions;

  constructor(options: ActOptions) {
    this.#options = options;
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
        return this.#finishBootstrap(step.systemIdentifier);
      case 'campaign':
      case 'claim':
      case 'takeOver':
        return this.#takeKey(step, clusterOf(seen));
      case 'resign':
        return this.#resign(step);
      case 'startJob':
        return this.#begin(step.job, seen);
      case 'cancelJob':
        return jobs.cancel();
      case 'follow':
        if (await postgres.follow(step.upstream))
          this.#options.log('info', `following ${step.upstream?.name ?? 'nobody'}`);
        return;
      case 'slots':
        return postgres.slots(step);
      case 'killOrphans':
        await postgres.killOrphans(ORPHANS_TIMEOUT_MS);
        return;
      case 'writeHistory':
        return this.#writeHistory(
          step.timeline,
          clusterOf(seen),
          seen.settings.maximumTimelinesHistory,
        );
      case 'writeInitialize':
        return refuseUnless(
          await store.writeInitialize(this.#leadership(), step.systemIdentifier),
          'no longer the leader',
        );
      case 'writeConfig':
        return refuseUnless(
          await store.writeConfig(this.#leadership(), this.#options.initialConfig()),
          'no longer the leader',
        );
      case 'clearFailover':
        return refuseUnless(
          await store.clearFailover(this.#leadership(), step.modRevision),
          'the failover key has changed',
        );
      case 'exit':
        // The loop's to carry out: it ends the process after everything before it.
        return;
    }
  }

  #leadership(): Leadership {
    const { leadership } = this.#options.lease;
    if (leadership === null) throw new StepRefused('no longer the leader');
    return leadership;
  }

  async #finishBootstrap(systemIdentifier: string): Promise<void> {
    const { lease, journal } = this.#options;
    const result = await lease.finishBootstrap(systemIdentifier, this.#options.initialConfig());
    if (!result.won)
      throw new StepRefused(`could not finish the bootstrap in the store: ${result.why}`);
    await journal.leading(lease.facts().leaseId);
  }

  async #takeKey(
    step: Extract<Step, { do: 'campaign' | 'claim' | 'takeOver' }>,
    cluster: ClusterView,
  ): Promise<void> {
    const { lease, store, name, journal } = this.#options;
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
    const result =
      step.do === 'campaign'
        ? await lease.campaign(step.claim, seenTimelines)
        : await lease.takeOver(step.modRevision);
    if (!result.won) throw new StepRefused(`Could not take out TTL lock: ${result.why}`);
    await journal.leading(lease.facts().leaseId);
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

  #begin(job: Job, seen: Observation): void {
    const { jobs, postgres, journal } = this.#options;
    switch (job.kind) {
      case 'bootstrap':
        jobs.begin('bootstrap', '', async (progress, signal) => {
          const { systemIdentifier } = await postgres.bootstrap(progress, signal);
          await journal.forgetPromotions();
          return `initialized with system identifier ${systemIdentifier}`;
        });
        break;
      case 'clone':
        jobs.begin('clone', job.from.name, async (progress, signal) => {
          await postgres.clone(job.from, progress, signal);
          await journal.forgetPromotions();
          return `replica has been created from ${job.from.name}`;
        });
        break;
      case 'rewind':
        jobs.begin('rewind', job.from.name, async (progress) => {
          await postgres.rewind(job.from, progress);
          return `rewound to ${job.from.name}: ${job.why}`;
        });
        break;
      case 'start':
        this.#beginStart(job, seen);
        break;
      case 'stop':
        jobs.begin(
          'stop',
          `${job.mode}${job.why === undefined ? '' : `, ${job.why}`}`,
          async () => {
            const timeoutMs = job.mode === 'fast' ? STOP_TIMEOUT_MS : IMMEDIATE_TIMEOUT_MS;
            await postgres.stop(job.mode, { becomeStandby: job.becomeStandby, timeoutMs });
            return 'PostgreSQL is stopped';
          },
        );
        break;
      case 'promote':
        this.#beginPromotion(job.claim, seen);
        break;
      case 'handover':
        this.#beginHandover(job, seen);
        break;
    }
  }

  #beginStart(job: Extract<Job, { kind: 'start' }>, seen: Observation): void {
    const { jobs, postgres } = this.#options;
    if (job.as === 'primary') this.#mustHoldLease(seen.settings.ttlMs);
    // A standby may replay for as long as it needs; a primary has the time that operators allow.
    const timeoutMs =
      job.as === 'primary' ? Math.max(1000, seen.settings.primaryStartTimeoutMs) : 3_600_000;
    jobs.begin('start', `as ${job.as}`, async (progress, signal) => {
      const upstream = job.as === 'standby' ? job.upstream : null;
      await postgres.start(job.as, upstream, timeoutMs, progress, signal);
      return `PostgreSQL is up as ${job.as}`;
    });
  }

  #beginPromotion(claim: number, seen: Observation): void {
    const { jobs, postgres, journal } = this.#options;
    this.#mustHoldLease(seen.settings.ttlMs);
    jobs.begin('promote', `to timeline ${claim}`, async (progress) => {
      progress('recording the promotion');
      await journal.promoting(claim);
      this.#mustHoldLease(seen.settings.ttlMs);
      progress('promoting');
      const timeline = await postgres.promote(claim, PROMOTE_TIMEOUT_MS);
      if (timeline !== claim) {
        this.#options.log(
          'warning',
          `promoted to timeline ${timeline}, although ${claim} was reserved`,
        );
        await journal.promoting(timeline);
      }
      return `promoted to timeline ${timeline}`;
    });
  }

  /** Proven, and for long enough: re-proved at the moment of acting (S1, field D6). */
  #mustHoldLease(ttlMs: number): void {
    const { holdsLeaderKey, deadline } = this.#options.lease.facts();
    const left = deadline === null ? 0 : deadline - this.#options.clock.now();
    if (!holdsLeaderKey || left < promotionMarginMs(ttlMs)) {
      throw new StepRefused(
        `the lease is not proven for long enough (${Math.round(left)} ms left)`,
      );
    }
  }

  #beginHandover(job: Extract<Job, { kind: 'handover' }>, seen: Observation): void {
    const { jobs, postgres, lease, clock, name, log } = this.#options;
    const cluster = clusterOf(seen);
    const candidates = job.candidates.flatMap((candidate) => {
      const member = memberNamed(cluster, candidate);
      const upstream = member === null ? null : upstreamOf(member);
      return upstream === null ? [] : [upstream];
    });
    jobs.begin('handover', `to ${job.candidates.join(', ') || 'nobody'}`, (progress) =>
      handOver(
        {
          clock,
          postgres,
          lease,
          name,
          candidates,
          named: job.named,
          patienceMs: HANDOVER_PATIENCE_MS,
          stopTimeoutMs: STOP_TIMEOUT_MS,
          releaseAnyway: !job.thenStandby,
          log,
        },
        progress,
      ),
    );
  }
}

function clusterOf(seen: Observation): ClusterView {
  if (!seen.cluster.known) throw new StepRefused('the store cannot be read');
  return seen.cluster.value;
}

function refuseUnless(done: boolean, why: string): void {
  if (!done) throw new StepRefused(why);
}

/** ISO 8601 with an explicit zone, as `/history` has it (contract 2.3). */
function isoWithZone(at: Date | null): string | null {
  return at === null ? null : at.toISOString().replace(/Z$/, '000+00:00');
}
