/**
 * Talking to one guard process (bin/tenure-guard) through its own pipes, opened by way of /proc: there
 * is no file between us that a disk could hold up, and any later daemon finds them again. Everything
 * here is synchronous and never waits.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import type { GuardFacts } from '../core/model.ts';
import { isAlive, type ProcessIdentity } from '../postgres/proc.ts';
import { GuardError } from './guard.ts';

export type GuardState = Extract<GuardFacts['state'], 'disarmed' | 'armed' | 'fired'>;

/** What the guard says of itself. Instants are ms of /proc/uptime. */
export interface Answer {
  /** Of the order that is answered. */
  readonly id: string;
  readonly state: GuardState;
  readonly fireAt: number;
  /** When it last killed something since it was armed or disarmed before this; 0: not at all. */
  readonly shotAt: number;
  /** How many processes that was. */
  readonly killed: number;
}

const ANSWER = /^(\S+) (disarmed|armed|fired) (\d+) (\d+) (\d+)$/;
/** A line is far shorter: more than this without an end is nothing that the guard has said. */
const LONGEST_LINE = 4096;

export class GuardLink {
  readonly identity: ProcessIdentity;
  readonly #orders: number;
  readonly #answers: number;
  readonly #buffer = Buffer.alloc(65_536);
  #rest = '';
  #open = true;

  /** @throws GuardError it is gone, or another user's */
  constructor(identity: ProcessIdentity) {
    const { pid } = identity;
    const { O_WRONLY, O_RDONLY, O_NONBLOCK } = constants;
    const opened: number[] = [];
    try {
      opened.push(openSync(`/proc/${pid}/fd/0`, O_WRONLY | O_NONBLOCK));
      opened.push(openSync(`/proc/${pid}/fd/1`, O_RDONLY | O_NONBLOCK));
      if (!isAlive(identity)) throw new Error('it has ended');
    } catch (error) {
      for (const file of opened) closeSync(file);
      const why = error instanceof Error ? error.message : String(error);
      throw new GuardError(`cannot talk to the guard process ${pid}: ${why}`, { cause: error });
    }
    this.identity = identity;
    [this.#orders, this.#answers] = opened as [number, number];
    // What it said to an earlier daemon.
    this.answers();
  }

  /** False: the pipe is full or gone, so the guard is as good as dead. */
  send(line: string): boolean {
    if (!this.#open) return false;
    try {
      // Shorter than PIPE_BUF: all of it or nothing.
      return writeSync(this.#orders, `${line}\n`) > 0;
    } catch {
      return false;
    }
  }

  /** What it has said since this was last called. */
  answers(): Answer[] {
    this.#drain();
    const lines = this.#rest.split('\n');
    this.#rest = (lines.pop() ?? '').slice(-LONGEST_LINE);
    return lines.flatMap((line) => {
      const [, id, state, fireAt, shotAt, killed] = ANSWER.exec(line) ?? [];
      if (id === undefined) return [];
      const numbers = { fireAt: Number(fireAt), shotAt: Number(shotAt), killed: Number(killed) };
      return [{ id, state: state as GuardState, ...numbers }];
    });
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#orders);
    closeSync(this.#answers);
  }

  #drain(): void {
    if (!this.#open) return;
    try {
      const read = readSync(this.#answers, this.#buffer);
      this.#rest += this.#buffer.toString('latin1', 0, read);
    } catch {
      // Nothing has been said.
    }
  }
}
