/**
 * The shortest way to give the lease away without losing a row (rules F4, S8; field D28):
 * checkpoint while still serving, fast stop, wait until a candidate has flushed the end of the
 * shutdown checkpoint, release with that end as the floor of the race.
 */
import type { Clock } from './clock.ts';
import { formatLsn } from './core/lsn.ts';
import type { Upstream, WalPoint } from './core/model.ts';
import type { LeaseKeeper } from './lease.ts';
import type { Postgres, Progress } from './postgres/postgres.ts';
import { PostgresError } from './postgres/postgres.ts';

/** Between two questions to the candidates; PostgreSQL has no event for a standby's flush. */
const ASK_EVERY_MS = 10;
const ASK_TIMEOUT_MS = 1000;
/** Connections to the candidates are kept from the checkpoint to the last question, ms. */
const KEEP_MS = 5000;
const CHECKPOINT_TIMEOUT_MS = 60_000;
/** How long WAL that was sent may still be on its way, ms. */
const AFTER_STOP_MS = 1500;

export interface HandoverOptions {
  readonly clock: Clock;
  readonly postgres: Postgres;
  readonly lease: LeaseKeeper;
  readonly name: string;
  /** Asked directly, on their servers: what a standby has flushed is known there first. */
  readonly candidates: readonly Upstream[];
  readonly named: string | null;
  /** How long to wait for a candidate, ms. */
  readonly patienceMs: number;
  readonly stopTimeoutMs: number;
  /** The operator's script, while PostgreSQL still serves. Never rejects. */
  readonly beforeStop: () => Promise<void>;
  /** A candidate of another cluster is none. */
  readonly systemIdentifier: string;
  readonly log: (level: 'info' | 'warning', text: string) => void;
}

/**
 * Returns a sentence about what was done. The server is stopped with its standby signal written.
 * @throws PostgresError nobody caught up in time and the lease was kept
 */
export async function handOver(options: HandoverOptions, progress: Progress): Promise<string> {
  progress('checkpoint while serving');
  await options.beforeStop();
  await Promise.all([connect(options), checkpoint(options)]);
  progress('stopping');
  const stopped = new AbortController();
  let end: WalPoint | null = null;
  let released: Promise<string> | null = null;
  let settled = false;
  const stopping = options.postgres.stop('fast', {
    becomeStandby: true,
    timeoutMs: options.stopTimeoutMs,
    // A candidate's walsender is what delivers the end: it is left alone until that is settled.
    holdSenders: () => !settled,
    onShutDown: (point) => {
      end = point;
      released = release(options, point, stopped.signal, progress).finally(() => {
        settled = true;
      });
      released.catch(() => undefined);
    },
  });
  await stopping;
  stopped.abort();
  if (released === null || end === null) {
    throw new PostgresError('PostgreSQL ended without a clean shutdown; keeping the lease');
  }
  return released;
}

async function checkpoint({ postgres, log }: HandoverOptions): Promise<void> {
  await postgres
    .checkpoint(CHECKPOINT_TIMEOUT_MS)
    .catch((error: unknown) => log('warning', `checkpoint before the hand-over: ${String(error)}`));
}

/** While the server still serves: connecting would take longer than the answers (F3). */
async function connect({ postgres, candidates }: HandoverOptions): Promise<void> {
  await Promise.allSettled(
    candidates.map((candidate) => postgres.askUpstream(candidate, ASK_TIMEOUT_MS, KEEP_MS)),
  );
}

async function release(
  options: HandoverOptions,
  end: WalPoint,
  stopped: AbortSignal,
  progress: Progress,
): Promise<string> {
  progress(`waiting for a candidate to hold ${formatLsn(end.lsn)}`);
  const holder = await firstHolder(options, end, stopped);
  if (holder === null && options.candidates.length > 0) {
    throw new PostgresError(
      `no candidate of ${options.candidates.map((candidate) => candidate.name).join(', ')} held ${formatLsn(end.lsn)} in ${options.patienceMs} ms; keeping the lease`,
    );
  }
  const status = { optime: end.lsn, slots: {}, retainSlots: [] };
  const given = await options.lease.resign(
    {
      leader: options.name,
      floorLsn: end.lsn,
      timeline: end.timeline,
      candidate: options.named ?? holder,
    },
    status,
  );
  if (!given)
    throw new PostgresError('the leader key was not ours any more when it was to be released');
  return holder === null
    ? 'released the lease; there is no other candidate'
    : `released the lease; ${holder} holds everything`;
}

/** The first that holds everything; null when none does in time. One that hangs holds up nobody else. */
async function firstHolder(
  options: HandoverOptions,
  end: WalPoint,
  stopped: AbortSignal,
): Promise<string | null> {
  const over = new AbortController();
  try {
    const asking = options.candidates.map((one) =>
      untilHeld(options, one, end, stopped, over.signal),
    );
    return await Promise.any(asking);
  } catch {
    return null;
  } finally {
    over.abort();
  }
}

/** @throws PostgresError the candidate did not hold `end` in time */
async function untilHeld(
  options: HandoverOptions,
  candidate: Upstream,
  end: WalPoint,
  stopped: AbortSignal,
  over: AbortSignal,
): Promise<string> {
  const { clock } = options;
  let until = clock.now() + options.patienceMs;
  let lastChance = false;
  while (clock.now() < until && !over.aborted) {
    // After the server is gone nothing more is sent: what is under way arrives soon or never.
    if (stopped.aborted && !lastChance) {
      lastChance = true;
      until = Math.min(until, clock.now() + AFTER_STOP_MS);
    }
    if (await holds(options, candidate, end).catch(() => false)) return candidate.name;
    await clock.wait(ASK_EVERY_MS, over);
  }
  throw new PostgresError(`${candidate.name} did not hold the end in time`);
}

/** @throws PostgresError the candidate cannot be asked */
async function holds(
  { postgres, systemIdentifier }: Pick<HandoverOptions, 'postgres' | 'systemIdentifier'>,
  candidate: Upstream,
  end: WalPoint,
): Promise<boolean> {
  const facts = await postgres.askUpstream(candidate, ASK_TIMEOUT_MS, KEEP_MS);
  // A position on another timeline, or of another cluster, says nothing about ours (S6).
  const heir = facts.timeline === end.timeline && facts.systemIdentifier === systemIdentifier;
  return heir && facts.inRecovery && facts.lsn >= end.lsn;
}
