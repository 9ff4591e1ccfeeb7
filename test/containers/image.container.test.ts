/** The images by themselves: size, what they are given, and a data directory that is a mount point. */
import {
  GenericContainer,
  getContainerRuntimeClient,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../scripts/lab/index.ts';
import { textOf, told } from './composed.ts';

const LARGEST_MB = 650;

async function sizeMb(image: string): Promise<number> {
  const { container } = await getContainerRuntimeClient();
  return (await container.dockerode.getImage(image).inspect()).Size / 1e6;
}

/** Runs the image to its end. */
async function ended(command: string[], environment: Record<string, string> = {}) {
  const { container } = await getContainerRuntimeClient();
  const made = await container.create({
    Image: told('TENURE_IMAGE'),
    Cmd: command,
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
  });
  try {
    await made.start();
    const { StatusCode } = (await made.wait()) as { StatusCode: number };
    const output = textOf(await made.logs({ stdout: true, stderr: true }));
    return { code: StatusCode, output };
  } finally {
    await made.remove({ force: true, v: true });
  }
}

describe('the image', () => {
  it(`is at most ${LARGEST_MB} MB larger than its base`, async () => {
    const base = await sizeMb(told('TENURE_TEST_BASE'));
    for (const name of ['TENURE_IMAGE', 'ETCD_IMAGE', 'HAPROXY_IMAGE']) {
      const size = await sizeMb(told(name));
      const added = Math.round(size - base);
      process.stdout.write(`${name}: ${Math.round(size)} MB, base + ${added} MB\n`);
      expect(added).toBeLessThanOrEqual(LARGEST_MB);
    }
  });

  it('says which secret it was not given', async () => {
    const { code, output } = await ended([], { TENURE_SUPERUSER_PASSWORD: 'geheim' });
    expect(code).toBe(1);
    expect(output).toContain(
      'neither TENURE_REPLICATION_PASSWORD nor TENURE_REPLICATION_PASSWORD_FILE',
    );
    expect(output).not.toContain('geheim');
  });

  it('runs options of the daemon, and other programs', async () => {
    expect((await ended(['--version'])).output).toMatch(/tenure \d/);
    expect((await ended(['psql', '--version'])).output).toContain('(PostgreSQL) 17');
  });
});

describe('two containers without compose', () => {
  let network: StartedNetwork;
  const started: StartedTestContainer[] = [];

  beforeAll(async () => {
    network = await new Network().start();
    const etcd = await new GenericContainer(told('ETCD_IMAGE'))
      .withNetwork(network)
      .withNetworkAliases('etcd')
      .withEnvironment({
        ETCD_LISTEN_CLIENT_URLS: 'http://0.0.0.0:2379',
        ETCD_ADVERTISE_CLIENT_URLS: 'http://etcd:2379',
      })
      .withWaitStrategy(Wait.forHealthCheck())
      .start();
    started.push(etcd);
  });
  afterAll(async () => {
    for (const container of started.reverse()) await container.stop({ timeout: 0 });
    await network?.stop();
  });

  const node = (name: string): GenericContainer =>
    new GenericContainer(told('TENURE_IMAGE'))
      .withNetwork(network)
      .withNetworkAliases(name)
      .withHostname(name);
  const output = async (container: StartedTestContainer, ...command: string[]) => {
    const { output: text } = await container.exec(command);
    return text.trim();
  };

  it('one given nothing but PATRONI_* variables bootstraps a cluster', async () => {
    const first = await node('first')
      .withEnvironment({
        PATRONI_SCOPE: 'pair',
        PATRONI_ETCD3_HOSTS: 'etcd:2379',
        PATRONI_SUPERUSER_PASSWORD: 'geheim-1',
        PATRONI_REPLICATION_PASSWORD: 'geheim-2',
      })
      .withWaitStrategy(Wait.forHealthCheck())
      .start();
    started.push(first);
    await waitFor('a primary', 60_000, async () => {
      const { exitCode } = await first.exec(['tenure-health', '/primary']);
      return exitCode === 0;
    });
    expect(await output(first, 'psql', '-Atc', 'CREATE TABLE kept (id int)')).toBe('CREATE TABLE');
  });

  it('one with a file, whose data directory is a mount point, is cloned in place, twice', async () => {
    const second = await node('second')
      .withTmpFs({ '/data': 'rw,uid=999,gid=999,mode=0700' })
      .withCopyContentToContainer([{ target: '/tmp/node.yml', content: FILE, mode: 0o644 }])
      .withCommand(['/tmp/node.yml'])
      .withWaitStrategy(Wait.forHealthCheck())
      .start();
    started.push(second);
    const streams = async (): Promise<void> => {
      await waitFor('a streaming standby', 60_000, async (seen) => {
        seen(await output(second, 'tenure-health', '/replica'));
        const { exitCode } = await second.exec(['tenure-health', '/replica']);
        return exitCode === 0;
      });
    };
    await streams();
    const rows = [
      'psql',
      '-Atc',
      'SELECT count(*) FROM kept; SELECT system_identifier FROM pg_control_system()',
    ];
    const before = await output(second, ...rows);
    expect(before).toMatch(/^0\n\d+$/);
    // A trace that a new copy does not have.
    await output(second, 'touch', '/data/trace');
    const asked =
      'exec 3<>/dev/tcp/127.0.0.1/8008; printf "POST /reinitialize HTTP/1.0\\r\\ncontent-length: 2\\r\\ncontent-type: application/json\\r\\n\\r\\n{}" >&3; head -1 <&3';
    expect(await output(second, 'bash', '-c', asked)).toContain('200');
    await waitFor('the copy', 60_000, async () => {
      const { exitCode } = await second.exec(['test', '-e', '/data/trace']);
      return exitCode === 1;
    });
    await streams();
    expect(await output(second, ...rows)).toBe(before);
  });
});

const FILE = `scope: pair
name: second
restapi: { listen: 0.0.0.0:8008, connect_address: second:8008 }
etcd3: { hosts: [etcd:2379] }
postgresql:
  listen: 0.0.0.0:5432
  connect_address: second:5432
  data_dir: /data
  pgpass: /tmp/pgpass
  parameters: { unix_socket_directories: /run/postgresql }
  authentication:
    superuser: { username: postgres, password: geheim-1 }
    replication: { username: replicator, password: geheim-2 }
tenure: { state_dir: /var/lib/postgresql/state }
`;
