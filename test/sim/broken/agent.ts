/** Breaks in lease, fence, store and hands. */
import type { Variant } from './variant.ts';

export const agentVariants: readonly Variant[] = [
  {
    name: 'no-deadline',
    what: 'the fence is never armed: PostgreSQL goes on when the lease has ended (S1)',
    within: 20,
    kinds: ['cut off store', 'isolate', 'store outage'],
    edits: [
      {
        file: 'src/runtime.ts',
        find: 'if (policy.settings.paused) return;',
        replace: 'if (policy.settings.paused || deadline > 0) return;',
      },
    ],
  },
  {
    name: 'late-fence',
    what: 'the last stage of the fence comes a second after the deadline (S1)',
    within: 100,
    kinds: ['cut off store', 'isolate', 'stop postmaster', 'stop hangs'],
    edits: [
      { file: 'src/core/timing.ts', find: 'immediateMs: 250', replace: 'immediateMs: -900' },
      { file: 'src/core/timing.ts', find: 'killMs: 100', replace: 'killMs: -1000' },
      {
        file: 'src/core/timing.ts',
        find: 'return Math.max(600, Math.min(3000, ttlMs / 5));',
        replace: 'return -800 + 0 * ttlMs;',
      },
    ],
  },
  {
    name: 'deadline-from-answer',
    what: 'the lease is counted from the answer instead of from the request (S1)',
    within: 150,
    kinds: ['store slow', 'cut from store', 'cut off store', 'stop postmaster'],
    edits: [
      {
        file: 'src/lease.ts',
        find: 'leaseDeadline(sentAt, Math.min(',
        replace: 'leaseDeadline(sentAt * 0 + this.#options.clock.now(), Math.min(',
      },
    ],
  },
  {
    name: 'wall-clock',
    what: 'the deadline is reckoned with the wall clock: a clock step moves it (S10)',
    within: 50,
    kinds: ['wall jump', 'cut off store'],
    edits: [
      {
        file: 'src/lease.ts',
        find: 'const sentAt = this.#options.clock.now();',
        replace: 'const sentAt = this.#options.clock.wall().getTime() - 1_794_999_000_000;',
      },
    ],
  },
  {
    name: 'no-suspend',
    what: 'fence and guard wait with timers that stand still while the machine is suspended (S1)',
    within: 100,
    kinds: ['machine pause'],
    edits: [
      {
        file: 'src/fence/self-fence.ts',
        find: 'this.#options.clock.at(stage.at, () => {',
        replace: 'this.#options.clock.after(stage.at - this.#options.clock.now(), () => {',
      },
      {
        file: 'test/sim/guard.ts',
        find: '#aimAgain(_slept: number): void {\n    this.#aim(this.#chance.between(0, LOOK_MS));',
        replace: '#aimAgain(slept: number): void {\n    this.#aim(slept);',
      },
    ],
  },
  {
    name: 'no-proof',
    what: 'a keep-alive counts without the read that proves it (S1)',
    within: 300,
    kinds: ['deposed member'],
    edits: [
      {
        file: 'src/store/renewal.ts',
        find: 'const proof = await proveLeaderKey(calls, name, leadership, budget);',
        replace:
          "void proveLeaderKey, name; const proof = { ...alive, holds: true, why: '', budget };",
      },
    ],
  },
  {
    name: 'key-not-free',
    what: 'a campaign does not compare that the leader key is free (S2)',
    within: 100,
    edits: [
      {
        file: 'src/store/winning.ts',
        find: `      { key: leader, createRevision: 0 },
      { key: timeline, modRevision: seen.revision },`,
        replace: '',
      },
    ],
  },
  {
    name: 'claims-not-compared',
    what: 'a timeline is reserved without looking at the claims of others (S6)',
    within: 150,
    kinds: ['node crash', 'kill postmaster', 'daemon crash', 'isolate', 'slow disk'],
    edits: [
      { file: 'src/store/winning.ts', find: 'if (claim <= highest)', replace: 'if (claim < 0)' },
      {
        file: 'src/core/candidates.ts',
        find: 'return Math.max(recorded, ...published) + 1;',
        replace: 'void published; return own + 1;',
      },
    ],
  },
  {
    name: 'no-stubs',
    what: 'no stub histories: PostgreSQL takes whatever number comes next (S6)',
    within: 300,
    kinds: ['node crash', 'kill postmaster', 'slow disk', 'isolate', 'disk lost'],
    edits: [
      {
        file: 'test/sim/hands.ts',
        find: 'if (claim !== null) writeStubs(disk, claim);',
        replace: 'void writeStubs, claim;',
      },
    ],
  },
  {
    name: 'starts-broken',
    what: 'what a clone or rewind left in pieces is started (S7)',
    within: 300,
    kinds: ['node crash', 'isolate', 'daemon crash', 'kill postmaster', 'disk lost'],
    edits: [
      {
        file: 'src/core/following.ts',
        find: "if (otherLeader === null || postmaster.kind !== 'none' || interrupted !== null) return null;\n  if (!control.known || !standbySignal || seen.memory.failures.length > 0) return null;",
        replace:
          "void interrupted; if (otherLeader === null || postmaster.kind !== 'none') return null;\n  if (!control.known || !standbySignal) return null;",
      },
      {
        file: 'test/sim/hands.ts',
        find: 'if (marker !== null) throw',
        replace: 'if (marker?.beside === true) throw',
      },
    ],
  },
  {
    name: 'orphans-forgotten',
    what: 'the fence holds its fire when only orphans are left of PostgreSQL (S1)',
    within: 300,
    kinds: ['kill postmaster', 'cut off store', 'store outage'],
    edits: [
      {
        file: 'src/runtime.ts',
        find: "if (postgres.postmaster.kind === 'none' && postgres.orphans === 0) return false;",
        replace: "if (postgres.postmaster.kind === 'none') return false;",
      },
    ],
  },
  {
    name: 'release-blindly',
    what: 'a planned hand-over waits for nobody and leaves no floor (F4)',
    within: 200,
    kinds: ['switchover', 'daemon restart', 'cut nodes'],
    edits: [
      {
        file: 'src/handover.ts',
        find: 'const holder = await firstHolder(options, end, stopped);',
        replace: 'void firstHolder, stopped; const holder = options.name;',
      },
      { file: 'src/core/candidates.ts', find: '    belowFloor(situation) ??\n', replace: '' },
      { file: 'src/core/candidates.ts', find: '    behindPeer(situation) ??\n', replace: '' },
    ],
  },
];
