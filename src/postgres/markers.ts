/**
 * What has to be known of unfinished work after a crash (S7, S8), in the state directory: never in
 * the data directory, from which pg_rewind deletes what its source does not have.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { InterruptedWork } from '../core/model.ts';
import {
  makePrivateFolder,
  messageOf,
  readIfThere,
  removeIfThere,
  writeAtomically,
} from './disk.ts';
import { PostgresError } from './postgres.ts';

export interface WorkMarker {
  readonly kind: InterruptedWork;
  /** For people; ISO 8601. */
  readonly startedAt: string;
  readonly from: string | null;
  /** The copy of a clone that is built beside the data directory, which stays whole until the swap. */
  readonly folder: string | null;
  /** The copy is complete: what is missing is only to put it in the data directory's place. */
  readonly swapping: boolean;
  /** Life of the data directory once the work is done. */
  readonly incarnation: string | null;
  /**
   * Work that never finished in the data directory that this replaces: what the directory is again
   * when the copy beside it comes to nothing.
   */
  readonly replaces: InterruptedWork | null;
  /** A program of the operator works in the data directory: what its links lead to may be another server's. */
  readonly program?: boolean;
  /** Folders outside of the data directory that the work fills; what it left there is nobody's. */
  readonly elsewhere?: readonly string[];
}

export class Markers {
  readonly #stateDir: string;
  readonly #marker: string;
  readonly #incarnation: string;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
    this.#marker = join(stateDir, 'work.json');
    this.#incarnation = join(stateDir, 'incarnation');
  }

  /** On disk for good when it returns. @throws PostgresError the state directory cannot be written */
  async begin(marker: WorkMarker): Promise<void> {
    try {
      await makePrivateFolder(this.#stateDir);
      await writeAtomically(this.#marker, `${JSON.stringify(marker)}\n`, 0o600);
    } catch (error) {
      throw new PostgresError(
        `cannot write in ${this.#stateDir} (tenure.state_dir): ${messageOf(error)}`,
      );
    }
  }

  async end(): Promise<void> {
    await removeIfThere(this.#marker);
  }

  /** The work came to nothing, and the data directory is what it was before. */
  async abandon(marker: WorkMarker): Promise<void> {
    const { replaces: kind } = marker;
    if (kind === null) return await this.end();
    await this.begin({
      ...marker,
      kind,
      from: null,
      folder: null,
      swapping: false,
      incarnation: null,
      replaces: null,
    });
  }

  /** @throws PostgresError it is there and makes no sense: somebody has to look (S4) */
  async read(): Promise<WorkMarker | null> {
    const text = await readIfThere(this.#marker);
    if (text === null) return null;
    let value: Partial<Record<keyof WorkMarker, unknown>>;
    try {
      value = JSON.parse(text) as typeof value;
    } catch {
      throw new PostgresError(`${this.#marker} is no JSON`);
    }
    const { kind } = value;
    if (!isWork(kind)) {
      throw new PostgresError(`${this.#marker} names no work that is known`);
    }
    const textOf = (field: keyof WorkMarker): string | null => {
      const found = value[field];
      return typeof found === 'string' ? found : null;
    };
    return {
      kind,
      startedAt: textOf('startedAt') ?? '',
      from: textOf('from'),
      folder: textOf('folder'),
      swapping: value.swapping === true,
      incarnation: textOf('incarnation'),
      replaces: isWork(value.replaces) ? value.replaces : null,
      ...(Array.isArray(value.elsewhere) && {
        elsewhere: value.elsewhere.filter((path): path is string => typeof path === 'string'),
      }),
    };
  }

  /** Null: this data directory was made by nobody that wrote it down. */
  async incarnation(): Promise<string | null> {
    const text = (await readIfThere(this.#incarnation))?.trim();
    return text ? text : null;
  }

  async setIncarnation(id: string): Promise<void> {
    await makePrivateFolder(this.#stateDir);
    await writeAtomically(this.#incarnation, `${id}\n`, 0o600);
  }
}

function isWork(value: unknown): value is InterruptedWork {
  return value === 'bootstrap' || value === 'clone' || value === 'rewind';
}

export function newIncarnation(): string {
  return randomUUID();
}

/** Whether {@link newIncarnation} can have made it. */
export function isIncarnation(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
