/** Breaks in the decision core. */
import type { Variant } from './variant.ts';

export const coreVariants: readonly Variant[] = [
  {
    name: 'race-blindly',
    what: 'the race compares no positions',
    within: 300,
    kinds: ['node crash', 'cut nodes', 'isolate', 'machine pause'],
    edits: [
      { file: 'src/core/candidates.ts', find: '    behindPeer(situation) ??\n', replace: '' },
    ],
  },
  {
    name: 'no-lag-bound',
    what: 'maximum_lag_on_failover is not held against anybody',
    within: 400,
    kinds: ['node crash', 'cut nodes', 'isolate', 'machine pause'],
    edits: [{ file: 'src/core/candidates.ts', find: '    lagging(situation) ??\n', replace: '' }],
  },
  {
    name: 'key-deleted-by-hand',
    what: 'a key that vanished without a hand-over is raced for at once (S1)',
    within: 150,
    kinds: ['delete leader key', 'cut off store', 'daemon pause'],
    edits: [
      {
        file: 'src/core/campaigning.ts',
        find: "  { id: 'campaign.vanished-lease', when: vanishedLease },",
        replace: "  { id: 'campaign.vanished-lease', when: (s) => (vanishedLease(s), null) },",
      },
    ],
  },
  {
    name: 'promotes-in-pause',
    what: 'a standby takes part in the race while the cluster is paused',
    within: 150,
    kinds: ['pause', 'node crash', 'kill postmaster'],
    edits: [
      {
        file: 'src/core/decide.ts',
        find: '  ...paused,\n',
        replace: '  ...paused.slice(0, 2),\n',
      },
      {
        file: 'src/core/candidates.ts',
        find: 'if (settings.paused && requested !== name && handover?.candidate !== name)',
        replace: 'if (requested === undefined)',
      },
    ],
  },
  {
    name: 'never-diverged',
    what: 'a node that went another way is started as a follower (S6)',
    within: 100,
    kinds: ['node crash', 'isolate', 'cut off store', 'daemon pause'],
    edits: [
      {
        file: 'src/core/rejoin.ts',
        find: 'if (position.lsn <= shared) return null;',
        replace: 'if (position.lsn >= 0) return null;',
      },
    ],
  },
  {
    name: 'primary-from-standby',
    what: "a leader whose server is down starts a standby's directory as a primary (S6)",
    within: 200,
    kinds: ['kill at promotion', 'node crash', 'switchover', 'daemon restart'],
    edits: [
      {
        file: 'src/core/leading.ts',
        find: "  'in production',\n  'shutting down',",
        replace:
          "  'in production',\n  'in archive recovery',\n  'shut down in recovery',\n  'shutting down',",
      },
      {
        file: 'src/core/leading.ts',
        find: "|| seen.memory.lastRole === 'replica')",
        replace: ')',
      },
      {
        file: 'src/core/leading.ts',
        find: "if (standbySignal && seen.memory.lastRole !== 'primary') return null;",
        replace: 'void standbySignal;',
      },
    ],
  },
  {
    name: 'keeps-after-deadline',
    what: 'a primary stays one when another member holds the lease, and the fence is down',
    within: 100,
    kinds: ['daemon pause', 'machine pause', 'cut off store'],
    edits: [
      {
        file: 'src/core/following.ts',
        find: "  { id: 'follow.demote', when: demote },",
        replace: "  { id: 'follow.demote', when: (s) => (demote(s), null) },",
      },
      {
        file: 'src/runtime.ts',
        find: 'if (policy.settings.paused) return;',
        replace: 'if (policy.settings.paused || deadline > 0) return;',
      },
    ],
  },
  {
    name: 'hole-in-the-rules',
    what: 'a situation without a rule (D66)',
    within: 100,
    edits: [
      {
        file: 'src/core/following.ts',
        find: "  { id: 'follow.steady', when: steady },",
        replace: "  { id: 'follow.steady', when: (s) => (steady(s), null) },",
      },
      {
        file: 'src/core/following.ts',
        find: "  { id: 'follow.wait-for-server', when: waitForServer },",
        replace: "  { id: 'follow.wait-for-server', when: (s) => (waitForServer(s), null) },",
      },
    ],
  },
  {
    name: 'memory-in-the-core',
    what: 'the same observation is decided differently the second time',
    within: 5,
    edits: [
      {
        file: 'src/core/decide.ts',
        find: 'export function decide(seen: Observation): Decision {',
        replace: `let asked = 0;
export function decide(seen: Observation): Decision {
  asked += 1;
  return { ...decideFirst(seen), wakeInMs: 1000 + (asked % 7) };
}
function decideFirst(seen: Observation): Decision {`,
      },
    ],
  },
  {
    name: 'stale-view',
    what: 'most decisions are made on a view that was read some ticks ago (S3)',
    within: 60,
    edits: [
      {
        file: 'src/store/cluster.ts',
        find: '  readonly #before: KnownBefore;\n',
        replace:
          '  readonly #before: KnownBefore;\n  #reads = 0;\n  #last: ClusterView | null = null;\n',
      },
      {
        file: 'src/store/cluster.ts',
        find: '    const { kvs, revision } = await this.#calls.range(this.#calls.budget());\n',
        replace: `    this.#reads += 1;
    if (this.#last !== null && this.#reads % 6 !== 0) return this.#last;
    const { kvs, revision } = await this.#calls.range(this.#calls.budget());
`,
      },
      {
        file: 'src/store/cluster.ts',
        find: '    this.#timelines = view.timelines;\n',
        replace: '    this.#timelines = view.timelines;\n    this.#last = view;\n',
      },
    ],
  },
  {
    name: 'rejoin-loop',
    what: 'a rewind that succeeded is not followed by a start',
    within: 60,
    kinds: ['isolate', 'node crash', 'cut off store'],
    edits: [
      {
        file: 'src/core/following.ts',
        find: "['clone', 'reinitialize', 'rewind'].includes(seen.job?.kind ?? '') &&",
        replace: "['promote'].includes(seen.job?.kind ?? '') &&",
      },
      {
        file: 'src/core/rejoin.ts',
        find: 'if (position.lsn <= shared) return null;',
        replace: 'if (position.lsn < shared && shared !== Number.POSITIVE_INFINITY) return null;',
      },
    ],
  },
];
