/** What a new leader promises before it is promoted, and what a primary remembers of its standbys (C-5.15; D40). */
import { describe, expect, it } from 'vitest';
import { PLACEHOLDER } from '../../src/core/guarantee.ts';
import type { ClusterView, Member, Observation, SqlFacts } from '../../src/core/model.ts';
import type { Settings } from '../../src/core/settings.ts';
import { rememberStreaming, type StreamingMemory } from '../../src/core/streaming.ts';
import * as given from './observations.ts';
import {
  alive,
  done,
  inForce,
  members,
  named,
  on,
  quorum,
  sender,
  strict,
} from './synchronous-scenes.ts';

describe('before a promotion', () => {
  const promoting = (
    sync: ClusterView['sync'],
    settings: Partial<Settings>,
    others: readonly Member[] = members(),
  ): Observation =>
    given.replica({
      settings: given.settings(settings),
      cluster: given.known(
        given.cluster({
          leader: { name: 'n2', leaseId: 'lease-n2', createRevision: 50, modRevision: 50 },
          timelines: {
            claims: [
              [1, 'n1'],
              [2, 'n2'],
            ],
            modRevision: 50,
          },
          members: others,
          sync,
        }),
      ),
      lease: given.ownLease('n2', {
        holdsLeaderKey: true,
        leaderModRevision: 50,
        deadline: given.NOW + 25_000,
      }),
    });

  it.each([
    ['D40: the former leader stays named', named(['n2']), on, ['sync n2:n1/0@40', 'names "n1"']],
    [
      'with another standby',
      named(['n2', 'n3']),
      on,
      ['sync n2:n1,n3/0@40', 'names 2 ("n1","n3")'],
    ],
    [
      'in quorum mode',
      named(['n2', 'n3'], { quorum: 1 }),
      quorum,
      ['sync n2:n1,n3/1@40', 'names ANY 1 ("n1","n3")'],
    ],
    ['a member that was not named', named(['n3']), on, ['sync n2:/0@40', `names "${PLACEHOLDER}"`]],
    ['the leader of /sync itself', named(['n1'], { leader: 'n2' }), on, ['names "n1"']],
    ['before /sync was ever written', null, on, ['sync n2:/0@0', `names "${PLACEHOLDER}"`]],
    ['without synchronous mode', named(['n3']), {}, []],
  ] as const)('%s', (_who, sync, settings, steps) => {
    expect(done(promoting(sync, settings))).toEqual([...steps, 'promote']);
  });

  it('alone in a mode that is not strict, nobody is waited for', () => {
    const alone = members().slice(1, 2);
    expect(done(promoting(null, on, alone))).toEqual(['sync n2:/0@0', 'promote']);
    const steps = done(promoting(null, strict, alone));
    expect(steps).toEqual(['sync n2:/0@0', `names "${PLACEHOLDER}"`, 'promote']);
  });
});

describe('what a primary remembers of its standbys', () => {
  const look = (before: StreamingMemory, now: number, sql: Partial<SqlFacts>): StreamingMemory =>
    rememberStreaming(
      before,
      now,
      given.running(given.primarySql(sql)),
      given.known(given.cluster()),
      'n1',
    );

  it('how long commits wait, and when each standby last moved', () => {
    const behind = { walSenders: [sender('n2', { flushLsn: 4000 })], commitsWait: true };
    const first = look(alive, 1000, behind);
    const second = look(first, 2500, behind);
    expect(second.waitingSince).toBe(1000);
    expect(second.standbys.n2).toEqual({ flushLsn: 4000, movedAt: 1000, streamingAt: 1000 });
    const third = look(second, 3000, { ...behind, walSenders: [sender('n2', { flushLsn: 4001 })] });
    expect(third.standbys.n2).toEqual({ flushLsn: 4001, movedAt: 3000, streamingAt: 3000 });
    expect(look(third, 4000, { ...behind, commitsWait: false }).waitingSince).toBeNull();
  });

  it('names that are in force, until others are', () => {
    const before = { ...alive, ...inForce('"n2"') };
    expect(look(before, 1, { synchronousStandbyNames: '"n2"' }).inForce).not.toBeNull();
    expect(look(before, 1, { synchronousStandbyNames: '' }).inForce).toBeNull();
  });

  it('nothing of an earlier primary, and all of it while the server gives no answer', () => {
    const cluster = given.known(given.cluster());
    const before = { ...alive, ...inForce('"n2"') };
    expect(
      rememberStreaming(before, 1, given.stopped('in production'), cluster, 'n1').inForce,
    ).toBeNull();
    const standby = given.running(given.standbySql());
    expect(rememberStreaming(before, 1, standby, cluster, 'n1').primarySince).toBeNull();
    const silent = given.running(given.primarySql(), { sql: given.unknown('timeout') });
    expect(rememberStreaming(before, 1, silent, cluster, 'n1')).toBe(before);
  });

  it('members only, so that it cannot grow', () => {
    expect(look(alive, 1, { walSenders: [sender('stranger1')] }).standbys).toEqual({});
  });
});
