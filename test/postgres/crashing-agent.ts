/**
 * An agent that is killed in the middle of its work: `node crashing-agent.ts <options> <work> <upstream>`,
 * both as JSON. Says the phases of the work, one a line.
 */
import { RealClock } from '../../src/clock.ts';
import type { Upstream } from '../../src/core/model.ts';
import { LocalPostgres } from '../../src/postgres/local.ts';
import type { LocalPostgresOptions } from '../../src/postgres/options.ts';

const [, , options, work, upstream] = process.argv;
const postgres = new LocalPostgres({
  ...(JSON.parse(options as string) as LocalPostgresOptions),
  clock: new RealClock(),
  log: () => undefined,
});
const from = JSON.parse(upstream as string) as Upstream;
const say = (phase: string): void => {
  process.stdout.write(`${phase}\n`);
};
if (work === 'clone') await postgres.clone(from, say, new AbortController().signal);
else await postgres.rewind(from, say);
