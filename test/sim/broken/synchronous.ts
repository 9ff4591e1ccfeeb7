/** Breaks of synchronous replication (contract 5.15; rules S2, S5). */
import type { Variant } from './variant.ts';

const on = { synchronous: 'on', failsafe: false } as const;
const quorum = { synchronous: 'quorum', standbys: 1, failsafe: false } as const;

export const synchronousVariants: readonly Variant[] = [
  {
    name: 'sync-unconfirmed',
    what: '/sync names a standby before it has confirmed what was acknowledged without it (S5)',
    within: 150,
    kinds: ['node crash', 'daemon crash', 'cut nodes', 'isolate'],
    modes: on,
    edits: [
      {
        file: 'src/core/guarantee.ts',
        find: 'return without(next.voters, holders).length <= next.quorum;',
        replace: 'return without(next.voters, holders).length >= 0;',
      },
    ],
  },
  {
    name: 'names-first',
    what: 'synchronous_standby_names is weakened before /sync is written (S2)',
    within: 150,
    kinds: ['node crash', 'daemon crash', 'cut nodes', 'isolate', 'store slow', 'store lossy'],
    modes: on,
    edits: [
      {
        file: 'src/core/guarantee.ts',
        find: `  const next = keeps(wanted.required, promised)
    ? wanted.required
    : between(promised, wanted.promised);`,
        replace: '  void between;\n  const next = wanted.required;',
      },
      {
        file: 'src/core/guarantee.ts',
        find: '  if (!agreed) {\n    const known',
        replace: '  if (!agreed && sameRequirement(required, wanted.required)) {\n    const known',
      },
    ],
  },
  {
    name: 'vote-while-receiving',
    what: 'a vote counts although its walreceiver still confirms to the former leader (S5)',
    within: 400,
    kinds: [
      'cut off store',
      'cut from store',
      'daemon pause',
      'delete leader key',
      'machine pause',
    ],
    modes: quorum,
    edits: [
      {
        file: 'src/core/vouching.ts',
        find: 'return inRecovery && !receiving && !isAhead',
        replace: 'void receiving;\n    return inRecovery && !isAhead',
      },
    ],
  },
  {
    name: 'strict-emptied',
    what: 'strict mode goes on without any standby (field D40)',
    within: 100,
    kinds: ['node crash', 'isolate', 'cut nodes', 'machine pause'],
    modes: { ...on, strict: true },
    edits: [
      {
        file: 'src/core/synchronous.ts',
        find: 'const { synchronousModeStrict: strict } = seen.settings;',
        replace: 'const strict: boolean = seen.settings.ttlMs < 0;',
      },
    ],
  },
  {
    name: 'anybody-leads',
    what: 'a member that /sync does not name takes part in the race (S5)',
    within: 150,
    kinds: ['node crash', 'isolate', 'cut nodes', 'machine pause', 'kill postmaster'],
    modes: on,
    edits: [
      {
        file: 'src/core/vouching.ts',
        find: "return view.settings.synchronousMode === 'quorum' ? 'by votes' : 'no';",
        replace: "return view.settings.synchronousMode === 'quorum' ? 'by votes' : 'alone';",
      },
    ],
  },
  {
    name: 'voter-reinitialized',
    what: 'a member that /sync still names is reinitialized (S5)',
    within: 300,
    kinds: ['reinitialize', 'cut nodes', 'node crash'],
    modes: quorum,
    edits: [
      {
        file: 'src/core/requesting.ts',
        find: "const leaving = withdraw(s, 'request.reinitialize', 'reinitializing');",
        replace: 'void withdraw;\n  const leaving = null;',
      },
    ],
  },
  {
    name: 'emptied-at-once',
    what: '/sync is emptied although its standby was there a moment ago (contract 5.15)',
    within: 100,
    kinds: ['kill postmaster', 'cut nodes', 'isolate', 'daemon crash'],
    modes: { ...on, strict: false },
    edits: [
      {
        file: 'src/core/synchronous.ts',
        find: '(last ?? 0, streaming.primarySince ?? seen.now) < seen.settings.ttlMs / 2',
        replace: '(last ?? 0, streaming.primarySince ?? seen.now) < -seen.settings.ttlMs',
      },
    ],
  },
];
