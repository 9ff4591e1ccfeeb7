/** What may not be written into /config: key, what was found, what is allowed. */
import { describe, expect, it } from 'vitest';
import { dynamicFaults } from '../../src/config/index.ts';

const DEFAULTS = { ttl: 30, loop_wait: 10, retry_timeout: 10 };

describe('a new /config', () => {
  it.each<[Record<string, unknown>, string]>([
    [{ ttl: 'soon' }, 'ttl: found "soon", allowed: seconds'],
    [{ pause: 'perhaps' }, 'pause: found "perhaps", allowed: on, off'],
    [{ maximum_lag_on_failover: -1 }, 'maximum_lag_on_failover: found -1, allowed: bytes'],
    [{ postgresql: 3 }, 'postgresql: found 3, allowed: a map'],
    [{ postgresql: { parameters: ['x'] } }, 'postgresql.parameters: found a list, allowed: a map'],
    [
      { postgresql: { parameters: { work_mem: {} } } },
      'postgresql.parameters.work_mem: found a map, allowed: text',
    ],
    [{ postgresql: { use_slots: 2 } }, 'postgresql.use_slots: found 2, allowed: on, off'],
    [{ ttl: 2 }, 'ttl: found 2, allowed: at least 3'],
    [{ loop_wait: 0.5 }, 'loop_wait: found 0.5, allowed: seconds'],
  ])('%j is refused', (change, line) => {
    const faults = dynamicFaults(DEFAULTS, { ...DEFAULTS, ...change }, []);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(line);
  });

  it.each<Record<string, unknown>>([
    { ttl: 3, loop_wait: 1, retry_timeout: 1 },
    { ttl: '1min' },
    { own: { anything: [1] }, postgresql: { own: 1, parameters: { work_mem: '4MB' } } },
    { pause: null },
  ])('%j is taken', (change) => {
    expect(dynamicFaults(DEFAULTS, { ...DEFAULTS, ...change }, [])).toEqual([]);
  });

  it("keeps Patroni's floors while a member runs it, and names that member", () => {
    const low = { ttl: 10, loop_wait: 1, retry_timeout: 2 };
    expect(dynamicFaults(DEFAULTS, low, ['n2'])).toEqual([
      'ttl: found 10, allowed: at least 20 (seconds) while n2 runs Patroni',
      'retry_timeout: found 2, allowed: at least 3 (seconds) while n2 runs Patroni',
    ]);
    expect(dynamicFaults(DEFAULTS, low, [])).toEqual([]);
    expect(dynamicFaults(low, { ...low, pause: true }, ['n2']), 'was there before').toEqual([]);
  });
});
