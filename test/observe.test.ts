/** Whom a look asks: nobody who has nothing to say, and never twice (rules F3, F4). */
import { describe, expect, it } from 'vitest';
import type { ClusterView, JobState, PostgresFacts } from '../src/core/model.ts';
import { complete, type Sources } from '../src/observe.ts';
import * as given from './core/observations.ts';
import { ManualClock } from './store/manual-clock.ts';

const handover = { leader: 'n1', floorLsn: 5000, timeline: 1, candidate: 'n2', modRevision: 9 };
const failover = { leader: 'n2', candidate: 'n3', scheduledAt: null, modRevision: 9 };
const leading = { name: 'n2', leaseId: 'lease-n2', createRevision: 5, modRevision: 5 };
const standby = given.running(given.standbySql());

/** Names of the members that n2 asks. */
async function asked(
  cluster: ClusterView,
  postgres: PostgresFacts = standby,
  job: JobState | null = null,
  leaderlessMs = 0,
): Promise<readonly string[]> {
  const names: string[] = [];
  const clock = new ManualClock();
  const sources = {
    clock,
    store: { leaseRemaining: async () => 0 },
    postgres: { observe: async () => postgres, askUpstream: async () => given.upstream() },
    peers: {
      ask: async (members: readonly { readonly name: string }[]) => {
        names.push(...members.map(({ name }) => name));
        return [];
      },
    },
  } as unknown as Sources;
  const now = clock.now();
  const seen = { since: now, now, cluster: given.known(cluster), postgres };
  await complete(sources, seen, {
    name: 'n2',
    settings: given.settings(),
    lease: given.ownLease('n2'),
    job,
    request: null,
    scheduledRestart: null,
    promise: null,
    stopping: false,
    watchdogFailure: null,
    memory: given.memory({ lastRole: 'replica', leaderlessSince: now - leaderlessMs }),
  });
  return names;
}

describe('peers', () => {
  it('are not asked while somebody leads', async () => {
    expect(await asked(given.cluster())).toEqual([]);
  });

  it('are asked in a race', async () => {
    expect(await asked(given.leaderless())).toEqual(['n3']);
  });

  it('are asked by a leader that is to hand over, and by no other member', async () => {
    const primary = given.running(given.primarySql());
    const members = given.cluster().members.filter(({ name }) => name !== 'n1');
    expect(await asked(given.cluster({ leader: leading, members, failover }), primary)).toEqual([
      'n3',
    ]);
    expect(await asked(given.cluster({ failover }))).toEqual([]);
  });

  it('are not asked by the member that was named and holds everything', async () => {
    expect(await asked(given.leaderless({ handover }))).toEqual([]);
    const short = { ...handover, floorLsn: 5001 };
    expect(await asked(given.leaderless({ handover: short }))).toEqual(['n3']);
    const blind = { ...handover, floorLsn: null };
    expect(await asked(given.leaderless({ handover: blind }))).toEqual(['n3']);
    const former = { ...handover, leader: 'n9' };
    expect(await asked(given.leaderless({ handover: former }))).toEqual(['n3']);
  });

  it('are left alone for the first second when one of them was named', async () => {
    const other = { ...handover, candidate: 'n3' };
    const since = (ms: number): Promise<readonly string[]> =>
      asked(given.leaderless({ handover: other }), standby, null, ms);
    expect(await since(999)).toEqual([]);
    expect(await since(1000)).toEqual(['n3']);
    const gone = given.leaderless({ handover: { ...other, candidate: 'n9' } });
    expect(await asked(gone)).toEqual(['n3']);
    expect(await asked({ ...given.leaderless({ handover: other }), failover })).toEqual(['n3']);
  });

  it('are not asked while a job runs', async () => {
    const job = { ...given.ended('promote', true), outcome: null };
    expect(await asked(given.leaderless(), standby, job)).toEqual([]);
  });
});
