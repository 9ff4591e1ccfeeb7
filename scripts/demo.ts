/**
 * npm run demo: a three-node cluster to break. Shows its members live, where to connect and what to
 * type. Ctrl-C ends everything.
 */
import { Keeper, RESTART_AFTER_MS } from './demo/keeper.ts';
import { openScreen } from './demo/screen.ts';
import {
  changeLine,
  commented,
  hints,
  leaseLine,
  look,
  memberTable,
  writerLine,
} from './demo/view.ts';
import { ACCOUNTS, Cluster, type Lab, type Node, pause, SteadyWriter } from './lab/index.ts';
import { runScript } from './lab/script.ts';
import { Options } from './options.ts';

const options = Options.parse(
  'npm run demo -- [OPTIONS]',
  { seconds: 'string' },
  '  --seconds N        end by itself N seconds after the cluster came up (default: at Ctrl-C)',
);

const seconds = options.number('seconds');
const clusterOptions = options.cluster();

/** Milliseconds the cluster may take to come up. */
const START_DEADLINE_MS = 60_000;
/** Milliseconds between two looks. */
const LOOK_EVERY_MS = 250;

const screen = openScreen(process.stdout);
let cameUp = false;

function introduction(cluster: Cluster, lab: Lab): string[] {
  const { primary, replicas, stats } = cluster.haproxy.ports;
  const { username, password } = ACCOUNTS.superuser;
  const psql = (port: number) =>
    `PGPASSWORD=${password} psql -h 127.0.0.1 -p ${port} -U ${username}`;
  return [
    'Connect (from another terminal):',
    commented(`  ${psql(primary)}`, 'always the primary', 62),
    commented(`  ${psql(replicas)}`, 'any standby', 62),
    commented(
      `  curl http://127.0.0.1:${cluster.nodes[0]?.restPort}/cluster`,
      'the REST interface of n1',
      62,
    ),
    commented(`  http://127.0.0.1:${stats}/`, 'what HAProxy thinks of them', 62),
    `All files, logs included: ${lab.folder}`,
  ];
}

async function live(lab: Lab, cluster: Cluster, stopped: AbortSignal): Promise<void> {
  const end = seconds === undefined ? Infinity : performance.now() + seconds * 1000;
  const keeper = new Keeper(cluster);
  const writer = await SteadyWriter.start({ port: cluster.haproxy.ports.primary, everyMs: 20 });
  const where = introduction(cluster, lab);
  let shown: Node | undefined;
  if (!process.stdout.isTTY) for (const line of where) screen.say(line);
  while (!stopped.aborted && performance.now() < end) {
    for (const name of await keeper.look()) screen.say(`started the daemon of ${name} again`);
    const view = await look(cluster);
    if (stopped.aborted) break;
    if (!process.stdout.isTTY && view.primary !== undefined && view.primary !== shown) {
      shown = view.primary;
      for (const line of ['Break something:', ...hints(cluster, view)]) screen.say(line);
    }
    const picture = [
      '',
      ...memberTable(cluster, view, (node) => keeper.comesBack(node)),
      '',
      leaseLine(view),
      writerLine(writer),
      '',
      ...where,
      '',
      `Break something (a dead daemon is started again after ${RESTART_AFTER_MS / 1000} s):`,
      ...hints(cluster, view),
      '',
      'Ctrl-C ends the demo and removes everything.',
    ];
    screen.show(picture, changeLine(view));
    await pause(LOOK_EVERY_MS);
  }
  await writer.stop();
  if (!process.stdout.isTTY) screen.say(writerLine(writer));
}

/** Shows the members while they come up. */
async function comeUp(cluster: Cluster, stopped: AbortSignal): Promise<void> {
  let settled = false;
  const healthy = cluster.healthy(START_DEADLINE_MS).finally(() => {
    settled = true;
  });
  healthy.catch(() => {});
  while (!settled && !stopped.aborted) {
    if (cluster.nodes.every((node) => !node.isRunning())) throw new Error('all daemons ended');
    const view = await look(cluster);
    if (!settled) {
      screen.show(
        ['', ...memberTable(cluster, view, () => 'ended'), leaseLine(view)],
        changeLine(view),
      );
    }
    await pause(LOOK_EVERY_MS);
  }
  await healthy;
}

async function demo(lab: Lab, stopped: AbortSignal): Promise<number> {
  screen.say('Starting etcd, three nodes (each PostgreSQL with its daemon) and HAProxy …');
  const started = performance.now();
  const cluster = await Cluster.create(lab, clusterOptions);
  await cluster.startDaemons();
  try {
    await comeUp(cluster, stopped);
  } catch (error) {
    if (stopped.aborted) return 1;
    screen.say(`The cluster did not come up: ${(error as Error).message}`);
    for (const node of cluster.nodes) {
      screen.say(`--- ${node.name}, end of its log:\n${node.daemon?.tail(25) ?? '(not started)'}`);
    }
    return 1;
  }
  cameUp = true;
  screen.say(`Up after ${((performance.now() - started) / 1000).toFixed(1)} s.`);
  await live(lab, cluster, stopped);
  return 0;
}

process.on('exit', () => screen.close());
await runScript(
  (lab, stopped) => {
    stopped.addEventListener('abort', () => screen.say('Stopping …'));
    return demo(lab, stopped);
  },
  () => (cameUp ? 0 : 1),
);
