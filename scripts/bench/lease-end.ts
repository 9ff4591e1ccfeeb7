/** When a lease ends, by etcd's own account: last renewal + ttl. */
import { pause } from '../lab/index.ts';

const ASK_EVERY_MS = 5;
const ANSWER_MS = 2000;

/**
 * etcd tells the time that is left in whole seconds, rounded down. The moment at which that number
 * drops from n to n - 1 is n seconds before the end.
 * @param lease id in decimal
 * @returns performance.now() ms
 * @param patienceMs how long it may take until that number drops: a second, and a last renewal that
 *   was under way when the holder died
 * @throws the lease is gone, or is renewed: its holder is not dead
 */
export async function leaseEnd(etcdUrl: string, lease: string, patienceMs = 5000): Promise<number> {
  let before: { readonly left: number; readonly at: number } | undefined;
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const left = await secondsLeft(etcdUrl, lease);
    const at = performance.now();
    if (before !== undefined && left < before.left)
      return (before.at + at) / 2 + before.left * 1000;
    if (at > giveUpAt) throw new Error(`the lease has ${left} s left and is still renewed`);
    before = { left, at };
    await pause(ASK_EVERY_MS);
  }
}

async function secondsLeft(etcdUrl: string, lease: string): Promise<number> {
  const response = await fetch(`${etcdUrl}/v3/lease/timetolive`, {
    method: 'POST',
    body: JSON.stringify({ ID: lease }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const answer = (await response.json()) as { readonly TTL?: string };
  const left = Number(answer.TTL ?? '0'); // proto3 leaves out a zero
  if (left < 0) throw new Error('the lease is gone');
  return left;
}
