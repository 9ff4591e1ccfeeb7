import { describe, expect, test } from 'vitest';
import { patroniBody } from '../src/api/patroni.ts';
import { parsePeer } from '../src/peers.ts';
import { fixture } from './api/fixtures.ts';
import { postgres, primary, primarySql, replica, replicaSql } from './api/snapshots.ts';

describe('reading an answer (C-3.3)', () => {
  const PRIMARY = { inRecovery: false, position: 67508992, timeline: 1, watchdogFailed: false };
  const REPLICA = { ...PRIMARY, inRecovery: true };

  test('of Patroni', () => {
    expect(parsePeer('n1', fixture('primary-patroni.txt'))).toMatchObject({
      known: true,
      value: PRIMARY,
    });
    expect(parsePeer('n2', fixture('replica-patroni.txt'))).toMatchObject({
      known: true,
      value: REPLICA,
    });
  });

  test('whether it could still acknowledge to a former leader (S5)', () => {
    const receiving = (answer: ReturnType<typeof parsePeer>): unknown =>
      answer.known && answer.value.receiving;
    const own = (change: Parameters<typeof replicaSql>[0]): unknown =>
      receiving(
        parsePeer(
          'n2',
          JSON.stringify(patroniBody(replica({ postgres: postgres(replicaSql(change)) }))),
        ),
      );
    expect(own({})).toBe(true);
    // It would come back: the upstream is configured.
    expect(own({ walReceiver: null, follows: true })).toBe(true);
    expect(own({ walReceiver: null, follows: false })).toBe(false);
    // Patroni says only whether it streams.
    expect(receiving(parsePeer('n2', fixture('replica-patroni.txt')))).toBe(true);
    const cut = { ...JSON.parse(fixture('replica-patroni.txt')), replication_state: undefined };
    expect(receiving(parsePeer('n2', JSON.stringify(cut)))).toBe(false);
  });

  test('of our own', () => {
    expect(parsePeer('n1', JSON.stringify(patroniBody(primary())))).toMatchObject({
      known: true,
      value: PRIMARY,
    });
    expect(parsePeer('n2', JSON.stringify(patroniBody(replica())))).toMatchObject({
      known: true,
      value: REPLICA,
    });
    const sql = replicaSql({ receiveLsn: 10, replayLsn: 20 });
    const ahead = parsePeer(
      'n2',
      JSON.stringify(patroniBody(replica({ postgres: postgres(sql) }))),
    );
    expect(ahead).toMatchObject({ known: true, value: { position: 20 } });
    const stopping = parsePeer('n1', JSON.stringify(patroniBody(primary({ state: 'stopping' }))));
    expect(stopping).toMatchObject({ known: false });
    const blind = primary({ postgres: postgres(primarySql({ currentLsn: null })) });
    expect(parsePeer('n1', JSON.stringify(patroniBody(blind)))).toMatchObject({ known: false });
  });

  test.each([
    [{ role: 'replica', xlog: { received_location: 5, replayed_location: 9 } }, true, 9],
    [{ role: 'replica', xlog: { received_location: 9, replayed_location: 5 } }, true, 9],
    [{ role: 'replica', wal: { received_location: 9, replayed_location: null } }, true, 9],
    [{ role: 'replica', xlog: { received_location: 0, replayed_location: 0 } }, true, 0],
    [{ role: 'replica', xlog: { location: 7 } }, false, 7],
    [{ role: 'master', xlog: { location: 7 } }, false, 7],
    [{ role: 'master', xlog: { received_location: 5, replayed_location: 5 } }, false, 0],
    [{ role: 'primary', wal: {} }, false, 0],
    [{ role: 'standby_leader', xlog: { received_location: 5, replayed_location: 6 } }, true, 6],
  ])('%j', (body, inRecovery, position) => {
    expect(parsePeer('n2', JSON.stringify(body))).toMatchObject({
      known: true,
      value: { inRecovery, position },
    });
  });

  test('tags, timeline and watchdog', () => {
    const body = (more: object): string => JSON.stringify({ xlog: { location: 1 }, ...more });
    const read = (more: object) => parsePeer('n2', body(more));
    expect(read({})).toMatchObject({
      value: {
        timeline: null,
        watchdogFailed: false,
        tags: { nofailover: false, failoverPriority: 1, raw: {} },
      },
    });
    expect(read({ timeline: 0 })).toMatchObject({ value: { timeline: null } });
    expect(read({ timeline: 7, watchdog_failed: true })).toMatchObject({
      value: { timeline: 7, watchdogFailed: true },
    });
    const tagsOf = (tags: object) => read({ tags });
    expect(tagsOf({ nofailover: true, zone: 'a' })).toMatchObject({
      value: {
        tags: { nofailover: true, failoverPriority: 0, raw: { nofailover: true, zone: 'a' } },
      },
    });
    expect(tagsOf({ failover_priority: 0 })).toMatchObject({
      value: { tags: { nofailover: true } },
    });
    expect(tagsOf({ failover_priority: '5' })).toMatchObject({
      value: { tags: { nofailover: false, failoverPriority: 5 } },
    });
    expect(tagsOf({ failover_priority: '' })).toMatchObject({
      value: { tags: { nofailover: false, failoverPriority: 1 } },
    });
    expect(tagsOf({ nofailover: false, failover_priority: 0 })).toMatchObject({
      value: { tags: { nofailover: false, failoverPriority: 1 } },
    });
    expect(
      tagsOf({ noloadbalance: true, clonefrom: true, nostream: true, replicatefrom: 'n3' }),
    ).toMatchObject({
      value: {
        tags: { noloadbalance: true, clonefrom: true, nostream: true, replicatefrom: 'n3' },
      },
    });
  });

  test.each([
    ['', 'not JSON'],
    ['<html>', 'not JSON'],
    ['null', 'bad shape'],
    ['[]', 'bad shape'],
    ['{}', 'no xlog'],
    ['{"state":"unknown","role":"primary"}', 'no xlog'],
    ['{"role":"replica","xlog":{}}', 'no position'],
    ['{"role":"replica","xlog":{"received_location":"0/1"}}', 'bad xlog.received_location'],
    ['{"role":"replica","xlog":{"received_location":-1}}', 'bad xlog.received_location'],
    ['{"role":"replica","xlog":{"received_location":1.5}}', 'bad xlog.received_location'],
    ['{"role":3,"xlog":{"location":1}}', 'bad role'],
    ['{"xlog":{"location":1},"tags":[]}', 'bad tags'],
    ['{"xlog":{"location":1},"patroni":{"name":"n3"}}', 'from n3'],
  ])('unknown, never zero: %s', (text, why) => {
    const answer = parsePeer('n2', text);
    expect(answer.known).toBe(false);
    expect(answer).toMatchObject({ why: expect.stringContaining(why) });
  });
});
