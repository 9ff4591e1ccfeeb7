/** Stub histories, as src/postgres/history.ts writes and removes them, on the simulated disk. */
import { PostgresError } from '../../src/postgres/postgres.ts';
import type { Disk } from './disk.ts';

/** @throws PostgresError the claim cannot be what PostgreSQL will take */
export function writeStubs(disk: Disk, claim: number): void {
  const { timeline, end } = disk.wal;
  if (claim <= timeline)
    throw new PostgresError(`cannot promote to timeline ${claim}: already on ${timeline}`);
  const above = [...disk.histories.keys()].filter((number) => number >= claim);
  if (above.length > 0)
    throw new PostgresError(`cannot promote to timeline ${claim}: ${above[0]}.history exists here`);
  const own = disk.histories.get(timeline)?.entries ?? [];
  const reason = 'reserved by tenure, never promoted';
  const entries = [...own, { timeline, switchLsn: end - 1, reason }];
  // A clone lacks the histories below its own, and a standby that is further behind asks for each.
  for (let number = 2; number < claim; number += 1) {
    if (number === timeline || disk.histories.has(number)) continue;
    const before = entries.filter((entry) => entry.timeline < number);
    const stub = !entries.some((entry) => entry.timeline === number);
    const unused = before.slice(0, 1).map((entry) => ({ ...entry, switchLsn: 1, reason }));
    disk.histories.set(number, { entries: stub && number < timeline ? unused : before, stub });
  }
}

/** Histories above our own timeline that the server to follow does not descend from. */
export function removeStrangers(disk: Disk, ancestry: readonly number[]): void {
  for (const number of [...disk.histories.keys()]) {
    if (number > disk.wal.timeline && !ancestry.includes(number)) disk.histories.delete(number);
  }
}

export function removeStubs(disk: Disk): void {
  const { timeline } = disk.wal;
  let reached = timeline;
  for (let number = timeline + 1; disk.histories.has(number); number += 1) {
    if (disk.histories.get(number)?.stub === false) reached = number;
  }
  for (const [number, { stub }] of [...disk.histories]) {
    if (stub && number > timeline && number > reached) disk.histories.delete(number);
  }
}
