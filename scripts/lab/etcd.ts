/** etcd for a lab: one or three members, each of which can be stopped, killed, frozen and thawed. */
import { join } from 'node:path';
import type { Certificate } from './certificates.ts';
import type { Lab, LabProcess } from './lab.ts';
import { LOOPBACK, type Place } from './place.ts';
import { ask, type Trust } from './rest.ts';
import { run } from './run.ts';
import { waitFor } from './wait.ts';

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Lease id in decimal, '0' when there is none. */
  readonly lease: string;
}

export class EtcdMember {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly #lab: Lab;
  readonly #dataDir: string;
  readonly #place: Place;
  readonly #security: EtcdSecurity | undefined;
  #arguments: readonly string[] = [];
  #process: LabProcess | undefined;

  constructor(
    lab: Lab,
    name: string,
    clientPort: number,
    peerPort: number,
    place: Place = LOOPBACK,
    security?: EtcdSecurity,
  ) {
    this.#security = security;
    this.#lab = lab;
    this.name = name;
    this.clientPort = clientPort;
    this.peerPort = peerPort;
    this.#place = place;
    this.#dataDir = lab.path('etcd', name);
  }

  /** host:port, as Tenure's `etcd3.hosts` takes it. */
  get host(): string {
    return `${this.#place.address}:${this.clientPort}`;
  }

  get url(): string {
    return `${this.#security === undefined ? 'http' : 'https'}://${this.host}`;
  }

  get peerUrl(): string {
    return `http://${this.#place.address}:${this.peerPort}`;
  }

  get process(): LabProcess | undefined {
    return this.#process;
  }

  /** Command-line arguments besides names and addresses; kept for later starts. */
  configure(initialCluster: string, extra: readonly string[]): void {
    this.#arguments = [`--initial-cluster=${initialCluster}`, ...extra];
  }

  /** Starts it (again, with its data); does not wait until it answers: see {@link Etcd.ready}. */
  async start(): Promise<void> {
    if (this.#process?.isAlive()) throw new Error(`etcd member ${this.name} runs already`);
    const command = [
      ...this.#place.enter,
      'etcd',
      `--name=${this.name}`,
      `--data-dir=${join(this.#dataDir, 'data')}`,
      `--listen-client-urls=${this.url}`,
      `--advertise-client-urls=${this.url}`,
      `--listen-peer-urls=${this.peerUrl}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      '--initial-cluster-state=new',
      '--logger=zap',
      '--log-outputs=stderr',
      '--log-level=warn',
      ...tlsArguments(this.#security),
      ...this.#arguments,
    ];
    const options = { name: `etcd-${this.name}`, cwd: this.#dataDir, env: { ETCDCTL_API: '3' } };
    this.#process = await this.#lab.spawn(command, options);
  }

  /** SIGTERM, and waits for its end. */
  async stop(deadlineMs = 10_000): Promise<void> {
    await this.#process?.end('SIGTERM', deadlineMs);
  }

  /** SIGKILL, and waits for its end. Works on a frozen member too. */
  async kill(): Promise<void> {
    await this.#process?.end('SIGKILL', 5000);
  }

  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void {
    this.#process?.signal('SIGSTOP');
  }

  /** SIGCONT */
  resume(): void {
    this.#process?.signal('SIGCONT');
  }

  async isHealthy(): Promise<boolean> {
    try {
      const trust = this.#security;
      const { text } = await ask(`${this.url}/health`, { deadlineMs: 500, trust });
      return text.includes('true');
    } catch {
      return false;
    }
  }
}

/** How clients get in; members talk to each other in plain text. */
export interface EtcdSecurity extends Trust {
  /** What clients have to show a certificate of `authority` for. */
  readonly server: Certificate;
  readonly client: Certificate;
}

function tlsArguments(security: EtcdSecurity | undefined): readonly string[] {
  if (security === undefined) return [];
  const { authority, server } = security;
  return [
    '--client-cert-auth',
    `--trusted-ca-file=${authority}`,
    `--cert-file=${server.certfile}`,
    `--key-file=${server.keyfile}`,
  ];
}

export interface EtcdOptions {
  readonly place?: (name: string) => Place;
  readonly security?: EtcdSecurity | undefined;
  /** Further arguments of each member. */
  readonly arguments?: readonly string[];
}

export class Etcd {
  readonly members: readonly EtcdMember[];
  readonly #security: EtcdSecurity | undefined;
  /** `name:password` of the user that the lab asks as, once there are users. */
  #user: string | undefined;

  private constructor(members: readonly EtcdMember[], security: EtcdSecurity | undefined) {
    this.members = members;
    this.#security = security;
  }

  /** Starts one or three members and waits until all are healthy. */
  static async start(
    lab: Lab,
    size: 1 | 3 = 1,
    { place = () => LOOPBACK, security, arguments: more = [] }: EtcdOptions = {},
  ): Promise<Etcd> {
    const members: EtcdMember[] = [];
    for (let number = 1; number <= size; number += 1) {
      const name = `e${number}`;
      const ports = [await lab.port(), await lab.port()] as const;
      members.push(new EtcdMember(lab, name, ...ports, place(name), security));
    }
    const cluster = members.map((one) => `${one.name}=${one.peerUrl}`).join(',');
    const extra = [...((await knowsUnsafeNoFsync()) ? ['--unsafe-no-fsync'] : []), ...more];
    for (const member of members) {
      member.configure(cluster, extra);
      await member.start();
    }
    const etcd = new Etcd(members, security);
    await etcd.ready();
    return etcd;
  }

  /** For `etcd3.hosts`: host:port, separated by commas. */
  get hosts(): string {
    return this.members.map((one) => one.host).join(',');
  }

  get urls(): readonly string[] {
    return this.members.map((one) => one.url);
  }

  /** The member with this number, from 0. */
  member(index: number): EtcdMember {
    const found = this.members[index];
    if (found === undefined) {
      throw new Error(`no etcd member ${index}; there are ${this.members.length}, counted from 0`);
    }
    return found;
  }

  /** Waits until all members whose process runs are healthy (which includes that they have a leader). */
  async ready(deadlineMs = 20_000): Promise<void> {
    await waitFor('etcd to be healthy', deadlineMs, async (seen) => {
      for (const member of this.members) {
        if (member.process === undefined) continue;
        if (!member.process.isAlive()) seen(`${member.name} ended:\n${member.process.tail()}`);
        else seen(`${member.name} is not healthy`);
        if (!(await member.isHealthy())) return false;
      }
      return true;
    });
  }

  /** The raft leader, as the members see it. */
  async leader(): Promise<EtcdMember> {
    return waitFor('an etcd leader', 10_000, async () => {
      for (const member of this.members) {
        if (!(await member.isHealthy())) continue;
        const output = await this.etcdctl(['endpoint', 'status', '-w', 'json'], member);
        const [status] = JSON.parse(output) as [
          { Status: { leader: number; header: { member_id: number } } },
        ];
        if (status.Status.leader === status.Status.header.member_id) return member;
      }
      return undefined;
    });
  }

  /** Runs etcdctl, on the given member or on all of them. */
  etcdctl(args: readonly string[], member?: EtcdMember, input?: string): Promise<string> {
    const endpoints = member?.url ?? this.urls.join(',');
    const { authority, client } = this.#security ?? {};
    const command = [
      'etcdctl',
      `--endpoints=${endpoints}`,
      '--command-timeout=5s',
      ...(authority === undefined ? [] : [`--cacert=${authority}`]),
      ...(client === undefined ? [] : [`--cert=${client.certfile}`, `--key=${client.keyfile}`]),
      ...(this.#user === undefined ? [] : [`--user=${this.#user}`]),
      ...args,
    ];
    const env = { ETCDCTL_API: '3' };
    return run(command, input === undefined ? { env } : { env, input });
  }

  /** From now on nobody gets in without a user: `root` with this password, whom the lab asks as too. */
  async demandUsers(password: string): Promise<void> {
    await this.etcdctl(['user', 'add', `root:${password}`]);
    await this.etcdctl(['user', 'grant-role', 'root', 'root']);
    await this.etcdctl(['auth', 'enable']);
    this.#user = `root:${password}`;
  }

  /** All keys that begin with `prefix`, by name. */
  async list(prefix: string): Promise<readonly KeyValue[]> {
    const output = await this.etcdctl(['get', '--prefix', prefix, '-w', 'json']);
    return parseKeys(output);
  }

  async get(key: string): Promise<KeyValue | undefined> {
    return parseKeys(await this.etcdctl(['get', key, '-w', 'json']))[0];
  }

  /** Writes a key; the lease id in decimal, when one is given. */
  async put(key: string, value: string, lease?: string): Promise<void> {
    const withLease = lease === undefined ? [] : [`--lease=${BigInt(lease).toString(16)}`];
    await this.etcdctl(['put', ...withLease, '--', key, value]);
  }

  async delete(key: string): Promise<void> {
    await this.etcdctl(['del', '--', key]);
  }

  /** Milliseconds (whole seconds) left to a lease, given by its id in decimal; undefined when it is gone. */
  async leaseTimeLeftMs(lease: string): Promise<number | undefined> {
    const id = BigInt(lease).toString(16);
    const output = await this.etcdctl(['lease', 'timetolive', id, '-w', 'json']);
    const { ttl } = JSON.parse(output) as { ttl: number };
    return ttl < 0 ? undefined : ttl * 1000;
  }
}

interface RawKey {
  readonly key: string;
  readonly value?: string;
  readonly create_revision: number;
  readonly mod_revision: number;
}

function parseKeys(output: string): KeyValue[] {
  // Lease ids do not fit a double: take them as text.
  const text = output.replace(/"lease":(\d+)/g, '"lease":"$1"');
  const answer = JSON.parse(text) as { kvs?: Array<RawKey & { readonly lease?: string }> };
  return (answer.kvs ?? []).map((raw) => ({
    key: Buffer.from(raw.key, 'base64').toString(),
    value: Buffer.from(raw.value ?? '', 'base64').toString(),
    createRevision: raw.create_revision,
    modRevision: raw.mod_revision,
    lease: raw.lease ?? '0',
  }));
}

let unsafeNoFsync: Promise<boolean> | undefined;

/** Whether this etcd can leave out fsync, which no test here is about. */
function knowsUnsafeNoFsync(): Promise<boolean> {
  unsafeNoFsync ??= run(['etcd', '--help']).then((help) => help.includes('--unsafe-no-fsync'));
  return unsafeNoFsync;
}
