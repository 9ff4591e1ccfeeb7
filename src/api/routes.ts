/**
 * The route table. The first segment of the path names an endpoint; every other path is a health
 * check (C-3.1). All of it answers GET, HEAD and OPTIONS with the same status.
 *
 * Patroni treats HEAD and OPTIONS of `/patroni`, `/cluster` and the like as health checks of
 * unknown names, hence 503; here HEAD is GET without the body, as HTTP has it.
 */
import type { View } from './answer.ts';
import { clusterAnswer, configAnswer, failsafeAnswer, historyAnswer } from './cluster.ts';
import { problem } from './errors.ts';
import { check, liveness, readiness } from './health.ts';
import { metricsAnswer } from './metrics.ts';
import { patroniBody } from './patroni.ts';

export const ENDPOINTS: Readonly<Record<string, View>> = {
  patroni: (snapshot) => ({ status: 200, body: () => patroniBody(snapshot) }),
  cluster: clusterAnswer,
  history: historyAnswer,
  config: configAnswer,
  failsafe: failsafeAnswer,
  metrics: metricsAnswer,
  liveness: (snapshot) => ({ status: liveness(snapshot), body: null }),
  readiness: (snapshot, { query }) => ({ status: readiness(query, snapshot), body: null }),
};

/**
 * Endpoints whose GET asks for a look at PostgreSQL first: peers in a race compare the positions
 * that `/patroni` shows, which must not be as old as the last tick (rule F3). Health checks never
 * do (rule F6).
 */
export const FRESH_ENDPOINTS: ReadonlySet<string> = new Set(['patroni']);

/** Everything that {@link ENDPOINTS} does not name. */
export const healthCheck: View = (snapshot, { path, query }) => ({
  status: check(path, query, snapshot),
  body: () => patroniBody(snapshot),
});

/** What would change something: not in this version (C-3.6). */
export const unsupported: View = () => problem('not_supported');
