import { describe, expect, it } from 'vitest';
import { AFTER_THAW_MS, lost, twoPrimaries, withoutLease } from '../../scripts/chaos/checker.ts';
import type { Acknowledgement, Holding, Thaw } from '../../scripts/chaos/history.ts';
import { history, write } from './histories.ts';

interface Case {
  readonly given: string;
  readonly acknowledged: readonly Acknowledgement[];
  readonly thaws?: readonly Thaw[];
  /** For each write that is found: whether it was right after a thaw. */
  readonly finds: readonly boolean[];
}

const AFTER_A_FAILOVER = [write('n1', 1, 100), write('n2', 2, 200)];
const THAW: Thaw = { node: 'n1', from: 300, until: 310 };

describe('two nodes acknowledge', () => {
  it.each<Case>([
    { given: 'one after the other', acknowledged: AFTER_A_FAILOVER, finds: [] },
    {
      given: 'the old one goes on after the new one has begun',
      acknowledged: [...AFTER_A_FAILOVER, write('n1', 1, 300)],
      finds: [false],
    },
    {
      given: 'an answer of the old one that was long on its way',
      acknowledged: [...AFTER_A_FAILOVER, write('n1', 1, 300, { executedAt: 150 })],
      finds: [],
    },
    {
      given: 'the old one leads again, on a later timeline',
      acknowledged: [...AFTER_A_FAILOVER, write('n1', 3, 300)],
      finds: [],
    },
    {
      given: 'two on one timeline',
      acknowledged: [write('n1', 2, 100), write('n2', 2, 200)],
      finds: [false],
    },
    {
      given: 'the old one right after its machine has woken up',
      acknowledged: [...AFTER_A_FAILOVER, write('n1', 1, 312 + AFTER_THAW_MS, { executedAt: 305 })],
      thaws: [THAW],
      finds: [true],
    },
    {
      given: 'the old one long after that',
      acknowledged: [...AFTER_A_FAILOVER, write('n1', 1, 320 + AFTER_THAW_MS)],
      thaws: [THAW],
      finds: [false],
    },
    {
      given: 'the old one before that',
      acknowledged: [...AFTER_A_FAILOVER, write('n1', 1, 290)],
      thaws: [THAW],
      finds: [false],
    },
    {
      given: 'the old one after another machine has woken up',
      acknowledged: [...AFTER_A_FAILOVER, write('n1', 1, 305)],
      thaws: [{ ...THAW, node: 'n3' }],
      finds: [false],
    },
  ])('$given: $finds', ({ acknowledged, thaws = [], finds }) => {
    const found = twoPrimaries(history(acknowledged, [], thaws));
    expect(found.map(({ afterThaw }) => afterThaw)).toEqual(finds);
  });
});

describe('a node acknowledges while another has the leader key', () => {
  const key = (at: number, holder: string | null): Holding => ({ at, holder });
  it.each<{
    readonly given: string;
    readonly holdings: readonly Holding[];
    readonly executedAt: number;
    readonly finds: number;
  }>([
    { given: 'nothing known of the key', holdings: [], executedAt: 100, finds: 0 },
    { given: 'its own key', holdings: [key(10, 'n1')], executedAt: 100, finds: 0 },
    {
      given: 'the key is gone',
      holdings: [key(10, 'n2'), key(50, null)],
      executedAt: 100,
      finds: 0,
    },
    { given: "another's key", holdings: [key(10, 'n1'), key(50, 'n2')], executedAt: 100, finds: 1 },
    {
      given: 'another gets it later',
      holdings: [key(10, 'n1'), key(150, 'n2')],
      executedAt: 100,
      finds: 0,
    },
    {
      given: 'its own key, told a little late',
      holdings: [key(10, 'n2'), key(150, null), key(150, 'n1')],
      executedAt: 100,
      finds: 0,
    },
    {
      given: 'its own key, long after',
      holdings: [key(10, 'n2'), key(5000, null), key(5000, 'n1')],
      executedAt: 100,
      finds: 1,
    },
  ])('$given: $finds', ({ holdings, executedAt, finds }) => {
    const one = write('n1', 1, executedAt + 1, { executedAt });
    expect(withoutLease(history([one], holdings))).toHaveLength(finds);
  });
});

describe('lost writes', () => {
  const [first, second, third, fourth] = [
    write('n1', 1, 100),
    write('n1', 1, 150),
    write('n1', 1, 250),
    write('n2', 2, 400),
  ] as const;
  const all = history([first, second, third, fourth]);

  it('are those that the cluster does not have', () => {
    const found = lost(all, (_writer, id) => id !== second.id);
    expect(found.writes).toEqual([second]);
  });

  it('are measured from the first of them to the last write of their server and timeline', () => {
    const { bytes, ms } = lost(all, (_writer, id) => id !== second.id && id !== third.id);
    expect({ bytes, ms }).toEqual({ bytes: 10_000, ms: 100 });
  });

  it('are none when everything is there', () => {
    expect(lost(all, () => true)).toEqual({ writes: [], bytes: 0, ms: 0 });
  });

  it('are those of the same writer', () => {
    const same = [
      write('n1', 1, 100, { writer: 'a', id: 1 }),
      write('n1', 1, 101, { writer: 'b', id: 1 }),
    ];
    expect(lost(history(same), (writer) => writer === 'a').writes).toEqual([same[1]]);
  });
});
