/** Keeps one processor busy for ever, with a short rest now and then. Argument: a seed. */
import { Random } from '../../test/sim/random.ts';

const BUSY_MS = { least: 200, most: 2000 };
const REST_MS = { least: 0, most: 20 };

const random = new Random(process.argv[2] ?? '0');

function burn(): void {
  const until = performance.now() + random.between(BUSY_MS.least, BUSY_MS.most);
  let value = 1;
  while (performance.now() < until) {
    for (let step = 0; step < 10_000; step += 1) value = Math.sqrt(value + step);
  }
  setTimeout(burn, random.between(REST_MS.least, REST_MS.most));
}

burn();
