/** What callbacks are told of PostgreSQL's life (C-5.18). */
import { expect, it } from 'vitest';
import { TOLD_NOTHING, tell } from '../../src/core/events.ts';
import type { JobState, PostgresFacts } from '../../src/core/model.ts';
import * as given from './observations.ts';

type Look = readonly [PostgresFacts, (JobState | null)?];

const as = (pid: number) => ({ kind: 'alive', pid, startTicks: pid, adopted: false }) as const;
const primary = (pid = 1): PostgresFacts =>
  given.running(given.primarySql(), { postmaster: as(pid) });
const replica = (pid = 1): PostgresFacts =>
  given.running(given.standbySql(), { postmaster: as(pid) });
const down = given.stopped('shut down');
const mute = given.running(given.primarySql(), { sql: given.unknown('no answer') });
const going = (kind: JobState['kind']): JobState => ({ ...given.ended(kind, true), outcome: null });

it.each<[string, readonly Look[], readonly string[]]>([
  ['nothing while there is no server', [[down]], []],
  ['that it runs, at the first look', [[primary()], [primary()]], ['on_start primary']],
  ['that it stopped, once', [[replica()], [down], [down]], ['on_start replica', 'on_stop replica']],
  ['a promotion', [[replica()], [primary()]], ['on_start replica', 'on_role_change primary']],
  [
    'a demotion, in place of the start that it came with',
    [[primary()], [down], [replica(2)]],
    ['on_start primary', 'on_stop primary', 'on_role_change replica'],
  ],
  [
    'another start',
    [[primary()], [down], [primary(2)]],
    ['on_start primary', 'on_stop primary', 'on_start primary'],
  ],
  [
    'a restart, also while its job has not ended',
    [[primary()], [primary(2), going('restart')]],
    ['on_start primary', 'on_restart primary'],
  ],
  ['nothing of a server that says nothing', [[primary()], [mute]], ['on_start primary']],
  [
    'nothing of a bootstrap until it has ended',
    [[primary(), going('bootstrap')], [primary()]],
    ['on_start primary'],
  ],
])('%s', (_what, looks, expected) => {
  let told = TOLD_NOTHING;
  const events: string[] = [];
  for (const [facts, job = null] of looks) {
    const next = tell(told, facts, job);
    told = next.told;
    if (next.event !== null) events.push(`${next.event.action} ${next.event.role}`);
  }
  expect(events).toEqual(expected);
});
