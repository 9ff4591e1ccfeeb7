/** Which slots are made, kept and given up (contract 5.16). */
import { describe, expect, it } from 'vitest';
import type { SlotFacts } from '../../src/core/model.ts';
import { situation } from '../../src/core/rules.ts';
import type { Settings } from '../../src/core/settings.ts';
import { rememberSlots, retainedSlots, wantedSlots } from '../../src/core/slots.ts';
import * as given from './observations.ts';

const MINUTE = 60_000;

const slot = (name: string, more: Partial<SlotFacts> = {}): SlotFacts => ({
  name,
  type: 'physical',
  active: false,
  restartLsn: 100,
  ...more,
});

interface Scene {
  readonly slots: readonly string[] | readonly SlotFacts[];
  readonly settings?: Partial<Settings>;
  /** How long ago the member of a slot was last in the store, ms. */
  readonly gone?: Readonly<Record<string, number>>;
  readonly standby?: boolean;
}

/** n1 leads, n2 and n3 are there: their slots are always wanted on n1. */
function scene({ slots, settings = {}, gone = {}, standby = false }: Scene) {
  const named = slots.map((one) => (typeof one === 'string' ? slot(one) : one));
  const view = given.cluster({
    status: { optime: 500, slots: { backup: 400, n1: 500, n3: 100 }, retainSlots: [] },
  });
  const change = {
    cluster: { known: true as const, value: view },
    settings: given.settings(settings),
    memory: given.memory({
      memberSlots: Object.fromEntries(
        Object.entries(gone).map(([name, ago]) => [name, given.NOW - ago]),
      ),
    }),
  };
  const seen = standby
    ? given.replica({
        ...change,
        postgres: given.running(given.standbySql('n1', { slots: named, replayLsn: 450 })),
      })
    : given.leader({ ...change, postgres: given.running(given.primarySql({ slots: named })) });
  return { seen, wanted: wantedSlots(situation(seen, view)) };
}

const MEMBERS = ['n2', 'n3'] as const;
const without = null;

describe('slots', () => {
  it.each<[string, Scene, { create?: string[]; drop?: string[]; advance?: object } | null]>([
    ['of every other member are made', { slots: [] }, { create: ['n2', 'n3'] }],
    ['that are all there need nothing', { slots: MEMBERS }, without],
    [
      'of a member that is away are kept',
      { slots: [...MEMBERS, 'n4'], gone: { n4: 29 * MINUTE } },
      without,
    ],
    [
      'of a member that is away for member_slots_ttl are dropped',
      { slots: [...MEMBERS, 'n4'], gone: { n4: 30 * MINUTE } },
      { drop: ['n4'] },
    ],
    [
      'of a member are dropped at once with member_slots_ttl 0',
      { slots: [...MEMBERS, 'n4'], gone: { n4: 0 }, settings: { memberSlotsTtlMs: 0 } },
      { drop: ['n4'] },
    ],
    [
      'that nobody wants any more follow the leader’s on a standby',
      { slots: [slot('n1'), slot('n3'), slot('backup', { restartLsn: 300 })], standby: true },
      { advance: { backup: 400, n1: 450 } },
    ],
    [
      'in use are not dropped',
      { slots: [slot('n2'), slot('n3'), slot('n4', { active: true })], gone: { n4: 31 * MINUTE } },
      without,
    ],
    [
      'are not dropped in pause',
      { slots: [...MEMBERS, 'n4'], gone: { n4: 31 * MINUTE }, settings: { paused: true } },
      without,
    ],
    ['that never were a member’s are somebody’s', { slots: [...MEMBERS, 'barman'] }, without],
    [
      'that ignore_slots names are left alone',
      {
        slots: [...MEMBERS, 'n4'],
        gone: { n4: 31 * MINUTE },
        settings: { ignoreSlots: [{ name: 'n4', type: 'physical', logicalOnly: false }] },
      },
      without,
    ],
    [
      'are not ignored for a matcher of logical slots',
      {
        slots: [...MEMBERS, 'n4'],
        gone: { n4: 31 * MINUTE },
        settings: { ignoreSlots: [{ name: 'n4', type: null, logicalOnly: true }] },
      },
      { drop: ['n4'] },
    ],
    [
      'that are permanent are made and kept',
      {
        slots: ['n2', 'n3', 'n4'],
        gone: { n4: 99 * MINUTE },
        settings: { permanentSlots: ['backup', 'n4'] },
      },
      { create: ['backup'] },
    ],
    [
      'that are permanent follow the leader’s on a standby',
      { slots: ['n1', 'n3', 'backup'], settings: { permanentSlots: ['backup'] }, standby: true },
      { advance: { backup: 400, n1: 450 } },
    ],
    [
      'that are permanent are not made where nobody will lead',
      {
        slots: MEMBERS,
        settings: { permanentSlots: ['backup'], tags: { ...given.plainTags, nofailover: true } },
      },
      without,
    ],
  ])('%s', (_what, given_, expected) => {
    const { wanted } = scene(given_);
    if (expected === null) expect(wanted).toBeNull();
    else expect(wanted).toEqual({ do: 'slots', create: [], drop: [], advance: {}, ...expected });
  });

  it('are remembered as a member’s from the store and from what a former leader kept', () => {
    const value = given.cluster({
      members: [given.member('n-2'), given.member('by-hand', { leaseId: null })],
      status: { optime: 1, slots: {}, retainSlots: ['n4', 'n5'] },
    });
    expect(rememberSlots({ n4: 7, n9: 8 }, 100, { known: true, value })).toEqual({
      n4: 7,
      n5: 100,
      n9: 8,
      n_2: 100,
    });
    expect(rememberSlots({ n4: 7 }, 100, { known: false, why: 'etcd' })).toEqual({ n4: 100 });
  });

  it('are published as kept only if they are a member’s', () => {
    const { seen } = scene({
      slots: ['n2', 'n4', 'n5', 'barman'],
      gone: { n2: 0, n4: 29 * MINUTE, n5: 30 * MINUTE },
    });
    expect(retainedSlots(seen)).toEqual(['n2', 'n4']);
  });
});
