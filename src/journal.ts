/**
 * This node's own memory on disk, in `tenure.state_dir`: which timelines it promoted itself to,
 * which lease backed its leader key, and the story of its decisions. Never inside the data
 * directory: pg_rewind deletes what only the target has.
 */
import { randomUUID } from 'node:crypto';
import { appendFile, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PromiseRecord } from './failsafe/promises.ts';
import type { NodeJournal } from './node-journal.ts';
import { makePrivateFolder } from './postgres/disk.ts';
import { RecordFile } from './record-file.ts';

/** Another text after each start of the machine; without it every start of the daemon counts as one. */
const BOOT_FILE = '/proc/sys/kernel/random/boot_id';
const NODE_FILE = 'node.record';
const STORY_FILE = 'journal.jsonl';
/** The story is turned over at this size, bytes; one older file is kept. */
const STORY_BYTES = 4_000_000;
const PROMOTIONS_KEPT = 100;

const nodeSchema = z.object({
  promotedHere: z.array(z.number().int().positive()).catch([]),
  leaseId: z.string().nullable().catch(null),
  promise: z
    .object({
      leader: z.string(),
      until: z.number(),
      forMs: z.number().nonnegative(),
      boot: z.string(),
    })
    .nullable()
    .catch(null),
});

export type NodeRecord = z.infer<typeof nodeSchema>;

export class Journal implements NodeJournal {
  readonly #directory: string;
  readonly #complain: (text: string) => void;
  #node: NodeRecord = { promotedHere: [], leaseId: null, promise: null };
  #boot = '';
  /** Writes follow one another; a story that cannot be written never holds up a decision. */
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  readonly #record: RecordFile;
  #saved: Promise<void> = Promise.resolve();
  /** Changes that the next write has in it, all of them together. */
  #changes: Array<(node: NodeRecord) => NodeRecord> = [];
  #next: Promise<void> | null = null;

  constructor(directory: string, complain: (text: string) => void) {
    this.#directory = directory;
    this.#record = new RecordFile(join(directory, NODE_FILE));
    this.#complain = complain;
  }

  get node(): NodeRecord {
    return this.#node;
  }

  get boot(): string {
    return this.#boot;
  }

  /** Reads what an earlier life left. A damaged file is set aside and said, never trusted. */
  async load(): Promise<NodeRecord> {
    const path = join(this.#directory, NODE_FILE);
    this.#boot = await readFile(BOOT_FILE, 'utf8').catch(() => randomUUID());
    try {
      const text = await this.#record.read();
      if (text !== null) this.#node = nodeSchema.parse(JSON.parse(text));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // What only could not be read may be whole, and a promise may stand in it (S4): no start without it.
      if (code !== undefined) throw error;
      this.#complain(
        `${path} cannot be read (${String(error)}); it is set aside as ${NODE_FILE}.broken`,
      );
      await rename(path, `${path}.broken`).catch(() => undefined);
    }
    return this.#node;
  }

  /** On disk before a promotion is begun (rule S6). @throws when it cannot be written */
  async promoting(timeline: number): Promise<void> {
    await this.#change((node) => {
      if (node.promotedHere.at(-1) === timeline) return node;
      const others = node.promotedHere.filter((known) => known !== timeline);
      return { ...node, promotedHere: [...others, timeline].slice(-PROMOTIONS_KEPT) };
    });
  }

  /** The lease behind this node's leader key, so that its next life knows the key as its own. */
  async leading(leaseId: string | null): Promise<void> {
    await this.#change((node) => (node.leaseId === leaseId ? node : { ...node, leaseId }));
  }

  /** A new data directory has no promotions of its own. */
  async forgetPromotions(): Promise<void> {
    await this.#change((node) =>
      node.promotedHere.length === 0 ? node : { ...node, promotedHere: [] },
    );
  }

  async promised(promise: PromiseRecord): Promise<void> {
    await this.#change((node) => ({ ...node, promise }));
  }

  /** Adds a line to the story; waits for nothing, drops when the disk is far behind. */
  tell(event: Readonly<Record<string, unknown>>): void {
    if (this.#waiting >= 100) return;
    this.#waiting += 1;
    this.#tail = this.#tail
      .then(() => this.#append(`${JSON.stringify(event)}\n`))
      .catch((error: unknown) => this.#complain(`the journal cannot be written: ${String(error)}`))
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  async #append(line: string): Promise<void> {
    await makePrivateFolder(this.#directory);
    const path = join(this.#directory, STORY_FILE);
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    if (size > STORY_BYTES) await rename(path, `${path}.1`);
    await appendFile(path, line, { mode: 0o600 });
  }

  /**
   * One write after the other, each change made to what the one before has left. Changes that come while
   * one is under way, or in one turn, share the next.
   */
  #change(change: (node: NodeRecord) => NodeRecord): Promise<void> {
    this.#changes.push(change);
    if (this.#next === null) {
      this.#next = this.#saved.then(() => {
        const changes = this.#changes;
        this.#changes = [];
        this.#next = null;
        return this.#save(changes.reduce((node, each) => each(node), this.#node));
      });
      this.#saved = this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  async #save(node: NodeRecord): Promise<void> {
    if (node === this.#node) return;
    await this.#record.write(JSON.stringify(node));
    this.#node = node;
  }
}
