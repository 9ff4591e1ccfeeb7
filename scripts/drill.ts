/**
 * npm run drill: a three-node cluster under a steady writer, real faults one after another, one row
 * each. Exit code 0 only if nothing was lost that may not be lost and the cluster healed each time.
 */
import { FAULTS } from './drill/faults.ts';
import { playRound, type Result } from './drill/round.ts';
import { Cluster, type Lab } from './lab/index.ts';
import { runScript } from './lab/script.ts';
import { Options } from './options.ts';
import { table } from './table.ts';

const options = Options.parse(
  'npm run drill -- [OPTIONS]',
  { json: 'boolean', only: 'string', deadline: 'string' },
  `  --json             print the results as JSON
  --only N           play only fault number N (1–${FAULTS.length})
  --deadline N       seconds that failover, and then healing, may take (default 60)`,
);

const deadlineMs = (options.number('deadline') ?? 60) * 1000;
const only = options.number('only');
const clusterOptions = options.cluster();

/** With --json, standard output is for the results alone. */
const tell = options.flag('json') ? console.error : console.log;

function format(results: readonly Result[]): string {
  const head = ['fault', 'outage', 'acknowledged', 'lost', 'leader', 'old primary streams again'];
  const rows = results.map((one) => [
    one.fault,
    `${one.outageMs} ms`,
    String(one.acknowledged),
    String(one.lost),
    one.newLeader === one.oldLeader
      ? `${one.newLeader} (still)`
      : `${one.oldLeader} → ${one.newLeader}`,
    one.streamsAgainMs === null
      ? 'stayed primary'
      : `after ${(one.streamsAgainMs / 1000).toFixed(2)} s`,
  ]);
  return table([head, ...rows], [1, 2, 3]).join('\n');
}

async function drill(lab: Lab): Promise<number> {
  const faults = FAULTS.filter((_, index) => only === undefined || index + 1 === only);
  tell('Starting etcd, three nodes and HAProxy …');
  const started = performance.now();
  const cluster = await Cluster.create(lab, clusterOptions);
  await cluster.startDaemons();
  const results: Result[] = [];
  try {
    const primary = await cluster.healthy(deadlineMs);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    tell(`${primary.name} leads and the others stream from it, after ${seconds} s.`);
    for (const [index, fault] of faults.entries()) {
      tell(`${index + 1}. ${fault.title} …`);
      results.push(await playRound(cluster, fault, index + 1, deadlineMs));
    }
  } catch (error) {
    const title = faults[results.length]?.title ?? 'start';
    console.error(`FAILED: ${title}: ${(error as Error).message}`);
    for (const node of cluster.nodes) {
      console.error(`--- ${node.name}, end of ${node.log}:\n${node.daemon?.tail(25) ?? ''}`);
    }
    return 1;
  } finally {
    if (options.flag('json')) console.log(JSON.stringify(results, null, 2));
    else if (results.length > 0) console.log(`\n${format(results)}`);
  }
  const failures = results.flatMap((one) => one.failures.map((why) => `${one.fault}: ${why}`));
  for (const failure of failures) console.error(`FAILED: ${failure}`);
  return failures.length === 0 ? 0 : 1;
}

await runScript(drill);
