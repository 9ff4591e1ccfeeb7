/**
 * The leader's side of failsafe mode (contract 5.4): from the first renewal that fails on, all other
 * members of `/failsafe` are asked in parallel whether this node may go on. One rule: only if every one
 * of them has agreed, writes may go on for one ttl from the time of asking (rule S1).
 */
import type { Clock } from '../clock.ts';
import { slotName } from '../core/slots.ts';
import { leaderRenewalMs } from '../core/timing.ts';
import type { LeaseKeeper } from '../lease.ts';
import type { FailsafeAnswer, Peers } from '../peers.ts';

export interface RoundsOptions {
  readonly clock: Clock;
  readonly peers: Pick<Peers, 'failsafe'>;
  readonly lease: Pick<LeaseKeeper, 'leadership' | 'vouched'>;
  readonly name: string;
  readonly connUrl: string;
  readonly apiUrl: string;
  /** What holds at the moment of asking. */
  readonly situation: () => FailsafeSituation;
  readonly log: (level: 'info' | 'warning', text: string) => void;
}

export interface FailsafeSituation {
  /** Failsafe mode is on, the cluster is not paused, and this node is healthy enough to lead. */
  readonly allowed: boolean;
  readonly ttlMs: number;
  /** For one round, ms. */
  readonly timeoutMs: number;
  /** `/failsafe` as last read; null: there was none. */
  readonly list: Readonly<Record<string, string>> | null;
  /** Positions of this node's slots, bytes. */
  readonly slots: Readonly<Record<string, number>>;
}

export class Rounds {
  readonly #options: RoundsOptions;
  #stop: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();
  #agreed = false;
  #said = '';
  /** What the members said in the last round: their positions are what their slots may move to. */
  #positions: Readonly<Record<string, number>> = {};

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Writes go on because the members have agreed, not because the store has. */
  get active(): boolean {
    return this.#stop !== null && this.#agreed;
  }

  /** A renewal has failed. */
  missed(): void {
    if (this.#stop !== null) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.#running = this.#run(stop.signal);
  }

  /** The store has proven leadership again, or there is none any more. */
  over(): void {
    this.#stop?.abort();
    this.#stop = null;
    this.#agreed = false;
    this.#said = '';
    this.#positions = {};
  }

  /** Resolves when nothing is in progress any more. */
  async end(): Promise<void> {
    this.over();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const startedAt = clock.now();
      const { ttlMs } = this.#options.situation();
      const refusal = await this.#round(startedAt);
      if (signal.aborted) return;
      this.#agreed = refusal === null;
      this.#tell(refusal);
      await clock.wait(Math.max(0, startedAt + leaderRenewalMs(ttlMs) - clock.now()), signal);
    }
  }

  /** Null: all have agreed; else why not. */
  async #round(sentAt: number): Promise<string | null> {
    const { peers, lease, name, connUrl, apiUrl } = this.#options;
    const { allowed, ttlMs, timeoutMs, list, slots } = this.#options.situation();
    const { leadership } = lease;
    if (!allowed || leadership === null) return 'failsafe mode does not apply';
    if (list === null || list[name] === undefined) return `${name} is not in /failsafe`;
    const others = Object.entries(list)
      .filter(([other]) => other !== name)
      .map(([other, url]) => ({ name: other, apiUrl: url }));
    const body = {
      name,
      conn_url: connUrl,
      api_url: apiUrl,
      slots: { ...slots, ...this.#positions },
      tenure: { ttl_ms: ttlMs },
    };
    const answers = await peers.failsafe(others, body, timeoutMs);
    const refusals = answers.filter((answer) => !answer.accepted);
    if (refusals.length > 0) return refusals.map(refusalText).join('; ');
    this.#positions = positionsOf(answers);
    lease.vouched(sentAt, leadership);
    return null;
  }

  #tell(refusal: string | null): void {
    const text =
      refusal === null
        ? 'the store cannot be reached; all members have agreed that this node goes on (failsafe mode)'
        : `the store cannot be reached, and failsafe mode does not help: ${refusal}`;
    if (text === this.#said) return;
    this.#said = text;
    if (this.#options.situation().allowed) this.#options.log('warning', text);
  }
}

function refusalText({ name, why }: FailsafeAnswer): string {
  return `${name} has not agreed: ${why}`;
}

function positionsOf(answers: readonly FailsafeAnswer[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    answers.flatMap(({ name, position }) =>
      position === null ? [] : [[slotName(name), position] as const],
    ),
  );
}
