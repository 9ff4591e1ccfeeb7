/** Carries out the faults of a schedule. */
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findGuards } from '../../src/fence/guard-start.ts';
import {
  type EtcdMember,
  identify,
  type Node,
  type ProcessId,
  processesIn,
  signalProcess,
} from '../lab/index.ts';
import { empty, fill } from './disk.ts';
import type { Network } from './network.ts';
import type { Scene } from './scene.ts';
import type { Fault, Kind } from './schedule.ts';

type Undo = () => Promise<void> | void;

interface Inflicted {
  /** Ends it; what it did is then undone as far as an operator would. */
  readonly undo: Undo;
  /** On whom. */
  readonly on: string;
}

interface Target {
  readonly scene: Scene;
  readonly node: Node;
  readonly fault: Fault;
}

/** Does it to the primary or to a standby, as the fault says. */
export async function inflict(scene: Scene, fault: Fault): Promise<Inflicted> {
  const primary = await scene.primary();
  const standby = pick(scene.cluster.others(primary.name), fault.amount);
  const node = fault.who === 'primary' ? primary : standby;
  const undo = await APPLY[fault.kind]({ scene, node, fault });
  return { undo, on: `${node.name} (${fault.who})` };
}

function pick<T>(list: readonly T[], amount: number): T {
  const found = list[Math.floor(amount * list.length)];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
}

const APPLY: Readonly<Record<Kind, (target: Target) => Promise<Undo> | Undo>> = {
  'daemon killed': async ({ node }) => {
    await node.kill();
    return () => restart(node);
  },
  'daemon stopped': ({ node }) => {
    node.pause();
    return () => node.resume();
  },
  'guard killed': ({ node }) => signalled(guards(node), 'SIGKILL'),
  'guard stopped': ({ node }) => signalled(guards(node), 'SIGSTOP'),
  'postmaster killed': ({ node }) => signalled(postmaster(node), 'SIGKILL'),
  'postmaster stopped': ({ node }) => signalled(postmaster(node), 'SIGSTOP'),
  'backend killed': ({ node, fault }) => signalled(backend(node, fault), 'SIGKILL'),
  'backend stopped': ({ node, fault }) => signalled(backend(node, fault), 'SIGSTOP'),
  'node killed': async ({ node }) => {
    await node.killEverything();
    return () => restart(node);
  },
  'node stopped': ({ scene, node }) => {
    const stopped = processesIn(node.folder);
    for (const one of stopped) signalProcess(one, 'SIGSTOP');
    return () => {
      const from = performance.now();
      for (const one of stopped) signalProcess(one, 'SIGCONT');
      scene.thaws.push({ node: node.name, from, until: performance.now() });
    };
  },
  'etcd member killed': async (target) => {
    const member = etcdMember(target);
    await member.kill();
    return () => member.start();
  },
  'etcd member stopped': (target) => stopped([etcdMember(target)]),
  'etcd majority stopped': (target) => {
    const spared = etcdMember(target);
    return stopped(target.scene.cluster.etcd.members.filter((member) => member !== spared));
  },
  'wall clock jump': ({ node, fault }) => {
    const file = join(node.folder, 'wall-clock');
    writeFileSync(file, String(Math.round((fault.amount - 0.5) * 2 * 7_200_000)));
    return () => rmSync(file, { force: true });
  },
  'disk full': ({ node }) => {
    const disk = dirname(node.dataDir);
    fill(disk);
    return () => empty(disk);
  },
  'node cut from etcd': cutting(async (network, { node, scene }) => {
    for (const { name } of scene.cluster.etcd.members) await network.separate(node.name, name);
  }),
  'etcd does not hear node': cutting(async (network, { node, scene }) => {
    for (const { name } of scene.cluster.etcd.members) await network.cut(node.name, name);
  }),
  'node does not hear etcd': cutting(async (network, { node, scene }) => {
    for (const { name } of scene.cluster.etcd.members) await network.cut(name, node.name);
  }),
  'nodes cut': cutting((network, { node, scene, fault }) =>
    network.separate(node.name, pick(scene.cluster.others(node.name), fault.amount).name),
  ),
  'nodes cut one way': cutting((network, { node, scene, fault }) =>
    network.cut(node.name, pick(scene.cluster.others(node.name), fault.amount).name),
  ),
  'node isolated': cutting((network, target) => isolate(network, target, [target.node.name])),
  'node and an etcd member isolated': cutting((network, target) =>
    isolate(network, target, [target.node.name, etcdMember(target).name]),
  ),
  'etcd member isolated': cutting((network, target) =>
    isolate(network, target, [etcdMember(target).name]),
  ),
  'all cut': cutting(async (network, { scene }) => {
    const names = membersOf(scene);
    for (const one of names) {
      for (const other of names) if (one !== other) await network.cut(one, other);
    }
  }),
  'lossy link': cutting((network, { node, fault }) =>
    network.lossy(node.name, 0.1 + 0.4 * fault.amount),
  ),
  'slow link': cutting((network, { node, fault }) =>
    network.slow(node.name, Math.round(64 + 400 * fault.amount)),
  ),
};

function cutting(
  apply: (network: Network, target: Target) => Promise<void>,
): (target: Target) => Promise<Undo> {
  return async (target) => {
    const { network } = target.scene;
    if (network === null) throw new Error(`${target.fault.kind}: no network of its own here`);
    await apply(network, target);
    return () => network.mend();
  };
}

/** Those of this side hear and are heard by each other only. Clients reach all of them. */
async function isolate(
  network: Network,
  { scene }: Target,
  side: readonly string[],
): Promise<void> {
  for (const inside of side) {
    for (const outside of membersOf(scene)) {
      if (!side.includes(outside)) await network.separate(inside, outside);
    }
  }
}

const membersOf = ({ cluster }: Scene): readonly string[] =>
  [...cluster.nodes, ...cluster.etcd.members].map(({ name }) => name);

async function restart(node: Node): Promise<void> {
  if (!node.isRunning()) await node.start();
}

/** Signals them; they go on when the fault is over, those that are left. */
function signalled(processes: readonly ProcessId[], signal: 'SIGKILL' | 'SIGSTOP'): Undo {
  for (const one of processes) signalProcess(one, signal);
  return () => {
    for (const one of processes) signalProcess(one, 'SIGCONT');
  };
}

const guards = ({ dataDir }: Node): readonly ProcessId[] =>
  findGuards({ dataDir, stateDir: `${dataDir}.tenure`, commands: [] }).flatMap(
    ({ pid }) => identify(pid) ?? [],
  );

function postmaster(node: Node): readonly ProcessId[] {
  const found = node.postmaster();
  return found === undefined ? [] : [found];
}

/** Any process of PostgreSQL but the postmaster: a client's, a walsender, the checkpointer, … */
function backend(node: Node, { amount }: Fault): readonly ProcessId[] {
  const first = node.postmaster()?.pid;
  return [
    pick(
      node.postgresProcesses().filter(({ pid }) => pid !== first),
      amount,
    ),
  ];
}

const etcdMember = ({ scene, fault }: Target): EtcdMember =>
  pick(scene.cluster.etcd.members, fault.amount);

function stopped(members: readonly EtcdMember[]): Undo {
  for (const member of members) member.pause();
  return () => {
    for (const member of members) member.resume();
  };
}
