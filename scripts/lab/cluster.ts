/** A whole cluster in a lab: etcd, nodes with their daemons, HAProxy. */
import { z } from 'zod';
import { Etcd, type EtcdOptions } from './etcd.ts';
import { HAProxy } from './haproxy.ts';
import type { Lab } from './lab.ts';
import { Node, type NodeOptions } from './node.ts';
import { LOOPBACK, type Place } from './place.ts';
import { waitFor } from './wait.ts';

/** With what every node is made with: its daemon, its environment, changes to its configuration. */
export interface ClusterOptions
  extends Omit<NodeOptions, 'scope' | 'name' | 'etcdHosts' | 'place'> {
  /** Number of nodes, named n1, n2, …; default 3. */
  readonly nodes?: number;
  /** Number of etcd members; default 1. */
  readonly etcd?: 1 | 3;
  /** Certificates and arguments of etcd. */
  readonly etcdOptions?: Omit<EtcdOptions, 'place'>;
  /** Where a member (n1, …, e1, …) runs; default: on the loopback. */
  readonly place?: (name: string) => Place;
  /** Default true. */
  readonly haproxy?: boolean;
  /** Default: demo */
  readonly scope?: string;
}

const Member = z.object({
  name: z.string(),
  role: z.string(),
  state: z.string(),
  timeline: z.number().optional(),
  lag: z.union([z.number(), z.string()]).optional(),
});
const ClusterAnswer = z.object({ members: z.array(Member) });
const NodeAnswer = z.object({
  replication: z
    .array(z.object({ application_name: z.string(), state: z.string() }))
    .optional()
    .catch(undefined),
});

/** A member as GET /cluster shows it. */
export type ClusterMember = z.infer<typeof Member>;

const LEADER_ROLES = ['leader', 'standby_leader'];

export class Cluster {
  readonly scope: string;
  readonly etcd: Etcd;
  readonly nodes: readonly Node[];
  readonly #haproxy: HAProxy | undefined;

  private constructor(
    scope: string,
    etcd: Etcd,
    nodes: readonly Node[],
    haproxy: HAProxy | undefined,
  ) {
    this.scope = scope;
    this.etcd = etcd;
    this.nodes = nodes;
    this.#haproxy = haproxy;
  }

  /** Starts etcd and HAProxy and makes the nodes; their daemons are not started. */
  static async create(lab: Lab, options: ClusterOptions = {}): Promise<Cluster> {
    const { nodes: count = 3, etcd: members = 1, haproxy: proxied = true } = options;
    const scope = options.scope ?? 'demo';
    const place = options.place ?? (() => LOOPBACK);
    const etcd = await Etcd.start(lab, members, { place, ...options.etcdOptions });
    const nodes: Node[] = [];
    for (let number = 1; number <= count; number += 1) {
      const name = `n${number}`;
      const own = { scope, name, etcdHosts: etcd.hosts, place: place(name) };
      nodes.push(await Node.create(lab, { ...options, ...own }));
    }
    const haproxy = proxied ? await HAProxy.start(lab, nodes) : undefined;
    return new Cluster(scope, etcd, nodes, haproxy);
  }

  /** As create, then starts all daemons and waits until one node leads and the others stream from it. */
  static async start(lab: Lab, options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = await Cluster.create(lab, options);
    await cluster.startDaemons();
    await cluster.healthy();
    return cluster;
  }

  async startDaemons(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()));
  }

  get haproxy(): HAProxy {
    if (this.#haproxy === undefined) throw new Error('this cluster was made without HAProxy');
    return this.#haproxy;
  }

  node(name: string): Node {
    const found = this.nodes.find((one) => one.name === name);
    if (found === undefined) {
      const names = this.nodes.map((one) => one.name).join(', ');
      throw new Error(`no node ${name}; there are ${names}`);
    }
    return found;
  }

  others(name: string): readonly Node[] {
    return this.nodes.filter((one) => one.name !== name);
  }

  /** The members as this node's daemon sees them. */
  async membersSeenBy(node: Node): Promise<readonly ClusterMember[]> {
    const { json } = await node.rest('/cluster');
    return ClusterAnswer.parse(json).members;
  }

  /** The members as the first daemon that answers sees them; undefined when none does. */
  async members(): Promise<readonly ClusterMember[] | undefined> {
    const asked = this.nodes
      .filter((node) => node.isRunning())
      .map((node) => this.membersSeenBy(node));
    return Promise.any(asked).catch(() => undefined);
  }

  /** The leader's name in GET /cluster of any live node. */
  async leader(): Promise<string | undefined> {
    const members = await this.members();
    return members?.find((one) => LEADER_ROLES.includes(one.role))?.name;
  }

  /** Names of the nodes that say of themselves that they are primary (GET /primary is 200). */
  async primaries(): Promise<readonly string[]> {
    const answers = await Promise.all(
      this.nodes.map(async (node) => {
        const answer = await node.rest('/primary').catch(() => undefined);
        return answer?.status === 200 ? [node.name] : [];
      }),
    );
    return answers.flat();
  }

  /** Waits until exactly one node says it is primary (other than `not`), and returns it. */
  async waitForPrimary(
    options: { readonly not?: string; readonly deadlineMs?: number } = {},
  ): Promise<Node> {
    const other = options.not === undefined ? '' : ` other than ${options.not}`;
    const name = await waitFor(`a primary${other}`, options.deadlineMs ?? 60_000, async (seen) => {
      const primaries = await this.primaries();
      seen(primaries.length === 0 ? 'no primary' : `primary: ${primaries.join(', ')}`);
      return primaries.length === 1 && primaries[0] !== options.not ? primaries[0] : undefined;
    });
    return this.node(name);
  }

  /** Waits until `count` standbys stream from the primary, all on its timeline. */
  async waitForStreaming(count: number, deadlineMs = 60_000): Promise<void> {
    await waitFor(`${count} streaming standbys`, deadlineMs, async (seen) => {
      const streaming = await this.streaming();
      seen(`streaming: ${streaming.join(', ') || 'none'}; ${await this.#summary()}`);
      return streaming.length >= count;
    });
  }

  /** Names of the standbys that stream from the primary, by its own account and by theirs. */
  async streaming(): Promise<readonly string[]> {
    const members = (await this.members()) ?? [];
    const leader = members.find((one) => LEADER_ROLES.includes(one.role));
    if (leader === undefined) return [];
    const { json } = await this.node(leader.name).rest('/patroni');
    const walsenders = NodeAnswer.parse(json).replication ?? [];
    const connected = walsenders
      .filter((one) => one.state === 'streaming')
      .map((one) => one.application_name);
    return members
      .filter((one) => one.name !== leader.name && connected.includes(one.name))
      .filter((one) => ['streaming', 'running'].includes(one.state))
      .filter((one) => one.timeline === leader.timeline)
      .map((one) => one.name);
  }

  /** Waits until one node is primary and all others stream from it. */
  async healthy(deadlineMs = 60_000): Promise<Node> {
    const primary = await this.waitForPrimary({ deadlineMs });
    await this.waitForStreaming(this.nodes.length - 1, deadlineMs);
    return primary;
  }

  async #summary(): Promise<string> {
    const members = await this.members();
    if (members === undefined) return 'no daemon answers';
    const words = members.map(
      (one) => `${one.name} ${one.role} ${one.state} timeline ${one.timeline ?? '?'}`,
    );
    return words.join('; ');
  }
}
