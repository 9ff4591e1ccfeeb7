/** Two daemons of one name are two leaders of one cluster: the second must not start (C-5.1; field D3). */
import type { ClusterView } from './core/model.ts';
import type { Peers } from './peers.ts';

const ANSWER_TIMEOUT_MS = 3000;

/**
 * Why this daemon must not go on, null when it may. Any HTTP answer from the address that the
 * member key of our name gives is a living twin; our own address cannot be one, as we listen there.
 */
export async function twin(
  cluster: ClusterView,
  peers: Pick<Peers, 'liveness'>,
  name: string,
  ownApiUrl: string | null,
): Promise<string | null> {
  const record = cluster.members.find((member) => member.name === name);
  if (record === undefined || record.apiUrl === null || record.apiUrl === ownApiUrl) return null;
  if (!(await peers.liveness(record.apiUrl, ANSWER_TIMEOUT_MS))) return null;
  return `Can't start; there is already a node named '${name}' running at ${record.apiUrl}`;
}
