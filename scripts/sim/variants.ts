/** Every broken variant in a process of its own: is it caught within its number of schedules? */
import { join } from 'node:path';
import { execa } from 'execa';
import { catalogue } from '../../test/sim/broken/catalogue.ts';
import { ROOT } from '../../test/sim/broken/variant.ts';

export async function everyVariant(seed: string): Promise<number> {
  let missed = 0;
  for (const { name, within, what } of catalogue) {
    const { stdout, stderr, exitCode } = await execa(
      process.execPath,
      [join(ROOT, 'scripts', 'sim.ts'), '--variant', name, '--seed', seed],
      { reject: false },
    );
    if (exitCode !== 0) missed += 1;
    const found =
      exitCode === 0 ? stdout.slice(0, 160) : `NOT CAUGHT ${stdout} ${stderr.slice(0, 800)}`;
    console.log(`${name.padEnd(24)} of ${String(within).padStart(4)}  ${found}  (${what})`);
  }
  console.log(`${catalogue.length - missed} of ${catalogue.length} caught`);
  return missed === 0 ? 0 : 1;
}
