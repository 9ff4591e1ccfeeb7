/** Breaks of failsafe mode (contract 5.4). */
import type { Variant } from './variant.ts';

const modes = { failsafe: true };

export const failsafeVariants: readonly Variant[] = [
  {
    name: 'promise-forgotten',
    what: 'a promise to a leader without the store does not survive the restart of the daemon',
    within: 300,
    kinds: ['cut off store', 'daemon crash', 'daemon restart', 'node crash'],
    modes,
    edits: [
      {
        file: 'src/failsafe/promises.ts',
        find: 'kept === null ? null : {',
        replace: "kept === null || kept.leader !== '' ? null : {",
      },
    ],
  },
  {
    name: 'promise-broken',
    what: 'the race does not look at the promise to a leader without the store',
    within: 300,
    kinds: ['cut in turn', 'cut off store', 'isolate'],
    modes,
    edits: [
      {
        file: 'src/core/campaigning.ts',
        find: "  { id: 'campaign.failsafe', when: failsafe },",
        replace: "  { id: 'campaign.failsafe', when: (s) => (failsafe(s), null) },",
      },
      {
        file: 'src/act.ts',
        find: "if (step.do === 'campaign' && promise !== null && promise.leader !== name)",
        replace: "if (step.do === 'campaign' && promise !== null && promise.leader === '')",
      },
    ],
  },
  {
    name: 'promise-of-some',
    what: 'a leader without the store goes on although a member has refused or is silent',
    within: 100,
    kinds: ['isolate', 'cut off store', 'cut nodes', 'daemon pause'],
    modes,
    edits: [
      {
        file: 'src/failsafe/rounds.ts',
        find: 'if (refusals.length > 0) return',
        replace: 'if (refusals.length > 0 && refusals.length === answers.length) return',
      },
    ],
  },
  {
    name: 'list-as-read',
    what: 'a leader without the store asks only those whom it has last read in /failsafe (S3)',
    within: 400,
    kinds: ['node crash', 'cut off store', 'isolate', 'daemon crash', 'store lossy'],
    modes,
    edits: [
      {
        file: 'src/failsafe/list.ts',
        find: 'const lists = [read ?? {}, ...recent.map(({ list }) => list)];',
        replace: 'const lists = recent.length > 0 && read === null ? [{}] : [read ?? {}];',
      },
    ],
  },
];
