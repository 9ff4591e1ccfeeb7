/** Switchover and failover: validation, statuses and words of contract 3.7, and what is ours beside them. */
import { beforeEach, describe, expect, test } from 'vitest';
import * as given from '../core/observations.ts';
import { type Ask, FUTURE, listen, Scene, said } from './operating.ts';
import { member, settings, tags } from './snapshots.ts';

let scene: Scene;
let ask: Ask;

beforeEach(async () => {
  scene = new Scene();
  ({ ask } = await listen(scene));
});

describe('switchover and failover', () => {
  test.each<[string, string, Record<string, unknown>, number, string]>([
    [
      'failover',
      'without a candidate',
      { leader: 'n1' },
      400,
      'Failover could be performed only to a specific candidate',
    ],
    [
      'switchover',
      'without a leader',
      { candidate: 'n2' },
      400,
      'Switchover could be performed only from a specific leader',
    ],
    [
      'failover',
      'scheduled',
      { candidate: 'n2', scheduled_at: FUTURE },
      400,
      "Failover can't be scheduled",
    ],
    [
      'switchover',
      'scheduled without a zone',
      { leader: 'n1', scheduled_at: '2099-12-01T03:00:00' },
      400,
      'Timezone information is mandatory for the scheduled switchover',
    ],
    [
      'switchover',
      'scheduled in the past',
      { leader: 'n1', scheduled_at: '2020-12-01T03:00:00Z' },
      422,
      'Cannot schedule switchover in the past',
    ],
    [
      'switchover',
      'scheduled for no time',
      { leader: 'n1', scheduled_at: 'soon' },
      422,
      'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601',
    ],
    [
      'switchover',
      'to its source',
      { leader: 'n1', candidate: 'n1' },
      400,
      'Switchover target and source are the same',
    ],
    ['switchover', 'from another leader', { leader: 'n2' }, 412, 'leader name does not match'],
    ['failover', 'to nobody', { member: 'n9' }, 412, 'candidate does not exists'],
  ])('%s %s', async (action, _how, body, status, text) => {
    expect(said(await ask('POST', `/${action}`, body))).toEqual([status, text]);
    expect(scene.written).toEqual([]);
  });

  test('in pause', async () => {
    scene.snapshot = { ...scene.snapshot, paused: true };
    expect(said(await ask('POST', '/switchover', { leader: 'n1', scheduled_at: FUTURE }))).toEqual([
      400,
      "Can't schedule switchover in the paused state",
    ]);
    expect(said(await ask('POST', '/switchover', { leader: 'n1' }))).toEqual([
      400,
      'Switchover is possible only to a specific candidate in a paused state',
    ]);
  });

  test('without anybody to hand over to', async () => {
    scene.view = { ...scene.view, members: [member('n1')] };
    expect(said(await ask('POST', '/switchover', { leader: 'n1' }))).toEqual([
      412,
      'switchover is not possible: cluster does not have members except leader',
    ]);
    scene.snapshot = { ...scene.snapshot, settings: settings({ synchronousMode: 'on' }) };
    expect(said(await ask('POST', '/switchover', { leader: 'n1' }))).toEqual([
      412,
      'switchover is not possible: can not find sync_standby',
    ]);
  });

  test.each<[string, () => void]>([
    ['does not answer', () => (scene.answers = [])],
    ['is 2000000 bytes behind', () => (scene.answers = [given.peer('n2', 65508992)])],
    ['is on timeline 3', () => (scene.answers = [given.peer('n2', 67508992, { timeline: 3 })])],
    ['runs as a primary', () => (scene.answers = [given.peer('n2', 1, { inRecovery: false })])],
    [
      'cannot use the watchdog',
      () => (scene.answers = [given.peer('n2', 67508992, { watchdogFailed: true })]),
    ],
    [
      'has the nofailover tag',
      () => {
        const barred = member('n2', { tags: tags({ nofailover: true }) });
        scene.view = { ...scene.view, members: [member('n1'), barred] };
      },
    ],
  ])('to a candidate that %s: 412 with the reason', async (reason, bend) => {
    bend();
    const answer = await ask('POST', '/switchover', { leader: 'n1', candidate: 'n2' });
    expect(said(answer)).toEqual([
      412,
      'switchover is not possible: no good candidates have been found',
    ]);
    expect(answer.headers.get('tenure-why')).toContain(`n2 ${reason}`);
  });

  test('one good member is enough where none is named', async () => {
    scene.answers = [given.peer('n3', 67508992)];
    scene.onFailover = () => scene.lead('n3');
    expect(said(await ask('POST', '/switchover', { leader: 'n1' }))).toEqual([
      200,
      'Successfully switched over to "n3"',
    ]);
    expect(scene.written).toEqual([{ leader: 'n1', candidate: null, scheduledAt: null }]);
  });

  test('says who leads instead, and how long nobody took writes', async () => {
    scene.snapshot = { ...scene.snapshot, name: 'n3' };
    scene.onFailover = () => {
      scene.change({ leader: null });
      setTimeout(() => scene.lead('n3'), 30);
    };
    const answer = await ask('POST', '/switchover', { leader: 'n1', candidate: 'n2' });
    expect(said(answer)).toEqual([200, 'Switched over to "n3" instead of "n2"']);
    expect(Number(answer.headers.get('tenure-outage-ms'))).toBeGreaterThan(0);
  });

  test('a failover with a leader is a switchover; without a leader it needs no position', async () => {
    scene.onFailover = () => scene.lead('n2');
    const both = await ask('POST', '/failover', { leader: 'n1', candidate: 'n2' });
    expect(said(both)).toEqual([200, 'Successfully switched over to "n2"']);
    scene.change({ leader: null, failover: null });
    scene.answers = [given.peer('n2', 5)];
    const one = await ask('POST', '/failover', { candidate: 'n2' });
    expect(said(one)).toEqual([200, 'Successfully failed over to "n2"']);
    expect(scene.written.at(-1)).toEqual({ leader: null, candidate: 'n2', scheduledAt: null });
  });

  test('the key emptied while the leader stays: it has failed, and the leader says why', async () => {
    const decision = { rule: 'hand-over.refused', why: 'request refused: n2 missed it' };
    scene.snapshot = { ...scene.snapshot, decision };
    scene.onFailover = () => scene.change({ failover: null });
    const answer = await ask('POST', '/switchover', { leader: 'n1', candidate: 'n2' });
    expect(said(answer)).toEqual([503, 'Switchover failed']);
    expect(answer.headers.get('tenure-why')).toBe(decision.why);
  });

  test('D71: a second request is refused while one is in progress', async () => {
    const failover = { leader: 'n1', candidate: 'n3', scheduledAt: null, modRevision: 9 };
    const refused = [409, 'Switchover is not possible: another one is already in progress'];
    scene.change({ failover });
    expect(said(await ask('POST', '/switchover', { leader: 'n1' }))).toEqual(refused);
    // The other one came between the look and the write.
    scene.change({ failover: null });
    scene.free = false;
    expect(said(await ask('POST', '/switchover', { leader: 'n1' }))).toEqual(refused);
    expect(scene.written).toEqual([]);
  });

  test('scheduled, then withdrawn', async () => {
    const body = { leader: 'n1', candidate: 'n2', scheduled_at: '2099-12-01 03:00+01:00' };
    expect(said(await ask('POST', '/switchover', body))).toEqual([202, 'Switchover scheduled']);
    expect(scene.written[0]?.scheduledAt).toBe('2099-12-01T03:00:00+01:00');
    expect(said(await ask('DELETE', '/switchover'))).toEqual([200, 'scheduled switchover deleted']);
    scene.free = false;
    expect((await ask('DELETE', '/switchover')).status).toBe(409);
    scene.change({ failover: null });
    expect(said(await ask('DELETE', '/switchover'))).toEqual([404, 'no switchover is scheduled']);
  });
});
