/**
 * Rule S5, whatever happens: commits, standbys that come, go and stall, servers that have only half
 * taken a new setting, changes of mind about who is wanted. At no moment may a set that `/sync`
 * would let lead lack an acknowledged commit; and when things are quiet, the plan comes to its end.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatRequirement,
  inherited,
  keeps,
  mayPromise,
  NO_PROMISE,
  NO_REQUIREMENT,
  nextStep,
  type Promised,
  parseRequirement,
  type Requirement,
  requirementOf,
  samePromise,
  sameRequirement,
} from '../../src/core/guarantee.ts';

const NAMES = ['b', 'c', 'd', 'e'];

type Event =
  | { readonly kind: 'commit' }
  | { readonly kind: 'flush'; readonly name: string }
  | { readonly kind: 'want'; readonly names: readonly string[]; readonly count: number }
  | { readonly kind: 'plan' }
  | { readonly kind: 'applied' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'failover'; readonly name: string };

const some = fc.subarray(NAMES);
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'commit' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('flush' as const), name: fc.constantFrom(...NAMES) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('want' as const),
      names: some,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ kind: 'plan' as const }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'applied' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('failover' as const),
      name: fc.constantFrom('a', ...NAMES),
    }),
  },
);

/** Commits are numbers; whoever is in `flushed` has all up to that one. */
class Model {
  leader = 'a';
  promised: Promised = NO_PROMISE;
  /** In the file; and what some processes may still go by. */
  required: Requirement = NO_REQUIREMENT;
  older: Requirement[] = [];
  /** Own position when `required` was known to be in force. */
  since: number | null = null;
  written = 0;
  acknowledged = 0;
  flushed = new Map<string, number>([...NAMES, 'a'].map((name) => [name, 0]));
  wanted: { promised: Promised; required: Requirement } = {
    promised: NO_PROMISE,
    required: NO_REQUIREMENT,
  };
  readonly quorumMode: boolean;

  constructor(quorumMode: boolean) {
    this.quorumMode = quorumMode;
  }

  at(name: string): number {
    return name === this.leader ? this.written : (this.flushed.get(name) ?? 0);
  }

  /** Any of the settings that some process may go by is enough for an acknowledgement. */
  acknowledge(): void {
    for (const { count, names } of [this.required, ...this.older]) {
      const reached =
        count === 0
          ? this.written
          : (names.map((name) => this.at(name)).sort((x, y) => y - x)[count - 1] ?? 0);
      this.acknowledged = Math.max(this.acknowledged, Math.min(this.written, reached));
    }
  }

  want(names: readonly string[], count: number): void {
    const voters = names.filter((name) => name !== this.leader);
    const quorum = this.quorumMode ? Math.max(0, voters.length - count) : 0;
    const promised = { voters, quorum };
    this.wanted = { promised, required: requirementOf(promised) };
  }

  step(): ReturnType<typeof nextStep> {
    const holders = NAMES.filter((name) => this.since !== null && this.at(name) >= this.since);
    return nextStep(
      { promised: this.promised, required: this.required, inForce: this.since !== null, holders },
      this.wanted,
    );
  }

  apply(next: ReturnType<typeof nextStep>): void {
    if (next.do === 'promise') this.promised = next.next;
    if (next.do !== 'require') return;
    if (!sameRequirement(this.required, next.next)) {
      this.older.push(this.required);
      this.required = next.next;
      this.since = null;
    }
  }

  happen(one: Event): void {
    switch (one.kind) {
      case 'commit':
        this.written += 1;
        break;
      case 'flush':
        if (one.name !== this.leader) this.flushed.set(one.name, this.written);
        break;
      case 'want':
        this.want(one.names, one.count);
        break;
      case 'plan':
        this.apply(this.step());
        break;
      case 'applied':
        this.acknowledge();
        this.older = [];
        this.since = this.written;
        break;
      case 'restart':
        this.since = null;
        break;
      case 'failover':
        this.failover(one.name);
        break;
    }
    this.acknowledge();
  }

  /** By the rules of the race: who has the votes takes the old leader's place, and holds everything. */
  failover(name: string): void {
    const { voters, quorum } = this.promised;
    const electorate = [this.leader, ...voters];
    if (name === this.leader || !electorate.includes(name)) return;
    const votes = voters.filter((one) => one !== name && this.at(one) <= this.at(name)).length;
    if (votes < quorum) return;
    const next = inherited({ ...this.promised, leader: this.leader }, name);
    this.flushed.set(this.leader, this.written);
    this.written = this.at(name);
    for (const [one, position] of this.flushed)
      this.flushed.set(one, Math.min(position, this.written));
    this.leader = name;
    this.promised = next;
    this.required = requirementOf(next);
    this.older = [];
    this.since = null;
    this.want(this.wanted.promised.voters, 1);
  }

  /** Of voters and leader, every set of quorum + 1 has one that holds everything. */
  holds(): boolean {
    const lacking = this.promised.voters.filter((name) => this.at(name) < this.acknowledged).length;
    return lacking <= this.promised.quorum && this.written >= this.acknowledged;
  }
}

const scenario = fc.record({
  quorumMode: fc.boolean(),
  events: fc.array(event, { maxLength: 60, size: 'max' }),
});

describe('the guarantee, under any order of events', () => {
  it('holds at every moment, also after failovers, and each name in priority mode holds everything', () => {
    fc.assert(
      fc.property(scenario, ({ quorumMode, events }) => {
        const model = new Model(quorumMode);
        for (const one of events) {
          model.happen(one);
          if (!model.holds()) return false;
        }
        return true;
      }),
      { numRuns: 3000 },
    );
  });

  it('comes to what is wanted once standbys flush and settings are taken', () => {
    fc.assert(
      fc.property(scenario, ({ quorumMode, events }) => {
        const model = new Model(quorumMode);
        for (const one of events) model.happen(one);
        for (let round = 0; round < 6; round += 1) {
          model.happen({ kind: 'plan' });
          model.happen({ kind: 'applied' });
          for (const name of NAMES) model.happen({ kind: 'flush', name });
        }
        expect(model.step()).toEqual({ do: 'nothing' });
        expect(samePromise(model.promised, model.wanted.promised)).toBe(true);
        expect(sameRequirement(model.required, model.wanted.required)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('D40: never goes through an empty /sync between two that are not empty', () => {
    fc.assert(
      fc.property(scenario, ({ quorumMode, events }) => {
        const model = new Model(quorumMode);
        for (const one of events) {
          const before = model.promised;
          model.happen(one);
          const kept = model.wanted.promised.voters.length > 0 && before.voters.length > 0;
          if (one.kind === 'plan' && kept) expect(model.promised.voters).not.toEqual([]);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('never acknowledges under what does not keep the promise', () => {
    fc.assert(
      fc.property(scenario, ({ quorumMode, events }) => {
        const model = new Model(quorumMode);
        for (const one of events) {
          model.happen(one);
          expect(keeps(model.required, model.promised)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('synchronous_standby_names', () => {
  it('is read as it was written', () => {
    const name = fc.constantFrom('n1', 'n-2', 'A.b', 'with "quotes"', 'ünï');
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1 }), fc.boolean(), (names, quorumMode) => {
        const count = quorumMode ? 1 : names.length;
        const read = parseRequirement(formatRequirement({ count, names }, quorumMode));
        expect(sameRequirement(read, { count, names })).toBe(true);
      }),
    );
  });

  it.each([
    ['', NO_REQUIREMENT],
    ['n2', { count: 1, names: ['n2'] }],
    ['"n2"', { count: 1, names: ['n2'] }],
    ['2 (n2, "n3")', { count: 2, names: ['n2', 'n3'] }],
    ['FIRST 1 (n2)', { count: 1, names: ['n2'] }],
    ['any 1 (n2,n3)', { count: 1, names: ['n2', 'n3'] }],
  ])('%j is a fixed set', (text, expected) => {
    expect(parseRequirement(text)).toEqual(expected);
  });

  it.each(['*', 'n2, n3', 'FIRST 1 (n2, n3)', '1 (*)', 'ANY 3 (n2)', '2 (n2, n2)', '"', '1 ('])(
    '%j is none',
    (text) => {
      expect(parseRequirement(text)).toBeNull();
    },
  );

  it.each([
    [{ count: 1, names: ['b'] }, false, '"b"'],
    [{ count: 2, names: ['c', 'b'] }, false, '2 ("b","c")'],
    [{ count: 1, names: ['c', 'b'] }, true, 'ANY 1 ("b","c")'],
    [NO_REQUIREMENT, true, ''],
  ] as const)('%j is written as Patroni writes it', (required, quorumMode, text) => {
    expect(formatRequirement(required, quorumMode)).toBe(text);
  });

  it('promises nothing new on a requirement that is not known to be in force', () => {
    const next = { voters: ['b'], quorum: 0 };
    const required = { count: 1, names: ['b'] };
    expect(mayPromise(next, NO_PROMISE, required, ['b'])).toBe(true);
    expect(mayPromise(next, NO_PROMISE, null, ['b'])).toBe(false);
    expect(mayPromise(next, NO_PROMISE, required, [])).toBe(false);
  });
});
