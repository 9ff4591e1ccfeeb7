/** Passwords do not get into what everybody may read. */
import { expect, it } from 'vitest';
import { dynamicFaults, initialDynamicConfiguration, loadConfig } from '../../src/config/index.ts';
import { file, MINIMAL } from './files.ts';

it('/config: not from bootstrap.dcs, and not from a request', () => {
  const authentication = { superuser: { password: 'geheim' } };
  const { config, warnings } = loadConfig(
    file(`${MINIMAL}bootstrap:
  dcs:
    postgresql:
      use_slots: true
      authentication: {superuser: {password: geheim}}
`),
    {},
  );
  expect(warnings.join()).toContain('bootstrap.dcs.postgresql.authentication has no effect');
  expect(initialDynamicConfiguration(config).postgresql).toEqual({ use_slots: true });
  const after = { postgresql: { authentication } };
  expect(dynamicFaults({}, after, [])).toEqual([
    'postgresql.authentication: found a map, allowed: nothing: everybody may read /config',
  ]);
  // What is there already does not keep other changes from being made.
  expect(dynamicFaults(after, { ...after, ttl: 31 }, [])).toEqual([]);
});
