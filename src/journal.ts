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
import { makePrivateFolder, writeAtomically } from './postgres/disk.ts';

/** Another text after each start of the machine; without it every start of the daemon counts as one. */
const BOOT_FILE = '/proc/sys/kernel/random/boot_id';
const NODE_FILE = 'node.json';
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
  #saved: Promise<void> = Promise.resolve();

  constructor(directory: string, complain: (text: string) => void) {
    this.#directory = directory;
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
      this.#node = nodeSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.#complain(
          `${path} cannot be read (${String(error)}); it is set aside as ${NODE_FILE}.broken`,
        );
        await rename(path, `${path}.broken`).catch(() => undefined);
      }
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

  /** One after the other: each change is made to what the one before has left. */
  #change(change: (node: NodeRecord) => NodeRecord): Promise<void> {
    const saved = this.#saved.then(() => this.#save(change(this.#node)));
    this.#saved = saved.catch(() => undefined);
    return saved;
  }

  async #save(node: NodeRecord): Promise<void> {
    if (node === this.#node) return;
    await makePrivateFolder(this.#directory);
    await writeAtomically(join(this.#directory, NODE_FILE), JSON.stringify(node), 0o600);
    this.#node = node;
  }
}
