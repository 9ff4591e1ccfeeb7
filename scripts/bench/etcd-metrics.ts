/** Requests that etcd has received, by its own count. Reading it costs etcd no request. */

/** By method. A stream counts once for each message that was sent on it. */
export async function requestsReceived(etcdUrl: string): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${etcdUrl}/metrics`, { signal: AbortSignal.timeout(5000) });
  return parseRequests(await response.text());
}

/**
 * `grpc_server_handled_total` counts a stream when it ends, `grpc_server_msg_received_total` its
 * messages: the larger one is what was asked of etcd.
 */
export function parseRequests(text: string): ReadonlyMap<string, number> {
  const handled = sums(text, 'grpc_server_handled_total');
  const received = sums(text, 'grpc_server_msg_received_total');
  const methods = new Set([...handled.keys(), ...received.keys()]);
  return new Map(
    [...methods].map((name) => [name, Math.max(handled.get(name) ?? 0, received.get(name) ?? 0)]),
  );
}

function sums(text: string, metric: string): Map<string, number> {
  const found = new Map<string, number>();
  const line = new RegExp(`^${metric}\\{[^}]*grpc_method="(\\w+)"[^}]*\\} (\\S+)$`, 'gm');
  for (const [, method = '', value] of text.matchAll(line)) {
    found.set(method, (found.get(method) ?? 0) + Number(value));
  }
  return found;
}

/** What was added, without methods that were not used. */
export function growth(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const added = [...after].map(
    ([method, value]) => [method, value - (before.get(method) ?? 0)] as const,
  );
  return new Map(added.filter(([, value]) => value > 0));
}
