/** Bugs that other failover managers had, and that nothing else here is named after. */
import { describe, expect, it } from 'vitest';
import { failoverPossible } from '../../src/core/candidates.ts';
import { decide } from '../../src/core/decide.ts';
import * as given from './observations.ts';
import { done, leading, members, named, quorum, sender } from './synchronous-scenes.ts';

describe('standbys', () => {
  it.each([
    [1, true],
    [2, false],
  ])(
    'D30: %i of two voters have to agree beside the one that takes over: %s',
    (votes, possible) => {
      const cluster = given.cluster({ sync: named(['n2', 'n3'], { quorum: votes }) });
      expect(failoverPossible(cluster, 'n1', { synchronousMode: 'quorum' })).toBe(possible);
    },
  );

  it('D30: a leader whose voters are too few is started in place when it crashes', () => {
    const crashed = (votes: number) =>
      given.leader({
        settings: given.settings(quorum),
        cluster: given.known(
          given.cluster({ sync: named(['n2', 'n3'], { quorum: votes }), members: members() }),
        ),
        postgres: given.stopped('in production'),
      });
    expect(decide(crashed(1)).rule).toBe('lead.sync-hand-over');
    expect(decide(crashed(2)).rule).toBe('lead.restart-in-place');
  });

  it('D31: a primary is not its own synchronous standby, whoever bears its name', () => {
    const own = [sender('n1', { flushLsn: 9000, slotName: 'n1' })];
    expect(done(leading({ sync: named([]), names: '', senders: own }))).not.toContain('names "n1"');
    const both = [...own, sender('n2')];
    expect(done(leading({ sync: named([]), names: '', senders: both }))).toEqual(['names "n2"']);
  });

  it('D32: of two that hold everything, the one with the higher failover_priority leads', () => {
    const preferred = { ...given.plainTags, failoverPriority: 2 };
    const scene = (own: typeof preferred, theirs: typeof preferred) =>
      given.contender({
        settings: given.settings({ synchronousMode: 'on', synchronousNodeCount: 2, tags: own }),
        cluster: given.known(given.leaderless({ sync: named(['n2', 'n3']) })),
        peers: [given.peer('n3', 5000, { tags: theirs })],
      });
    expect(decide(scene(given.plainTags, preferred)).steps).toEqual([]);
    expect(decide(scene(preferred, given.plainTags)).steps[0]?.do).toBe('campaign');
  });
});
