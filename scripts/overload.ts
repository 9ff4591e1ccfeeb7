/**
 * npm run overload: a three-node cluster under pgbench on a machine with twice as much to do as it
 * has processors. Nobody may lose the lease for that. Exit code 1 when a leader was demoted.
 */
import { cpus, loadavg } from 'node:os';
import { Cluster, type Lab, pause } from './lab/index.ts';
import { runScript } from './lab/script.ts';
import { Options } from './options.ts';
import { mustBeWritable } from './output.ts';
import { anyOf, difference, type Evidence, readEvidence } from './overload/evidence.ts';
import { Ledger } from './overload/ledger.ts';
import { makeTables, startBurners, startPgbench } from './overload/load.ts';
import { table } from './table.ts';

const options = Options.parse(
  'npm run overload -- [OPTIONS]',
  { minutes: 'string', seed: 'string', out: 'string' },
  `  --minutes N        how long (default 5)
  --seed N           of the load (default 1)
  --out FILE         add each minute to this file, and sum up all that it holds
  with --ttl N alone, loop_wait and retry_timeout are a third of it`,
);

const minutes = options.number('minutes') ?? 5;
const seed = options.number('seed') ?? 1;
const ttl = options.number('ttl') ?? 10;
const third = Math.max(1, Math.floor(ttl / 3));
const timing = {
  ttl,
  loop_wait: options.number('loop-wait') ?? third,
  retry_timeout: options.number('retry-timeout') ?? third,
};
const out = options.text('out');

const MINUTE_MS = 60_000;
const DEADLINE_MS = 180_000;

interface Watched {
  readonly logs: readonly string[];
  readonly watch: string;
}

/** `etcdctl watch` on the leader key, from now on. */
async function watchLeader(lab: Lab, cluster: Cluster): Promise<string> {
  const key = `/service/${cluster.scope}/leader`;
  const endpoints = `--endpoints=${cluster.etcd.urls.join(',')}`;
  const { log } = await lab.spawn(['etcdctl', endpoints, 'watch', key], {
    name: 'leader-key',
    cwd: lab.path('watch'),
    env: { ETCDCTL_API: '3' },
  });
  return log;
}

const read = ({ logs, watch }: Watched): Evidence => readEvidence(logs, watch);

async function overload(lab: Lab): Promise<number> {
  const ledger = new Ledger(out);
  const cluster = await Cluster.create(lab, { ...options.cluster(), dcs: timing });
  await cluster.startDaemons();
  let primary = await cluster.healthy(DEADLINE_MS);
  await makeTables(primary);
  const watched = {
    logs: cluster.nodes.map(({ log }) => log),
    watch: await watchLeader(lab, cluster),
  };
  let load = await startPgbench(lab, primary, seed);
  const burners = await startBurners(lab, seed);
  console.error(
    `${primary.name} leads; ttl ${timing.ttl}, loop_wait ${timing.loop_wait}, retry_timeout ${timing.retry_timeout}; pgbench and ${burners} busy processes on ${cpus().length} processors`,
  );
  const first = read(watched);
  let before = first;
  for (let minute = 0; minute < minutes; minute += 1) {
    await pause(Math.min(1, minutes - minute) * MINUTE_MS);
    if (!load.isAlive()) {
      primary = await cluster.waitForPrimary({ deadlineMs: DEADLINE_MS });
      load = await startPgbench(lab, primary, seed);
    }
    const now = read(watched);
    const found = difference(before, now);
    before = now;
    ledger.add({
      at: new Date().toISOString(),
      ttl,
      seed,
      minutes: Math.min(1, minutes - minute),
      ...found,
      load: (loadavg()[0] ?? 0) / cpus().length,
    });
    console.error(
      `minute ${minute + 1}: ${JSON.stringify(found)}, load ${loadavg()[0]?.toFixed(1)}`,
    );
  }
  console.log(totals(ledger).join('\n'));
  const all = difference(first, before);
  if (anyOf(all))
    for (const node of cluster.nodes) console.error(`--- ${node.name}\n${node.daemon?.tail(40)}`);
  return anyOf(all) ? 1 : 0;
}

function totals(ledger: Ledger): string[] {
  const rows = ledger
    .totals()
    .map((one) =>
      [one.ttl, one.minutes, one.demotions, one.fenceShots, one.leaderChanges].map(String),
    );
  const head = ['ttl', 'minutes', 'demotions', 'shots of the fence', 'changes of leader'];
  return table([head, ...rows], [0, 1, 2, 3, 4]);
}

if (out !== undefined) mustBeWritable('--out', out);
await runScript(overload);
