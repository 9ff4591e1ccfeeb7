/** A member that asks to leave `/sync` says so in its member key, whatever its tags are (contract 5.12). */
import { expect, it } from 'vitest';
import { RealClock } from '../src/clock.ts';
import { Measures } from '../src/measures.ts';
import { Status } from '../src/status.ts';
import * as given from './core/observations.ts';

it('publishes nosync while it asks, and its own tags again afterwards', () => {
  const identity = {
    scope: 's',
    name: 'n2',
    connUrl: 'postgres://h/p',
    apiUrl: 'http://h/patroni',
  };
  const tags = { ...given.plainTags, syncPriority: 4, raw: { sync_priority: 4, zone: 'a' } };
  const status = new Status(identity, given.settings({ tags }), {
    clock: new RealClock(),
    lease: { facts: () => given.ownLease('n2') },
    job: () => null,
    guard: () => ({ state: 'armed', pid: 7 }),
    watchdog: () => ({ state: 'off', failure: null }),
    scheduledRestart: () => null,
    failsafe: () => false,
    measures: new Measures(),
  });
  expect(status.record(true).tags).toEqual(tags);
  status.withdrawing = true;
  expect(status.record(true).tags).toMatchObject({
    nosync: true,
    syncPriority: 0,
    raw: { nosync: true, sync_priority: 0, zone: 'a' },
  });
  status.withdrawing = false;
  expect(status.record(true).tags).toEqual(tags);
});
