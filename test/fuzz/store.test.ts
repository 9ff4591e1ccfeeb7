/** Whatever stands in the keys: a decision is made, REST answers, and a proven primary is left alone. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ENDPOINTS, healthCheck } from '../../src/api/routes.ts';
import { effectiveSettings } from '../../src/config/index.ts';
import { decide } from '../../src/core/decide.ts';
import type { ClusterView, PostgresFacts } from '../../src/core/model.ts';
import { keysOf } from '../../src/store/keys.ts';
import { decodeView } from '../../src/store/view.ts';
import { primary } from '../api/snapshots.ts';
import * as given from '../core/observations.ts';
import { baseConfig } from '../sim/config.ts';
import { contents, runs } from './inputs.ts';

const keys = keysOf('service', 'bench');
const { prefix: _prefix, base: _base, members, ...single } = keys;
const names = [...Object.values(single), `${members}n1`, `${members}n2`, `${members}x`];

/** What a healthy leader finds there. */
const HEALTHY: Readonly<Record<string, string>> = {
  [keys.initialize]: given.SYSTEM,
  [keys.leader]: 'n1',
  [keys.config]: '{"ttl":30}',
  [`${members}n1`]: '{"conn_url":"postgres://127.0.0.1:5431/postgres","role":"primary"}',
};

function viewOf(values: Readonly<Record<string, string>>): ClusterView {
  const kvs = Object.entries(values).map(([key, value]) => ({
    key,
    value,
    createRevision: 5,
    modRevision: 5,
    leaseId: key === keys.leader || key.startsWith(members) ? 'lease-n1' : null,
  }));
  return decodeView(keys, 100, kvs);
}

const SERVERS: readonly PostgresFacts[] = [
  given.running(given.primarySql()),
  given.running(given.standbySql()),
  given.stopped('shut down'),
  given.emptyDirectory(),
];

const stored = fc.array(fc.tuple(fc.constantFrom(...names), contents), {
  minLength: 1,
  maxLength: 4,
});

test('every situation has a decision and an answer', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(stored, fc.constantFrom(...SERVERS), fc.boolean(), (entries, postgres, leads) => {
      const cluster = viewOf({ ...HEALTHY, ...Object.fromEntries(entries) });
      const dynamic = cluster.config.kind === 'valid' ? cluster.config.values : null;
      const { settings } = effectiveSettings(baseConfig(), dynamic, { allMembersRunTenure: true });
      const found = { cluster: given.known(cluster), postgres, settings };
      const observation = leads ? given.leader(found) : given.replica(found);
      const { rule, why, wakeInMs } = decide(observation);
      expect([typeof rule, typeof why, wakeInMs > 0]).toEqual(['string', 'string', true]);
      const snapshot = primary({ cluster, postgres, settings });
      for (const [name, view] of Object.entries({ ...ENDPOINTS, replica: healthCheck })) {
        const { body } = view(snapshot, { path: `/${name}`, query: new URLSearchParams('lag=1') });
        JSON.stringify(body?.());
      }
    }),
    { numRuns: runs(2000) },
  );
});

/** Of these keys none says who leads, or what cluster this is; nor does a request of an operator's. */
const MAY_BE_GARBAGE = names.filter(
  (name) =>
    ![keys.leader, keys.initialize, keys.bootstrap, keys.failover, keys.config].includes(name),
);

test('a primary whose lease is proven is neither stopped nor replaced', {
  timeout: 120_000,
}, () => {
  const entry = fc.tuple(fc.constantFrom(...MAY_BE_GARBAGE), contents);
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 6 }), (entries) => {
      const cluster = viewOf({ ...HEALTHY, ...Object.fromEntries(entries) });
      const decision = decide(given.leader({ cluster: given.known(cluster) }));
      for (const step of decision.steps) {
        expect(['resign', 'killEverything', 'killOrphans', 'exit', 'campaign']).not.toContain(
          step.do,
        );
        if (step.do === 'startJob') expect(['promote']).toContain(step.job.kind);
      }
    }),
    { numRuns: runs(2000) },
  );
});
