/** Bounds on what one address may ask of the API, and on what is said about it. */
import type { Server, Socket } from 'node:net';
import type { Clock } from '../clock.ts';

/** Requests that an address may make at once, and how many more each second. */
export const DEFAULT_RATE: Rate = { burst: 100, perSecond: 20 };
/** What a request with a wrong password costs more than another. */
export const WRONG_PASSWORD_COST = 10;
/** Addresses that are remembered; further ones take the place of the one that has been quiet longest. */
const MOST_ADDRESSES = 4096;
/** A refusal is said once in this time for each address and reason, ms. */
const SAY_AGAIN_MS = 60_000;

export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Requests that change something: a password cannot be guessed at a high rate, nor can the disk or
 * the store be kept busy. Each address has an account of its own: a stranger cannot use up an operator's.
 */
export class RateLimit {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #rate: Rate;
  readonly #accounts = new Map<string, { left: number; at: number }>();

  constructor(clock: Pick<Clock, 'now'>, rate: Rate = DEFAULT_RATE) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** Takes one from the account of `address`; false: it has none left. */
  admits(address: string): boolean {
    const left = this.#left(address);
    const admitted = left >= 1;
    this.#keep(address, admitted ? left - 1 : left);
    return admitted;
  }

  /** Takes more for what the request turned out to be. */
  charge(address: string, cost: number): void {
    this.#keep(address, Math.max(0, this.#left(address) - cost));
  }

  #left(address: string): number {
    const { burst, perSecond } = this.#rate;
    const account = this.#accounts.get(address);
    if (account === undefined) return burst;
    const seconds = (this.#clock.now() - account.at) / 1000;
    return Math.min(burst, account.left + seconds * perSecond);
  }

  #keep(address: string, left: number): void {
    this.#accounts.delete(address);
    this.#accounts.set(address, { left, at: this.#clock.now() });
    dropOldest(this.#accounts);
  }
}

/** Closes at once what one address opens beyond `most` connections. */
export function boundAddresses(server: Server, most: number): void {
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) return;
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
    if (count > most) socket.destroy();
  });
}

/** Says what was refused, without letting whoever is refused fill the log. */
export class Refusals {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #say: (text: string) => void;
  readonly #said = new Map<string, { at: number; more: number }>();

  constructor(clock: Pick<Clock, 'now'>, say: (text: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** @param what must hold nothing that the caller has chosen */
  add(address: string, what: string): void {
    const now = this.#clock.now();
    const key = `${address} ${what}`;
    const before = this.#said.get(key);
    if (before !== undefined && now - before.at < SAY_AGAIN_MS) {
      before.more += 1;
      return;
    }
    const more = before?.more ? ` (and ${before.more} times more since it was last said)` : '';
    this.#said.delete(key);
    this.#said.set(key, { at: now, more: 0 });
    dropOldest(this.#said);
    this.#say(`REST: ${what} from ${address}${more}`);
  }
}

/** Entries are in the order in which they were last used. */
function dropOldest(map: Map<string, unknown>): void {
  if (map.size <= MOST_ADDRESSES) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
