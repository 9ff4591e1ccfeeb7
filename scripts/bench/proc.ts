/** What a process has used, from /proc. Works without rights on one's own processes. */
import { readFileSync } from 'node:fs';

/** Kernel ticks of utime and stime per second: fixed for programs on Linux (USER_HZ). */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** Of the process and of its ended children, s. */
  readonly cpuSeconds: number;
  /** Page faults of children that were waited for: grows with each child that ends. */
  readonly childFaults: number;
}

/** @throws the process is gone */
export function usage(pid: number): Usage {
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}

export function parseStat(text: string): Usage {
  // The second field, (command), may hold blanks and parentheses; the third follows the last ")".
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const field = (number: number): number => fields[number - 3] ?? 0;
  return {
    cpuSeconds: (field(14) + field(15) + field(16) + field(17)) / TICKS_PER_SECOND,
    childFaults: field(11) + field(13),
  };
}

export interface Memory {
  /** MB = 1024² bytes. */
  readonly rss: number;
  readonly pss: number;
}

export function memory(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 'NaN') / 1024;
  return { rss: megabytes('Rss'), pss: megabytes('Pss') };
}

/** Counts the children of a process that end: each one that is waited for adds its page faults. */
export class ChildCounter {
  readonly #pid: number;
  #faults: number;
  #ended = 0;
  readonly #timer: NodeJS.Timeout;

  /** @param everyMs children that end within the same interval count once */
  constructor(pid: number, everyMs = 20) {
    this.#pid = pid;
    this.#faults = usage(pid).childFaults;
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  #look(): void {
    const { childFaults } = usage(this.#pid);
    if (childFaults > this.#faults) this.#ended += 1;
    this.#faults = childFaults;
  }

  stop(): number {
    clearInterval(this.#timer);
    this.#look();
    return this.#ended;
  }
}
