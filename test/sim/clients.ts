/**
 * Clients. The polite ones write through a proxy that asks every node's `/primary` five times a
 * second and sends them to the first that says yes; the rude one writes to whatever accepts.
 */
import { check } from '../../src/api/health.ts';
import type { Node } from './node.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const POLL_MS = 200;
const NOTHING = new URLSearchParams();

export class Clients {
  readonly #scheduler: Scheduler;
  readonly #nodes: readonly Node[];
  readonly #chance: Random;
  /** Where the proxy sends its clients. */
  #primary: Node | null = null;
  #stopped = false;
  #writes = 0;
  /** Times that more than one node said that it is the primary. */
  contradictions = 0;

  constructor(scheduler: Scheduler, nodes: readonly Node[], chance: Random) {
    this.#scheduler = scheduler;
    this.#nodes = nodes;
    this.#chance = chance;
  }

  begin(polite: number): void {
    this.#poll();
    for (let index = 0; index < polite; index += 1) this.#polite();
    this.#rude();
  }

  stop(): void {
    this.#stopped = true;
  }

  get writes(): number {
    return this.#writes;
  }

  #poll(): void {
    if (this.#stopped) return;
    const primaries = this.#nodes.filter(isPrimary);
    if (primaries.length > 1) this.contradictions += 1;
    this.#primary = primaries[0] ?? null;
    this.#scheduler.after(POLL_MS, () => this.#poll());
  }

  #polite(): void {
    if (this.#stopped) return;
    this.#write(this.#primary);
    this.#scheduler.after(this.#chance.between(100, 500), () => this.#polite());
  }

  #rude(): void {
    if (this.#stopped) return;
    for (const node of this.#nodes) if (node.server.acknowledges) this.#write(node);
    this.#scheduler.after(this.#chance.between(150, 700), () => this.#rude());
  }

  #write(node: Node | null): void {
    if (node === null) return;
    // Most rows are of one size, so that two histories can meet at one position by chance.
    const size = this.#chance.chance(0.9) ? 128 : this.#chance.whole(1, 40) * 128;
    this.#writes += 1;
    node.server.commit(this.#writes, size);
  }
}

/** What the node's health check says; a daemon that is stopped or gone says nothing. */
export function isPrimary({ up, daemon }: Node): boolean {
  if (!up || daemon === null || !daemon.process.runs) return false;
  return check('/primary', NOTHING, daemon.runtime.status.snapshot()) === 200;
}
