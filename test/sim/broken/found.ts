/** Bugs that the simulator found in our own code, put back: it must find them again. */
import type { Variant } from './variant.ts';

export const foundVariants: readonly Variant[] = [
  {
    name: 'found-pause-end',
    what: 'after a pause the fence is not armed until a renewal succeeds (S1)',
    within: 120,
    kinds: ['pause, then cut'],
    edits: [
      {
        file: 'src/runtime.ts',
        find: 'if (resumed) this.#endPause(settings);',
        replace: 'void resumed;',
      },
    ],
  },
  {
    name: 'found-old-look',
    what: 'the fence trusts a look from before PostgreSQL was started (S1)',
    within: 300,
    kinds: ['kill postmaster', 'pause at start', 'store slow', 'cut off store'],
    modes: { failsafe: false, synchronous: 'off' },
    edits: [
      {
        file: 'src/runtime.ts',
        find: 'this.status.seenSince <= job.outcome.endedAt',
        replace: 'this.status.seenSince < 0',
      },
    ],
  },
  {
    name: 'found-first-back',
    what: 'after an outage of the store the first member that is back takes the lease (F4)',
    within: 400,
    kinds: ['store outage', 'cut nodes', 'cut off store', 'node crash'],
    edits: [
      {
        file: 'src/core/candidates.ts',
        find: '    behindAbsentMember(situation) ??\n',
        replace: '',
      },
    ],
  },
  {
    name: 'found-second-promise',
    what: 'a member agrees with a second leader while the first relies on its promise (failsafe mode)',
    within: 400,
    kinds: ['isolate', 'store outage', 'cut off store'],
    modes: { failsafe: true },
    edits: [
      {
        file: 'src/failsafe/failsafe.ts',
        find: 'const promised = leader === null ? this.standing : null;',
        replace: "const promised = leader === '' ? this.standing : null;",
      },
    ],
  },
];
