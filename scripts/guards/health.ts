/** Guards of leading under stress: PostgreSQL hangs, or a script says no. */
import type { Guard } from './guard.ts';

export const healthGuards: readonly Guard[] = [
  {
    id: 'hung PostgreSQL',
    fault: 'the primary accepts connections, or does not even, and answers nothing',
    rule: 'lead.hung: killed and released after max(ttl, 10 s) without a sign of life',
    test: 'test/core/hung.test.ts',
    name: 'longer than ttl',
    file: 'src/core/unfit.ts',
    guard: "  { id: 'lead.hung', when: hung },\n",
    without: '',
  },
  {
    id: 'hung PostgreSQL, one look',
    fault: 'a busy machine lets a look fail',
    rule: 'lead.hung: not before three looks in a row have heard nothing',
    test: 'test/core/hung.test.ts',
    name: 'two failed looks',
    file: 'src/core/silence.ts',
    guard: 'since === null || looks < HUNG_LOOKS',
    without: 'since === null',
  },
  {
    id: 'hung PostgreSQL, nobody to hear',
    fault: 'the daemon was stopped, and counts its own absence as silence of PostgreSQL',
    rule: 'memory: looks that are far apart are not one silence',
    test: 'test/core/hung.test.ts',
    name: 'begins anew',
    file: 'src/core/silence.ts',
    guard: 'before.lastAt !== null && now - before.lastAt < APART_MS',
    without: 'before.lastAt !== null',
  },
];
