/**
 * Virtual time. One queue of events, ordered by time and then by when they were asked for; nothing
 * waits for real. After an event that entered agent code every promise is settled before the next
 * one begins: each such event ends a turn of the real event loop, which drains the microtasks.
 */
interface Entry {
  readonly at: number;
  readonly order: number;
  call: (() => void) | null;
}

/** Turns of the real event loop that are asked for at a time: one by one costs more. */
const TURNS = 32;

export class Scheduler {
  /** Virtual ms since the beginning. */
  now = 0;
  /** Events carried out. */
  events = 0;
  /** Agent code was entered by the present event: its promises have to settle. */
  entered = false;
  #order = 0;
  readonly #heap: Entry[] = [];

  /** Calls back at `at` or now, whichever is later; the returned function cancels it. */
  at(at: number, call: () => void): () => void {
    const entry: Entry = { at: Math.max(at, this.now), order: this.#order, call };
    this.#order += 1;
    this.#push(entry);
    return () => {
      entry.call = null;
    };
  }

  after(ms: number, call: () => void): () => void {
    return this.at(this.now + ms, call);
  }

  /** Carries events out until `done` says so, asked before each. @throws what an event throws */
  run(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let turns = 0;
      let over = false;
      const more = (): void => {
        for (turns = TURNS; turns > 0 && !over; turns -= 1) setImmediate(turn);
        turns = TURNS;
      };
      const turn = (): void => {
        if (over) return;
        try {
          if (this.#untilEntered(done)) {
            over = true;
            resolve();
          }
        } catch (error) {
          over = true;
          reject(error instanceof Error ? error : new Error(String(error)));
        }
        turns -= 1;
        if (turns === 0 && !over) more();
      };
      more();
    });
  }

  /** True: it is over. */
  #untilEntered(done: () => boolean): boolean {
    this.entered = false;
    while (!this.entered) {
      if (done()) return true;
      const next = this.#pop();
      if (next === null) return true;
      if (next.call === null) continue;
      this.now = next.at;
      this.events += 1;
      next.call();
    }
    return false;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!before(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Entry | null {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry))
        child += 1;
      if (!before(heap[child] as Entry, last)) break;
      heap[index] = heap[child] as Entry;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function before(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
