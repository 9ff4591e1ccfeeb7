/** What the demo shows: the cluster as its daemons, its etcd and its processes tell it. */
import { z } from 'zod';
import type { Cluster, ClusterMember, Node, SteadyWriter } from '../lab/index.ts';
import { table } from '../table.ts';

export interface Lease {
  readonly holder: string;
  readonly timeLeftMs: number | undefined;
}

export interface View {
  readonly members: readonly ClusterMember[];
  readonly lease: Lease | undefined;
  /** The node that says it is primary, when exactly one does. */
  readonly primary: Node | undefined;
}

const LeaseAnswer = z.object({
  tenure: z.object({
    lease: z.object({ holder: z.string(), time_left_ms: z.number().nullable().optional() }),
  }),
});

export async function look(cluster: Cluster): Promise<View> {
  const [members, primaries, lease] = await Promise.all([
    cluster.members(),
    cluster.primaries(),
    findLease(cluster),
  ]);
  const [name] = primaries;
  return {
    members: members ?? [],
    lease,
    primary: name !== undefined && primaries.length === 1 ? cluster.node(name) : undefined,
  };
}

/** From any daemon that tells, preferably the holder's own; otherwise from etcd. */
async function findLease(cluster: Cluster): Promise<Lease | undefined> {
  const told: Lease[] = [];
  await Promise.all(
    cluster.nodes.map(async (node) => {
      const answer = await node.rest('/patroni').catch(() => undefined);
      const parsed = LeaseAnswer.safeParse(answer?.json);
      if (!parsed.success) return;
      const { holder, time_left_ms: timeLeftMs } = parsed.data.tenure.lease;
      const lease = { holder, timeLeftMs: timeLeftMs ?? undefined };
      if (holder === node.name) told.unshift(lease);
      else told.push(lease);
    }),
  );
  return told[0] ?? leaseInEtcd(cluster).catch(() => undefined);
}

async function leaseInEtcd(cluster: Cluster): Promise<Lease | undefined> {
  const leader = await cluster.etcd.get(`/service/${cluster.scope}/leader`);
  if (leader === undefined) return undefined;
  return {
    holder: leader.value,
    timeLeftMs: await cluster.etcd.leaseTimeLeftMs(leader.lease),
  };
}

/** One line that is the same as long as nothing worth telling happened. */
export function changeLine(view: View): string {
  const members = view.members.map(
    (one) => `${one.name} ${one.role} ${one.state} timeline ${one.timeline ?? '-'}`,
  );
  return [...members, `lease: ${view.lease?.holder ?? 'nobody'}`].join(' | ');
}

/** The table of members, as lines. `down`: what to say of a node whose daemon does not run. */
export function memberTable(
  cluster: Cluster,
  view: View,
  down: (node: Node) => string | undefined,
): string[] {
  const head = ['member', 'role', 'state', 'timeline', 'lag', 'port', 'daemon pid', 'postgres pid'];
  const rows = cluster.nodes.map((node) => {
    const member = view.members.find((one) => one.name === node.name);
    return [
      node.name,
      member?.role ?? '-',
      member?.state ?? '-',
      String(member?.timeline ?? '-'),
      member?.lag === undefined ? '' : String(member.lag),
      String(node.postgresPort),
      node.isRunning() ? String(node.daemon?.pid) : (down(node) ?? 'down'),
      String(node.postmaster()?.pid ?? 'none'),
    ];
  });
  return table([head, ...rows], [3, 4, 5, 6, 7]);
}

export function leaseLine(view: View): string {
  if (view.lease === undefined) return 'leader key: held by nobody';
  const left = view.lease.timeLeftMs;
  const time = left === undefined ? '' : `, ${(left / 1000).toFixed(1)} s left`;
  return `leader key: held by ${view.lease.holder}${time}`;
}

/** How the demo's own client fares, which writes a row every 20 ms through HAProxy. */
export function writerLine(writer: SteadyWriter): string {
  const now = performance.now();
  const last = writer.acknowledged.at(-1);
  const silence = last === undefined ? 0 : (now - last.at) / 1000;
  const longest = writer.longestGap(now - 60_000, now).ms / 1000;
  const state = silence > 0.5 ? `WAITING for ${silence.toFixed(1)} s` : 'going on';
  return `writes through HAProxy: ${state}; ${writer.acknowledged.length} rows acknowledged, longest pause in the last minute ${longest.toFixed(2)} s`;
}

/** A command and what it means, as a shell would read it; `width` is where the comment begins. */
export function commented(command: string, meaning: string, width: number): string {
  return `${command.padEnd(width)}# ${meaning}`;
}

/** What to type to break things, with the pids of this moment. */
export function hints(cluster: Cluster, view: View): string[] {
  const { primary } = view;
  if (primary === undefined) return ['(no primary at the moment)'];
  const postmaster = primary.postmaster()?.pid;
  const daemon = primary.isRunning() ? primary.daemon?.pid : undefined;
  const standby = cluster.others(primary.name).find((one) => one.isRunning())?.daemon?.pid;
  const lines: Array<readonly [number | undefined, string, string]> = [
    [postmaster, '-9', `the primary's PostgreSQL crashes (${primary.name})`],
    [daemon, '-9', `its daemon crashes`],
    [daemon, '-TERM', `its daemon is stopped: the lease is handed over`],
    [standby, '-STOP', `a standby's daemon freezes (kill -CONT thaws it)`],
  ];
  return lines
    .filter(([pid]) => pid !== undefined)
    .map(([pid, signal, meaning]) => commented(`  kill ${signal} ${pid}`, meaning, 24));
}
