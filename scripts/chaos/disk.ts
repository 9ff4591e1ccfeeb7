/** A small disk for a node's data directory, and filling it. */
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lab/run.ts';

/** Two copies of the data directory and its WAL, with room to spare. */
const SIZE = '640m';
const FILLER = 'filler';
const PIECE = Buffer.alloc(1024 * 1024);

export async function mountSmall(folder: string): Promise<void> {
  await run(['mount', '-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'tmpfs', folder]);
}

/** Nothing more can be written; what is removed meanwhile makes room again. */
export function fill(folder: string): void {
  const file = openSync(join(folder, FILLER), 'w');
  try {
    for (let piece = PIECE; freeBytes(folder) > 0; ) {
      try {
        writeSync(file, piece);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        if (piece.length === 1) return;
        piece = piece.subarray(0, Math.max(1, piece.length >> 4));
      }
    }
  } finally {
    closeSync(file);
  }
}

export function empty(folder: string): void {
  rmSync(join(folder, FILLER), { force: true });
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
