/** Breaks of the guard process and of what the daemon tells it. */
import type { Variant } from './variant.ts';

export const guardVariants: readonly Variant[] = [
  {
    name: 'guard-armed-late',
    what: 'the guard hears of a lease only with the second renewal, after the promotion (S1)',
    within: 600,
    kinds: ['pause at promotion', 'node crash', 'switchover', 'daemon crash'],
    edits: [
      {
        file: 'src/fence/fence.ts',
        find: '    this.#guard.arm(deadline);\n    this.#self.arm(deadline, ttlMs);',
        replace:
          '    if (this.#self.deadline !== null) this.#guard.arm(deadline);\n    this.#self.arm(deadline, ttlMs);',
      },
      {
        file: 'src/fence/fence.ts',
        find: '    this.#guard.arm(deadline);\n    try {',
        replace: '    void deadline;\n    try {',
      },
    ],
  },
  {
    name: 'guard-deadline-forgotten',
    what: 'a daemon that finds an armed guard gives its primary a new deadline (S8)',
    within: 100,
    kinds: ['daemon crash', 'cut off store', 'isolate', 'store outage'],
    edits: [
      {
        file: 'src/runtime.ts',
        find: '(inForce ?? startedAt + retryTimeoutMs)',
        replace: '(startedAt + retryTimeoutMs + 0 * (inForce ?? 0))',
      },
    ],
  },
  {
    name: 'guard-disarmed-on-leaving',
    what: 'a daemon that was told to stop takes fence and guard down, although PostgreSQL runs (S1)',
    within: 200,
    kinds: ['daemon restart', 'stop hangs', 'cut off store', 'stop postmaster', 'isolate'],
    edits: [
      {
        file: 'src/runtime.ts',
        find: '    this.#stopRequested = true;\n',
        replace: '    this.#stopRequested = true;\n    this.#fence.disarm();\n',
      },
      {
        file: 'src/runtime.ts',
        find: 'if (policy.settings.paused) return;',
        replace: 'if (policy.settings.paused || this.#stopRequested) return;',
      },
    ],
  },
  {
    name: 'guard-relative-wait',
    what: 'the guard waits with a timer that stands still while the machine is suspended (S1)',
    within: 300,
    kinds: ['machine pause', 'daemon pause', 'daemon crash'],
    edits: [
      {
        file: 'test/sim/guard.ts',
        find: '#aimAgain(_slept: number): void {\n    this.#aim(this.#chance.between(0, LOOK_MS));',
        replace: '#aimAgain(slept: number): void {\n    this.#aim(slept);',
      },
    ],
  },
  {
    name: 'guard-shoots-once',
    what: 'the guard is not kept after its shot: what is started later lives on (S1)',
    within: 300,
    kinds: ['daemon starves', 'kill postmaster'],
    edits: [
      {
        file: 'test/sim/guard.ts',
        find: "this.state = 'fired';",
        replace: "this.state = 'disarmed';",
      },
    ],
  },
];
