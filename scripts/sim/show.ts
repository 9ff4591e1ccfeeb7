/** What `npm run sim` prints. */
import { rules } from '../../src/core/decide.ts';
import type { Totals } from '../../test/sim/totals.ts';

export class Progress {
  readonly #wanted: number;
  readonly #beganAt = performance.now();

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  get seconds(): number {
    return (performance.now() - this.#beganAt) / 1000;
  }

  show(done: number, found: number): void {
    if (!process.stdout.isTTY) return;
    const filled = Math.floor((done / this.#wanted) * 30);
    const bar = '#'.repeat(filled).padEnd(30, '.');
    const rate = (done / this.seconds).toFixed(1);
    process.stdout.write(
      `\r[${bar}] ${done}/${this.#wanted}  ${rate} schedules/s  ${found} violations `,
    );
  }

  end(): void {
    if (process.stdout.isTTY) process.stdout.write('\n');
  }
}

export function showTotals(totals: Totals, seconds: number): void {
  const { schedules, virtualMs, events, promotions, acknowledged, lost, unguarded } = totals;
  const times = Math.round(virtualMs / 1000 / seconds);
  console.log(
    `${schedules} schedules in ${seconds.toFixed(1)} s: ${(schedules / seconds).toFixed(1)}/s, ${Math.round(virtualMs / 1000)} virtual s (${times} times real time), ${events} events`,
  );
  console.log(
    `${promotions} promotions; ${acknowledged} writes acknowledged, ${lost} of them lost by crashes, ${unguarded} while no agent guarded the server`,
  );
  console.log(
    `${totals.shots} shots of guards; two servers acknowledged at once for ${(totals.unfencedMs / 1000).toFixed(1)} s: in a pause, just after a suspend, or with daemon and guard both gone`,
  );
  console.log(
    `slowest recovery after the last fault: ${(totals.slowestHealMs / 1000).toFixed(1)} s`,
  );
  const faults = Object.entries(totals.faults).sort((a, b) => b[1] - a[1]);
  console.log(`faults: ${faults.map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  showRules(totals);
  console.log(`violations: ${totals.found.length}`);
}

export function showRules({ rules: decided }: Totals): void {
  const never = rules.filter(({ id }) => !(id in decided)).map(({ id }) => id);
  console.log(
    `rules: ${rules.length - never.length} of ${rules.length} decided; never: ${never.join(', ') || 'none'}`,
  );
}
