/**
 * A network namespace for each member, joined by a bridge in a namespace of the script's own: nothing
 * in it has a way out of it. Made with what scripts/chaos/enter.sh has allowed; gone with the script.
 */
import type { Place } from '../lab/index.ts';
import { run } from '../lab/run.ts';

const BRIDGE = 'chaos';
const SUBNET = '10.77.0';
/** The script's own address: its writers and HAProxy are here, and no fault is between them and a node. */
const OWN = `${SUBNET}.1`;
/** The members' programs keep none of the rights that the script has in its namespaces. */
const WITHOUT_RIGHTS = ['setpriv', '--inh-caps=-all', '--ambient-caps=-all', '--'];

export class Network {
  readonly #hosts = new Map<string, string>();

  /** Makes the bridge and one namespace for each of the names. */
  static async create(names: readonly string[]): Promise<Network> {
    const network = new Network();
    await ip('link', 'add', BRIDGE, 'type', 'bridge');
    await ip('link', 'set', BRIDGE, 'up');
    await ip('addr', 'add', `${OWN}/24`, 'dev', BRIDGE);
    for (const [index, name] of names.entries()) {
      const address = `${SUBNET}.${index + 11}`;
      network.#hosts.set(name, address);
      await ip('netns', 'add', name);
      await ip('link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      await ip('link', 'set', `to-${name}`, 'master', BRIDGE, 'up');
      await network.#inside(name, ['ip', 'link', 'set', 'lo', 'up']);
      await network.#inside(name, ['ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0']);
      await network.#inside(name, ['ip', 'link', 'set', 'eth0', 'up']);
    }
    return network;
  }

  place(name: string): Place {
    const address = this.#address(name);
    return { address, enter: [...entering(name), ...WITHOUT_RIGHTS] };
  }

  /** What `from` sends does not arrive at `to`, silently. */
  async cut(from: string, to: string): Promise<void> {
    await this.#rule(to, ['-s', this.#address(from), '-j', 'DROP']);
  }

  /** Neither hears the other. */
  async separate(one: string, other: string): Promise<void> {
    await this.cut(one, other);
    await this.cut(other, one);
  }

  /** Of what other members send to this one, the share `probability` is lost. */
  async lossy(name: string, probability: number): Promise<void> {
    const chance = ['-m', 'statistic', '--mode', 'random', '--probability', probability.toFixed(3)];
    for (const [other, address] of this.#hosts) {
      if (other !== name) await this.#rule(name, ['-s', address, ...chance, '-j', 'DROP']);
    }
  }

  /** What this one sends, to anybody, goes out at this rate, and what waits longer than 400 ms is lost. */
  async slow(name: string, kilobits: number): Promise<void> {
    const rate = ['rate', `${kilobits}kbit`, 'burst', '4kb', 'latency', '400ms'];
    await this.#inside(name, ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'tbf', ...rate]);
  }

  /** All links are as at the beginning. */
  async mend(): Promise<void> {
    for (const name of this.#hosts.keys()) {
      await this.#inside(name, ['iptables', '-w', '-F', 'INPUT']);
      // It fails where there is none to remove.
      await this.#inside(name, ['tc', 'qdisc', 'del', 'dev', 'eth0', 'root']).catch(() => '');
    }
  }

  #address(name: string): string {
    const address = this.#hosts.get(name);
    if (address === undefined) throw new Error(`no member ${name} in the network`);
    return address;
  }

  async #rule(name: string, rule: readonly string[]): Promise<void> {
    await this.#inside(name, ['iptables', '-w', '-A', 'INPUT', ...rule]);
  }

  #inside(name: string, command: readonly string[]): Promise<string> {
    return run([...entering(name), ...command]);
  }
}

const ip = (...args: readonly string[]): Promise<string> => run(['ip', ...args]);

const entering = (name: string): readonly string[] => ['nsenter', `--net=/run/netns/${name}`, '--'];
