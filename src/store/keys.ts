/**
 * Names of the cluster's keys (contract 2.1, 2.3). Keys of ours live below `tenure/`, nothing else
 * anywhere.
 */
export interface Keys {
  /** Without a trailing slash. */
  readonly base: string;
  /** What a read and the watch cover: the base with a trailing slash, so that no other scope fits. */
  readonly prefix: string;
  readonly initialize: string;
  readonly leader: string;
  readonly members: string;
  readonly config: string;
  readonly status: string;
  /** Legacy position of the leader; only read. */
  readonly optime: string;
  readonly failover: string;
  readonly history: string;
  readonly sync: string;
  /** Who has to agree that a leader goes on without the store (contract 5.4). */
  readonly failsafe: string;
  /** Timeline numbers reserved by winners of the leader key (rule S6). */
  readonly timeline: string;
  /** Left behind by the transaction that releases the leader key on purpose (rule F4). */
  readonly handover: string;
  /** Commits that no standby had confirmed when their wait was ended (field D38). */
  readonly unconfirmed: string;
  /** Name of the agent whose bootstrap `initialize` = "" stands for. */
  readonly bootstrap: string;
}

/** `"/" + namespace + "/" + scope`, repeated slashes collapsed (contract 2.1). */
export function keysOf(namespace: string, scope: string): Keys {
  const base = `/${namespace}/${scope}`.replace(/\/+/g, '/').replace(/\/$/, '');
  return {
    base,
    prefix: `${base}/`,
    initialize: `${base}/initialize`,
    leader: `${base}/leader`,
    members: `${base}/members/`,
    config: `${base}/config`,
    status: `${base}/status`,
    optime: `${base}/optime/leader`,
    failover: `${base}/failover`,
    history: `${base}/history`,
    sync: `${base}/sync`,
    failsafe: `${base}/failsafe`,
    timeline: `${base}/tenure/timeline`,
    handover: `${base}/tenure/handover`,
    unconfirmed: `${base}/tenure/unconfirmed`,
    bootstrap: `${base}/tenure/bootstrap`,
  };
}

export function memberKey(keys: Keys, name: string): string {
  return `${keys.members}${name}`;
}

/** Name of the member whose key this is; null when it is another key. */
export function memberName(keys: Keys, key: string): string | null {
  if (!key.startsWith(keys.members)) return null;
  const name = key.slice(keys.members.length);
  return name === '' || name.includes('/') ? null : name;
}
