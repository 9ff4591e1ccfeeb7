import { describe, expect, it } from 'vitest';
import type { Acknowledgement } from '../../scripts/chaos/history.ts';
import { MODES, type Mode } from '../../scripts/chaos/modes.ts';
import { type Evidence, healsWithinMs, judge } from '../../scripts/chaos/verdict.ts';
import { history, write } from './histories.ts';

const evidence = (mode: Mode, changes: Partial<Evidence> = {}): Evidence => ({
  mode,
  kind: 'daemon killed',
  history: history([]),
  present: () => true,
  healedMs: 1000,
  load: 1,
  ...changes,
});

/** The first of two writes is lost; so many bytes of log lie between them. */
const losing = (bytes: number): Pick<Evidence, 'history' | 'present'> => {
  const first: Acknowledgement = write('n1', 1, 100, { lsn: 0 });
  const last: Acknowledgement = write('n1', 1, 101, { lsn: bytes });
  return { history: history([first, last]), present: (_writer, id) => id !== first.id };
};

describe('a round has failed', () => {
  const cases: readonly (readonly [string, readonly Mode[], Partial<Evidence>, number])[] = [
    ['nothing happened', MODES, {}, 0],
    ['a write is lost', ['synchronous', 'quorum'], losing(10), 1],
    ['a write is lost', ['asynchronous', 'failsafe'], losing(10), 0],
    ['more is lost than a leader may be behind', MODES, losing(3 * 1024 * 1024), 1],
    [
      'two nodes acknowledge',
      MODES,
      { history: history([write('n2', 2, 100), write('n1', 1, 200)]) },
      1,
    ],
    [
      'two nodes acknowledge right after a pause of one',
      ['asynchronous', 'failsafe'],
      {
        history: history(
          [write('n2', 2, 100), write('n1', 1, 200)],
          [],
          [{ node: 'n1', from: 190, until: 195 }],
        ),
      },
      0,
    ],
    [
      'two nodes acknowledge right after a pause of one',
      ['synchronous', 'quorum'],
      {
        history: history(
          [write('n2', 2, 100), write('n1', 1, 200)],
          [],
          [{ node: 'n1', from: 190, until: 195 }],
        ),
      },
      1,
    ],
    [
      'a node acknowledges without the lease',
      MODES,
      { history: history([write('n1', 1, 100)], [{ at: 50, holder: 'n2' }]) },
      1,
    ],
    ['it healed in time', MODES, { healedMs: healsWithinMs('daemon killed', 1) }, 0],
    ['it healed late', MODES, { healedMs: healsWithinMs('daemon killed', 1) + 1 }, 1],
    ['it healed late, on a busy machine', MODES, { healedMs: 30_000, load: 4 }, 0],
    ['it healed very late, on a busy machine', MODES, { healedMs: 41_000, load: 4 }, 1],
    ['it did not heal', MODES, { healedMs: null }, 1],
  ];
  it.each(
    cases.flatMap(([given, modes, changes, violations]) =>
      modes.map((mode) => ({ given, mode, changes, violations })),
    ),
  )('$given, $mode: $violations', ({ mode, changes, violations }) => {
    expect(judge(evidence(mode, changes)).violations).toHaveLength(violations);
  });

  it('counts a write once that both checks find right after a pause', () => {
    const late = write('n1', 1, 200);
    const thaw = { node: 'n1', from: 190, until: 195 };
    const told = history([write('n2', 2, 100), late], [{ at: 90, holder: 'n2' }], [thaw]);
    expect(judge(evidence('asynchronous', { history: told })).afterThaw).toBe(1);
  });

  it('gives the ttl of 5 s twice and ten seconds more', () => {
    expect(healsWithinMs('daemon killed', 1)).toBe(20_000);
  });
});
