/** docker-compose.yml brought up in a network of its own, and what tests do to its containers. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import {
  type ContainerRuntimeClient,
  DockerComposeEnvironment,
  getContainerRuntimeClient,
  type StartedDockerComposeEnvironment,
  Wait,
} from 'testcontainers';
import { CHECKOUT, connect, waitFor } from '../../scripts/lab/index.ts';

const FILES = ['docker-compose.yml', 'docker-compose.ci.yml'];
const run = promisify(execFile);

/** What scripts/containers.sh says in the environment. */
export function told(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this with npm run test:containers`);
  return value;
}

/** `docker-compose` or `docker compose`, as a command. */
function composeCommand(): readonly string[] {
  return told('TENURE_TEST_COMPOSE').split(' ');
}

/** Output of a container as Docker gives it: in pieces, each behind 8 bytes with its length. */
export function textOf(output: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= output.length; ) {
    const end = at + 8 + output.readUInt32BE(at + 4);
    pieces.push(output.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(pieces).toString('utf8');
}

interface Walsender {
  readonly application_name: string;
  readonly state: string;
}

export interface Answer {
  readonly status: number;
  readonly json: unknown;
}

export class Composed {
  readonly #client: ContainerRuntimeClient;
  readonly #project: string;
  readonly #secrets: string;
  readonly #environment: StartedDockerComposeEnvironment;

  private constructor(
    client: ContainerRuntimeClient,
    project: string,
    secrets: string,
    environment: StartedDockerComposeEnvironment,
  ) {
    this.#client = client;
    this.#project = project;
    this.#secrets = secrets;
    this.#environment = environment;
  }

  /** Makes secrets, starts all services, and waits until each says that it is healthy. */
  static async up(): Promise<Composed> {
    const project = `tenure-test-${process.pid}`;
    const secrets = mkdtempSync(join(tmpdir(), 'secrets-'));
    try {
      await run('sh', [join(CHECKOUT, 'deploy/containers/secrets.sh'), secrets]);
      const [first = '', ...more] = composeCommand();
      const environment = await new DockerComposeEnvironment(CHECKOUT, FILES)
        .withProjectName(project)
        .withEnvironment({ ...process.env, TENURE_SECRETS: secrets })
        .withClientOptions({
          commandOptions: ['--no-build'],
          ...(more.length === 0
            ? { executable: { standalone: true as const, executablePath: first } }
            : {}),
        })
        .withDefaultWaitStrategy(Wait.forHealthCheck())
        .up();
      const client = await getContainerRuntimeClient();
      return new Composed(client, project, secrets, environment);
    } catch (error) {
      rmSync(secrets, { recursive: true, force: true });
      throw error;
    }
  }

  async down(): Promise<void> {
    await this.#environment.down({ removeVolumes: true, timeout: 0 });
    rmSync(this.#secrets, { recursive: true, force: true });
  }

  secret(name: 'superuser' | 'restapi'): string {
    return readFileSync(join(this.#secrets, name), 'utf8');
  }

  /** A command of compose on this project; `image`: what the nodes are made of from now on. */
  async compose(args: readonly string[], image = told('TENURE_IMAGE')): Promise<void> {
    const [first = '', ...more] = composeCommand();
    const files = FILES.flatMap((file) => ['-f', file]);
    await run(first, [...more, '-p', this.#project, ...files, ...args], {
      cwd: CHECKOUT,
      env: { ...process.env, TENURE_SECRETS: this.#secrets, TENURE_IMAGE: image },
    });
  }

  /** The container of a service as it is now; one that was made anew is another. */
  async #container(service: string) {
    const all = await this.#client.container.dockerode.listContainers({
      all: true,
      filters: {
        label: [
          `com.docker.compose.project=${this.#project}`,
          `com.docker.compose.service=${service}`,
        ],
      },
    });
    const [found] = all;
    if (found === undefined) throw new Error(`there is no container of ${service}`);
    return this.#client.container.getById(found.Id);
  }

  async inspect(service: string) {
    return (await this.#container(service)).inspect();
  }

  async #network() {
    const networks = await this.#client.container.dockerode.listNetworks({
      filters: { label: [`com.docker.compose.project=${this.#project}`] },
    });
    const [found] = networks;
    if (found === undefined) throw new Error('the project has no network');
    return this.#client.network.getById(found.Id);
  }

  /** In the project's network; throws while it is not connected. */
  async address(service: string): Promise<string> {
    const { NetworkSettings } = await this.inspect(service);
    const address = Object.values(NetworkSettings.Networks).map((one) => one.IPAddress)[0];
    if (!address) throw new Error(`${service} has no address`);
    return address;
  }

  async kill(service: string): Promise<void> {
    await (await this.#container(service)).kill({ signal: 'SIGKILL' });
  }

  async start(service: string): Promise<void> {
    await (await this.#container(service)).start();
  }

  async cut(service: string): Promise<void> {
    await (await this.#network()).disconnect({ Container: (await this.#container(service)).id });
  }

  async join(service: string): Promise<void> {
    const container = await this.#container(service);
    await this.#client.container.connectToNetwork(container, await this.#network(), [service]);
  }

  async removeVolume(name: string): Promise<void> {
    await this.#client.container.dockerode.getVolume(name).remove();
  }

  /** Output of a command in the container, also where its network is cut. */
  async exec(service: string, ...command: string[]): Promise<{ code: number; output: string }> {
    const container = await this.#container(service);
    const { exitCode, output } = await this.#client.container.exec(container, command);
    return { code: exitCode, output };
  }

  async logs(service: string): Promise<string> {
    const container = await this.#container(service);
    return textOf(await container.logs({ stdout: true, stderr: true }));
  }

  /** One request to a node's REST API, as the operator. */
  async rest(node: string, path: string, method = 'GET', body?: unknown): Promise<Answer> {
    const operator = Buffer.from(`operator:${this.secret('restapi')}`).toString('base64');
    const response = await fetch(`http://${await this.address(node)}:8008${path}`, {
      method,
      signal: AbortSignal.timeout(5000),
      headers: { authorization: `Basic ${operator}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, json: text.startsWith('{') ? JSON.parse(text) : text };
  }

  /** A session with a node's PostgreSQL, or through HAProxy. */
  async connect(service: string, port = 5432): Promise<pg.Client> {
    const host = await this.address(service);
    return connect({ host, port, password: this.secret('superuser') });
  }

  /** Waits until a node other than `not` says that it is primary. */
  async primary(not?: string, nodes: readonly string[] = NODES): Promise<string> {
    return waitFor(`a primary${not ? ` other than ${not}` : ''}`, 60_000, async (seen) => {
      const answers = await Promise.all(
        nodes.map(async (node) => {
          const status = await this.rest(node, '/primary').then(
            (answer) => answer.status,
            (error: Error) => error.message,
          );
          return { node, status };
        }),
      );
      seen(answers.map(({ node, status }) => `${node}: ${status}`).join(', '));
      return answers.find(({ node, status }) => status === 200 && node !== not)?.node;
    });
  }

  /** Waits until one node leads and all others stream from it. */
  async whole(): Promise<string> {
    return waitFor('a primary with two streaming standbys', 90_000, async (seen) => {
      const leader = await this.primary();
      const { json } = await this.rest(leader, '/patroni');
      seen(JSON.stringify(json));
      const { replication = [] } = json as { replication?: Walsender[] };
      // A copy that is being made streams as well, under another name.
      const standbys = replication.filter(
        (one) => one.state === 'streaming' && NODES.some((node) => node === one.application_name),
      );
      return standbys.length === 2 ? leader : false;
    });
  }
}

export const NODES = ['node1', 'node2', 'node3'] as const;
