/**
 * The daemon that was started before this one on the same node. One that is healthy keeps its place;
 * one that is stopped or silent is ended, or it would go on one day beside us where it was stopped
 * (protocol: two daemons of one name end in one).
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from './clock.ts';
import type { Peers } from './peers.ts';
import { makePrivateFolder, readIfThere, writeAtomically } from './postgres/disk.ts';
import { waitUntilGone } from './postgres/ending.ts';
import { identify, readProcess, signalProcess } from './postgres/proc.ts';

const FILE = 'daemon.json';
/** For it to answer, ms. */
const ANSWER_MS = 3000;
/** For it to be gone after SIGKILL, ms. */
const END_MS = 5000;

const recordSchema = z.object({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  apiUrl: z.string(),
});

export type Earlier =
  | { readonly kind: 'none' }
  | { readonly kind: 'ended'; readonly why: string }
  /** This daemon must not go on. */
  | { readonly kind: 'healthy'; readonly why: string };

/** Looks for it, and ends it when it is good for nothing. Never rejects. */
export async function endEarlier(
  stateDir: string,
  clock: Clock,
  peers: Pick<Peers, 'liveness'>,
): Promise<Earlier> {
  const record = await recorded(join(stateDir, FILE));
  const found = record === null ? null : readProcess(record.pid);
  if (record === null || found === null || found.pid === process.pid) return { kind: 'none' };
  // The pid may have gone to another process, and in another container it names another.
  if (found.startTicks !== record.startTicks) return { kind: 'none' };
  const stopped = found.state === 'T' || found.state === 't';
  if (!stopped && (await peers.liveness(record.apiUrl, ANSWER_MS)))
    return {
      kind: 'healthy',
      why: `Can't start; process ${found.pid} already looks after this node`,
    };
  signalProcess(found, 'SIGKILL');
  const state = stopped ? 'was stopped' : 'gave no answer';
  if (await waitUntilGone(clock, [found], END_MS))
    return {
      kind: 'ended',
      why: `ended process ${found.pid}, the daemon before this one: it ${state}`,
    };
  return { kind: 'healthy', why: `Can't start; process ${found.pid} ${state} and does not end` };
}

/** For the next one. Best effort: without it a stopped daemon keeps its port. */
export async function recordDaemon(stateDir: string, apiUrl: string): Promise<void> {
  const own = identify(process.pid);
  if (own === null) return;
  try {
    await makePrivateFolder(stateDir);
    await writeAtomically(join(stateDir, FILE), `${JSON.stringify({ ...own, apiUrl })}\n`, 0o600);
  } catch {
    // Whatever else needs the folder will say so.
  }
}

async function recorded(path: string): Promise<z.infer<typeof recordSchema> | null> {
  try {
    const text = await readIfThere(path);
    return text === null ? null : recordSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
