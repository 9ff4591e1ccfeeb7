/** A small disk for a node's data directory, and filling it. */
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../lab/index.ts';
import { killAllIn } from '../lab/processes.ts';
import { run } from '../lab/run.ts';

/** Two copies of the data directory and its WAL, with room to spare. */
const SIZE = '640m';
const FILLER = 'filler';
const PIECE = Buffer.alloc(1024 * 1024);

/** A disk for the data directory of this node, unmounted when the lab closes. @returns its folder */
export async function mountSmall(lab: Lab, node: string): Promise<string> {
  const folder = lab.path(node, 'disk');
  await run(['mount', '-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'tmpfs', folder]);
  lab.onClose(async () => {
    await killAllIn(lab.path(node)); // its daemon too, which would start PostgreSQL again
    await run(['umount', '--lazy', folder]);
  });
  return folder;
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
