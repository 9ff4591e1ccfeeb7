/**
 * The tick: look, decide, act, publish; then wait for a hint or for the time that the decision
 * named. One tick at a time; everything from outside is only a hint to look again.
 */
import { type Act, StepRefused } from './act.ts';
import type { Clock } from './clock.ts';
import { decide } from './core/decide.ts';
import type { Decision, Memory, Observation } from './core/model.ts';
import type { Settings } from './core/settings.ts';
import type { NamesInForce } from './core/streaming.ts';
import type { Failsafe } from './failsafe/failsafe.ts';
import type { Fence } from './fence/fence.ts';
import type { Jobs } from './jobs.ts';
import type { LeaseKeeper } from './lease.ts';
import type { Measures } from './measures.ts';
import { remember } from './memory.ts';
import type { NodeJournal } from './node-journal.ts';
import { complete, look, type Seen, type Sources } from './observe.ts';
import { checkpointDone, type Publisher } from './publish.ts';
import type { Requests } from './requests.ts';
import type { Status } from './status.ts';
import { StoreRefused } from './store/keyvalue.ts';

/** After a step that failed, look again this soon, ms. */
const AFTER_FAILURE_MS = 250;
/** Between two looks while the lease is given away, ms. */
const GIVING_AWAY_MS = 250;
const CHECKPOINT_TIMEOUT_MS = 600_000;

export interface LoopOptions {
  readonly sources: Sources;
  readonly clock: Clock;
  readonly name: string;
  readonly lease: LeaseKeeper;
  readonly fence: Fence;
  readonly jobs: Jobs;
  readonly requests: Requests;
  readonly failsafe: Pick<Failsafe, 'standing'>;
  readonly act: Act;
  readonly status: Status;
  readonly publisher: Publisher;
  readonly journal: NodeJournal;
  readonly memory: Memory;
  readonly measures: Measures;
  readonly settings: () => Settings;
  /** Effective policy may have changed with what was read. A text: the daemon must not go on. */
  readonly onSeen: (seen: Seen) => Promise<string | null>;
  readonly log: (level: 'debug' | 'info' | 'warning' | 'error', text: string) => void;
}

export interface Exit {
  readonly code: number;
  readonly message: string;
}

export class Loop {
  readonly #options: LoopOptions;
  #memory: Memory;
  #wake = new AbortController();
  #stopping = false;
  #logged = '';
  #failure = '';
  #refused = '';
  #checkpoint: Promise<void> | null = null;
  #lastTick: number;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#memory = options.memory;
    this.#lastTick = options.clock.now();
  }

  /** Cuts the wait in progress short, or skips the next one. */
  hint(why: string): void {
    this.#options.log('debug', `looking again: ${why}`);
    // Without a reason an error is made for it, with its stack, at every hint.
    if (!this.#givingAway()) this.#wake.abort(why);
  }

  /**
   * From the stop to the release of the lease every ms counts, and there is nothing to decide: what
   * happens to the server meanwhile is the job's to see, and its end is a hint (F4).
   */
  #givingAway(): boolean {
    const job = this.#options.jobs.state;
    return job?.kind === 'handover' && job.outcome === null && job.stoppingSince !== undefined;
  }

  /** The agent has been told to stop. */
  stop(): void {
    this.#stopping = true;
    this.hint('told to stop');
  }

  /** When the last tick came to its end, monotonic ms. */
  get lastTick(): number {
    return this.#lastTick;
  }

  historyWritten(timeline: number): void {
    this.#memory = { ...this.#memory, historyWrittenFor: timeline };
  }

  syncWrite(state: 'sent' | 'settled'): void {
    const streaming = { ...this.#memory.streaming, syncUnsettled: state === 'sent' };
    this.#memory = { ...this.#memory, streaming };
  }

  namesInForce(inForce: NamesInForce | null): void {
    const { streaming } = this.#memory;
    this.#memory = { ...this.#memory, streaming: { ...streaming, inForce } };
  }

  /** Ticks until a decision says to exit. Never rejects. */
  async run(): Promise<Exit> {
    const { clock, status, measures } = this.#options;
    for (;;) {
      // Hints that come while the tick runs are about things it may have missed.
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      const begun = clock.now();
      const { exit, waitMs, decision } = await this.#guardedTick();
      if (exit !== null) return exit;
      this.#lastTick = clock.now();
      measures.ticks.observe(this.#lastTick - begun);
      status.decided(decision, clock.now() + waitMs);
      await clock.wait(
        this.#givingAway() ? Math.min(waitMs, GIVING_AWAY_MS) : waitMs,
        this.#wake.signal,
      );
    }
  }

  async #guardedTick(): Promise<{
    exit: Exit | null;
    waitMs: number;
    decision: Pick<Decision, 'rule' | 'why'>;
  }> {
    try {
      return await this.#tick();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#options.log(
        'error',
        `unexpected error in the loop, please report it as a bug: ${text}`,
      );
      return { exit: null, waitMs: 1000, decision: { rule: 'loop.error', why: String(error) } };
    }
  }

  async #tick(): Promise<{
    exit: Exit | null;
    waitMs: number;
    decision: Pick<Decision, 'rule' | 'why'>;
  }> {
    const { sources, lease, jobs, status, name } = this.#options;
    const leadership = lease.leadership;
    // As it was before the look: what a job does while the look goes on may not be in it.
    const job = jobs.state;
    const ended = jobs.takeEnded();
    let seen = await look(sources, this.#options.settings());
    const obstacle = await this.#options.onSeen(seen);
    if (obstacle !== null) {
      const decision = { rule: 'start.refused', why: obstacle };
      return { exit: { code: 1, message: obstacle }, waitMs: 0, decision };
    }
    // The leader key was moved meanwhile: the view is older than this node's own write (S3).
    if (lease.leadership !== leadership) seen = await look(sources, this.#options.settings());
    const settings = this.#options.settings();
    const memory = remember(this.#memory, {
      ...seen,
      name,
      lease: lease.facts(),
      job,
      ended,
    });
    // A promotion that failed has used its number up all the same (S6).
    this.#memory = { ...memory, promotedHere: this.#options.journal.node.promotedHere };
    status.sawPostgres(seen.postgres, seen.since);
    status.looked(seen.cluster, this.#memory);
    this.#standDown(seen);
    await this.#recordLease();
    const observation = await complete(sources, seen, {
      name,
      settings,
      lease: lease.facts(),
      job,
      request: this.#options.requests.waiting,
      scheduledRestart: this.#options.requests.scheduled,
      promise: this.#options.failsafe.standing,
      stopping: this.#stopping,
      watchdogFailure: this.#options.fence.watchdog.failure,
      memory: this.#memory,
    });
    const decision = this.#decide(observation);
    this.#withdraw(decision);
    this.#tell(decision, observation);
    status.decided(decision, sources.clock.now() + decision.wakeInMs);
    const done = await this.#act(decision, observation);
    const exit = done ? exitOf(decision) : null;
    await this.#publish(observation, exit);
    this.#checkpointAfterPromotion();
    return {
      exit,
      waitMs: done ? decision.wakeInMs : AFTER_FAILURE_MS,
      decision,
    };
  }

  #decide(observation: Observation): Decision {
    const { clock, measures } = this.#options;
    const begun = clock.now();
    const decision = decide(observation);
    measures.decisions.observe(clock.now() - begun);
    return decision;
  }

  /** Long before a leader key is bound to it: after a campaign clients would wait for the disk (F3). */
  async #recordLease(): Promise<void> {
    const { lease, journal, log } = this.#options;
    const { leaseId } = lease.facts();
    if (leaseId === null || leaseId === journal.node.leaseId) return;
    await journal
      .leading(leaseId)
      .catch((error: unknown) => log('warning', `recording the lease: ${String(error)}`));
  }

  /** The fence stands down only on proof that there is nothing to stop (rule S1). */
  #standDown({ postgres, since }: Seen): void {
    const { lease, fence, jobs } = this.#options;
    const quiet =
      (postgres.postmaster.kind === 'none' && postgres.orphans === 0) ||
      (postgres.sql.known && postgres.sql.value.inRecovery);
    if (this.#options.settings().paused) fence.disarm();
    if (!quiet || jobs.running || lease.facts().holdsLeaderKey) return;
    // Work that ended during the look may have started what the look did not see.
    const ended = jobs.state?.outcome?.endedAt ?? Number.NEGATIVE_INFINITY;
    if (ended >= since) return;
    fence.disarm();
    lease.clearDeadline();
  }

  /** Asked as long as decisions say so; published before anything else is done. */
  #withdraw(decision: Decision): void {
    // What it was asked for goes on: a copy that is being made confirms nothing.
    const begins = decision.steps.some((step) => step.do === 'startJob');
    const works = this.#memory.withdrawingSince !== null && (begins || this.#options.jobs.running);
    const asked = works || decision.steps.some((step) => step.do === 'withdraw');
    const since = asked ? (this.#memory.withdrawingSince ?? this.#options.clock.now()) : null;
    this.#memory = { ...this.#memory, withdrawingSince: since };
    this.#options.status.withdrawing = asked;
  }

  #tell(decision: Decision, observation: Observation): void {
    // Numbers in a reason change at every look; the reason does not.
    const shape = `${decision.rule} ${decision.why.replace(/\d+/g, '#')}`;
    if (shape === this.#logged) return;
    this.#logged = shape;
    this.#options.log('info', `${decision.why} [${decision.rule}]`);
    this.#options.journal.tell({
      at: this.#options.clock.wall().toISOString(),
      decision,
      observation,
    });
  }

  /** False when a step failed and the rest was not carried out. */
  async #act(decision: Decision, observation: Observation): Promise<boolean> {
    for (const step of decision.steps) {
      try {
        await this.#options.act.carryOut(step, observation);
      } catch (error) {
        const text = `${step.do}: ${error instanceof Error ? error.message : String(error)}`;
        if (text !== this.#failure)
          this.#options.log(error instanceof StepRefused ? 'info' : 'warning', text);
        this.#failure = text;
        return false;
      }
    }
    this.#failure = '';
    return true;
  }

  async #publish(observation: Observation, exit: Exit | null): Promise<void> {
    if (exit !== null && exit.code !== 0) return;
    try {
      if (
        observation.cluster.known &&
        !observation.cluster.value.members.some((member) => member.name === observation.name)
      ) {
        this.#options.publisher.forget();
      }
      if (observation.cluster.known) await this.#options.publisher.publish(observation);
      if (this.#refused !== '') this.#options.log('info', 'the store takes writes again');
      this.#refused = '';
    } catch (error) {
      this.#complain(error);
    }
  }

  /** A store that is away is told of elsewhere; one that says no to every write looks healthy otherwise. */
  #complain(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#options.log('debug', `publishing: ${text}`);
    if (!(error instanceof StoreRefused) || text === this.#refused) return;
    this.#refused = text;
    this.#options.log('error', `the store takes no writes, and a failover needs them: ${text}`);
  }

  /** A new primary makes its first checkpoint at once: rejoining members wait for it (field D47). */
  #checkpointAfterPromotion(): void {
    const { status, sources, log } = this.#options;
    if (this.#checkpoint !== null || checkpointDone(status)) return;
    this.#checkpoint = sources.postgres
      .checkpoint(CHECKPOINT_TIMEOUT_MS)
      .then(
        () => this.hint('the checkpoint after the promotion is done'),
        (error: unknown) => log('warning', `checkpoint after the promotion: ${String(error)}`),
      )
      .finally(() => {
        this.#checkpoint = null;
      });
  }
}

function exitOf(decision: Decision): Exit | null {
  const step = decision.steps.find((candidate) => candidate.do === 'exit');
  return step?.do === 'exit' ? { code: step.code, message: step.message } : null;
}
