/**
 * This node's own memory on disk, in `tenure.state_dir`: which timelines it promoted itself to,
 * which lease backed its leader key, and the story of its decisions. Never inside the data
 * directory: pg_rewind deletes what only the target has.
 */
import { appendFile, mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { NodeJournal } from './act.ts';

const NODE_FILE = 'node.json';
const STORY_FILE = 'journal.jsonl';
/** The story is turned over at this size, bytes; one older file is kept. */
const STORY_BYTES = 4_000_000;
const PROMOTIONS_KEPT = 100;

const nodeSchema = z.object({
  promotedHere: z.array(z.number().int().positive()).catch([]),
  leaseId: z.string().nullable().catch(null),
});

export type NodeRecord = z.infer<typeof nodeSchema>;

export class Journal implements NodeJournal {
  readonly #directory: string;
  readonly #complain: (text: string) => void;
  #node: NodeRecord = { promotedHere: [], leaseId: null };
  /** Writes follow one another; a story that cannot be written never holds up a decision. */
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(directory: string, complain: (text: string) => void) {
    this.#directory = directory;
    this.#complain = complain;
  }

  get node(): NodeRecord {
    return this.#node;
  }

  /** Reads what an earlier life left. A damaged file is set aside and said, never trusted. */
  async load(): Promise<NodeRecord> {
    const path = join(this.#directory, NODE_FILE);
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
    const promotedHere = [
      ...this.#node.promotedHere.filter((known) => known !== timeline),
      timeline,
    ].slice(-PROMOTIONS_KEPT);
    await this.#save({ ...this.#node, promotedHere });
  }

  /** The lease behind this node's leader key, so that its next life knows the key as its own. */
  async leading(leaseId: string | null): Promise<void> {
    if (this.#node.leaseId !== leaseId) await this.#save({ ...this.#node, leaseId });
  }

  /** A new data directory has no promotions of its own. */
  async forgetPromotions(): Promise<void> {
    if (this.#node.promotedHere.length > 0) await this.#save({ ...this.#node, promotedHere: [] });
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
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const path = join(this.#directory, STORY_FILE);
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    if (size > STORY_BYTES) await rename(path, `${path}.1`);
    await appendFile(path, line, { mode: 0o600 });
  }

  async #save(node: NodeRecord): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const path = join(this.#directory, NODE_FILE);
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(node));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    const directory = await open(this.#directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    this.#node = node;
  }
}
