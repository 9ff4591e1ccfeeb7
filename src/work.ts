/**
 * Begins the jobs of a decision: the long work on the local PostgreSQL, one piece at a time (rule
 * S9). Nothing is chosen here; what makes a primary re-proves the lease at the moment of acting.
 */
import type { Clock } from './clock.ts';
import type { ClusterView, Job, Observation } from './core/model.ts';
import { memberNamed, upstreamOf } from './core/rules.ts';
import { promotionMarginMs } from './core/timing.ts';
import type { Fence } from './fence/fence.ts';
import { handOver } from './handover.ts';
import type { Jobs } from './jobs.ts';
import type { LeaseKeeper } from './lease.ts';
import type { NodeJournal } from './node-journal.ts';
import { type Postgres, PostgresError, type Progress } from './postgres/postgres.ts';
import type { Scripts } from './postgres/scripts.ts';
import type { Requests } from './requests.ts';

export interface WorkOptions {
  readonly clock: Clock;
  readonly postgres: Postgres;
  readonly lease: LeaseKeeper;
  readonly jobs: Jobs;
  readonly journal: NodeJournal;
  readonly requests: Requests;
  readonly fence: Pick<Fence, 'ready' | 'readyToLead' | 'during'>;
  /** The operator's own programs. */
  readonly scripts: Scripts;
  readonly name: string;
  readonly log: (level: 'info' | 'warning' | 'error', text: string) => void;
}

/** A premise of a step did not hold when it was to be carried out. Ends the tick; the next one looks again. */
export class StepRefused extends Error {
  override readonly name = 'StepRefused';
}

/** Time that a fast stop may take before it is called failed, ms: clients that hold on are cut by it. */
const STOP_TIMEOUT_MS = 60_000;
const IMMEDIATE_TIMEOUT_MS = 15_000;
const PROMOTE_TIMEOUT_MS = 60_000;
const CHECKPOINT_TIMEOUT_MS = 60_000;
/** A standby may replay for as long as it needs. */
const STANDBY_START_MS = 3_600_000;
/** How long a candidate gets to receive the end of the shutdown checkpoint, ms. */
const HANDOVER_PATIENCE_MS = 10_000;

type JobOf<K extends Job['kind']> = Extract<Job, { kind: K }>;

export class Work {
  readonly #options: WorkOptions;

  constructor(options: WorkOptions) {
    this.#options = options;
  }

  /** @throws StepRefused; Error when another job is in progress */
  begin(job: Job, seen: Observation): void {
    const { jobs, postgres, journal, fence } = this.#options;
    switch (job.kind) {
      case 'bootstrap':
        jobs.begin('bootstrap', '', async (progress, signal) => {
          await fence.ready();
          const { systemIdentifier } = await postgres.bootstrap(progress, signal);
          await journal.forgetPromotions();
          return `initialized with system identifier ${systemIdentifier}`;
        });
        break;
      case 'clone':
        jobs.begin('clone', job.from.name, async (progress, signal) => {
          await fence.ready();
          await postgres.clone(job.from, progress, signal);
          await journal.forgetPromotions();
          return `replica has been created from ${job.from.name}`;
        });
        break;
      case 'rewind':
        jobs.begin('rewind', job.from.name, async (progress) => {
          await fence.ready();
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
            const fast = job.mode === 'fast';
            const timeoutMs = fast ? fastStopMs(seen) : IMMEDIATE_TIMEOUT_MS;
            if (fast && mayWait(seen)) await this.#options.scripts.beforeStop();
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
      case 'restart':
        this.#beginRestart(job, seen);
        break;
      case 'reinitialize':
        this.#beginReinitialize(job);
        break;
    }
  }

  #beginStart(job: JobOf<'start'>, seen: Observation): void {
    const { jobs, postgres, fence } = this.#options;
    if (job.as === 'primary') this.#mustHoldLease(seen.settings.ttlMs);
    const timeoutMs = startTimeoutMs(job.as, seen);
    const of = job.as === 'standby' && job.upstream !== null ? ` of ${job.upstream.name}` : '';
    jobs.begin('start', `as ${job.as}${of}`, async (progress, signal) => {
      await (job.as === 'primary' ? fence.readyToLead() : fence.ready());
      if (job.as === 'primary') this.#mustHoldLease(seen.settings.ttlMs);
      const upstream = job.as === 'standby' ? job.upstream : null;
      await postgres.start(job.as, upstream, timeoutMs, progress, signal);
      return `PostgreSQL is up as ${job.as}`;
    });
  }

  #beginPromotion(claim: number, seen: Observation): void {
    const { jobs, postgres, journal, fence, scripts } = this.#options;
    this.#mustHoldLease(seen.settings.ttlMs);
    jobs.begin('promote', `to timeline ${claim}`, async (progress) => {
      await scripts.prePromote();
      progress('promoting');
      // On disk before PostgreSQL is told to, but not before it is prepared: both take their time.
      const recorded = Promise.all([journal.promoting(claim), fence.readyToLead()]);
      recorded.catch(() => undefined);
      const timeline = await postgres.promote(claim, PROMOTE_TIMEOUT_MS, async () => {
        await recorded;
        this.#mustHoldLease(seen.settings.ttlMs);
      });
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

  #beginHandover(job: JobOf<'handover'>, seen: Observation): void {
    const { jobs, postgres, lease, clock, name, log, scripts } = this.#options;
    const cluster = clusterOf(seen);
    const candidates = job.candidates.flatMap((candidate) => {
      const member = memberNamed(cluster, candidate);
      const upstream = member === null ? null : upstreamOf(member);
      return upstream === null ? [] : [upstream];
    });
    const work = (progress: Progress): Promise<string> =>
      handOver(
        {
          clock,
          postgres,
          lease,
          name,
          candidates,
          named: job.named,
          patienceMs: HANDOVER_PATIENCE_MS,
          stopTimeoutMs: fastStopMs(seen),
          beforeStop: () => scripts.beforeStop(),
          systemIdentifier: seen.postgres.sql.known ? seen.postgres.sql.value.systemIdentifier : '',
          log,
        },
        progress,
      );
    const detail = `to ${job.candidates.join(', ') || 'nobody'}`;
    jobs.begin('handover', detail, work, job.request ?? undefined);
  }

  /** The lease is renewed meanwhile, and proven again before a primary comes back (S1). */
  #beginRestart(job: JobOf<'restart'>, seen: Observation): void {
    const { jobs, postgres, log, fence, scripts } = this.#options;
    const primary = job.as === 'primary';
    if (primary) this.#mustHoldLease(seen.settings.ttlMs);
    const timeoutMs = job.timeoutMs ?? startTimeoutMs(job.as, seen);
    jobs.begin('restart', `as ${job.as}`, (progress, signal) =>
      this.#answering(job.request, 'restart', 'restarted successfully', async () => {
        progress('checkpoint while serving');
        // A replica's is a restartpoint, which spares it replay as well.
        await postgres
          .checkpoint(CHECKPOINT_TIMEOUT_MS)
          .catch((error: unknown) =>
            log('warning', `checkpoint before the restart: ${String(error)}`),
          );
        await scripts.beforeStop();
        if (signal.aborted) throw new PostgresError('the restart was cancelled');
        progress('stopping');
        // Should this agent die now, whatever starts the directory gets a standby (S8).
        await postgres.stop('fast', { becomeStandby: true, timeoutMs: fastStopMs(seen) });
        if (signal.aborted) throw new PostgresError('the restart was cancelled');
        await (primary ? fence.readyToLead() : fence.ready());
        if (primary) this.#mustHoldLease(seen.settings.ttlMs);
        progress('starting');
        await postgres.start(job.as, job.upstream, timeoutMs, progress, signal);
        return `PostgreSQL is up again as ${job.as}`;
      }),
    );
    if (job.request !== null) this.#options.requests.begun(job.request);
  }

  #beginReinitialize(job: JobOf<'reinitialize'>): void {
    const { jobs, postgres, journal, requests } = this.#options;
    jobs.begin('reinitialize', job.from.name, async (progress, signal) => {
      progress('stopping');
      const timeoutMs = IMMEDIATE_TIMEOUT_MS;
      await postgres.stop('immediate', { becomeStandby: true, timeoutMs });
      await this.#options.fence.ready();
      await postgres.clone(job.from, progress, signal);
      await journal.forgetPromotions();
      return `reinitialized from ${job.from.name}`;
    });
    requests.settle(job.request, { status: 200, text: 'reinitialize started', why: null });
  }

  /** Tells whoever asked what became of it. */
  async #answering(
    request: number | null,
    what: string,
    success: string,
    work: () => Promise<string>,
  ): Promise<string> {
    const settle = (status: number, text: string, why: string): void => {
      if (request !== null) this.#options.requests.settle(request, { status, text, why });
    };
    try {
      const why = await work();
      settle(200, success, why);
      return why;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      settle(503, `${what} failed`, why);
      // PostgreSQL has not failed to start, so nobody is to give it up for that.
      if (error instanceof StepRefused) return `not started again yet: ${why}`;
      throw error;
    }
  }
}

/** A primary has the time that operators allow before another member is to lead (contract 5.6). */
function startTimeoutMs(as: 'primary' | 'standby', { settings }: Observation): number {
  return as === 'primary' ? Math.max(1000, settings.primaryStartTimeoutMs) : STANDBY_START_MS;
}

/** Where a standby holds everything, an operator may bound the wait for clients (contract 5.13). */
function fastStopMs({ settings, postgres }: Observation): number {
  const primary = postgres.sql.known && !postgres.sql.value.inRecovery;
  const bounded = settings.synchronousMode !== 'off' && settings.primaryStopTimeoutMs > 0;
  return primary && bounded ? settings.primaryStopTimeoutMs : STOP_TIMEOUT_MS;
}

/** A primary without the key has no time for anybody's script (S1). */
function mayWait({ postgres, lease }: Observation): boolean {
  return lease.holdsLeaderKey || (postgres.sql.known && postgres.sql.value.inRecovery);
}

export function clusterOf(seen: Observation): ClusterView {
  if (!seen.cluster.known) throw new StepRefused('the store cannot be read');
  return seen.cluster.value;
}

export function refuseUnless(done: boolean, why: string): void {
  if (!done) throw new StepRefused(why);
}
