/** A container that systemd was booted in, with the unit, etcd, and configurations of daemons. */
import { join } from 'node:path';
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';
import { stringify } from 'yaml';
import { CHECKOUT, waitFor } from '../../scripts/lab/index.ts';
import { textOf, told } from './composed.ts';

type Container = Awaited<ReturnType<ContainerRuntimeClient['container']['create']>>;

const UNITS = '/etc/systemd/system';
/** The machine's cgroups are not the container's: it gets a tree of its own, below where it is. */
const BOOT = `
umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
ln -s /usr/local/bin/tenure /usr/bin/tenure
exec /usr/lib/systemd/systemd`;

export class Booted {
  readonly #client: ContainerRuntimeClient;
  readonly #container: Container;

  private constructor(client: ContainerRuntimeClient, container: Container) {
    this.#client = client;
    this.#container = container;
  }

  static async boot(): Promise<Booted> {
    const client = await getContainerRuntimeClient();
    const folder = join(CHECKOUT, 'deploy/systemd');
    // Of an API that is newer than the types.
    const privateCgroups = { CgroupnsMode: 'private' } as const;
    const container = await client.container.create({
      Image: told('TENURE_TEST_LAB'),
      User: 'root',
      Entrypoint: ['sh', '-ec', BOOT],
      Env: ['container=docker'],
      StopSignal: 'SIGRTMIN+3',
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        // What systemd needs; less than a privileged container, which not every machine can give.
        CapAdd: ['SYS_ADMIN'],
        SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
        ...privateCgroups,
        Tmpfs: { '/run': '', '/tmp': '' },
        Binds: [
          `${folder}/tenure@.service:${UNITS}/tenure@.service:ro`,
          `${folder}/hardened.conf:${UNITS}/tenure@.service.d/hardened.conf:ro`,
        ],
      },
    });
    const booted = new Booted(client, container);
    try {
      await container.start();
      await waitFor('systemd', 30_000, async (seen) => {
        const { output } = await booted.exec('systemctl is-system-running');
        seen(output || (await booted.output()));
        return /running|degraded/.test(output);
      });
      await booted.run('systemd-tmpfiles --create');
      await booted.run('systemd-run --unit=etcd-test --collect etcd --data-dir=/run/etcd');
      return booted;
    } catch (error) {
      await booted.remove();
      throw error;
    }
  }

  async remove(): Promise<void> {
    await this.#container.remove({ force: true, v: true });
  }

  async output(): Promise<string> {
    return textOf(await this.#container.logs({ stdout: true, stderr: true }));
  }

  async exec(script: string): Promise<{ readonly code: number; readonly output: string }> {
    const { exitCode, output } = await this.#client.container.exec(this.#container, [
      'sh',
      '-c',
      script,
    ]);
    return { code: exitCode, output: output.trim() };
  }

  /** Output of a command that must succeed. */
  async run(script: string): Promise<string> {
    const { code, output } = await this.exec(script);
    if (code !== 0) throw new Error(`${script}: exit code ${code}: ${output}`);
    return output;
  }

  /** The configuration of `tenure@name`, with PostgreSQL at `port` and REST at `port + 1000`. */
  async configure(name: string, port: number, more: object = {}): Promise<void> {
    const config = {
      scope: 'booted',
      name,
      restapi: { listen: `127.0.0.1:${port + 1000}` },
      etcd3: { hosts: '127.0.0.1:2379' },
      bootstrap: { dcs: { ttl: 10, loop_wait: 1, retry_timeout: 3 }, initdb: ['data-checksums'] },
      postgresql: {
        listen: `127.0.0.1:${port}`,
        data_dir: `/var/lib/postgresql/${name}`,
        pgpass: `/var/lib/postgresql/pgpass-${name}`,
        authentication: {
          superuser: { username: 'postgres', password: 'geheim' },
          replication: { username: 'replicator', password: 'geheim' },
        },
        parameters: { unix_socket_directories: '/run/postgresql' },
        pg_hba: [
          'local all all peer',
          'host all all 127.0.0.1/32 scram-sha-256',
          'host replication all 127.0.0.1/32 scram-sha-256',
        ],
      },
      ...more,
    };
    const text = Buffer.from(stringify(config, { version: '1.1' })).toString('base64');
    await this.run(
      `mkdir -p /etc/tenure && echo ${text} | base64 -d > /etc/tenure/${name}.yml && chown postgres /etc/tenure/${name}.yml`,
    );
  }

  /** Waits until GET `path` of the daemon with PostgreSQL at `port` is 200. */
  async answers(port: number, path: string): Promise<void> {
    await waitFor(`${path} of ${port}`, 60_000, async (seen) => {
      const { code, output } = await this.exec(
        `tenure-health ${path} http://127.0.0.1:${port + 1000}`,
      );
      seen(output);
      return code === 0;
    });
  }

  async journal(unit: string): Promise<string> {
    return await this.run(`journalctl --no-pager -o cat -u ${unit}`);
  }

  /** Waits until the unit's journal has this text. */
  async says(unit: string, text: string): Promise<void> {
    await waitFor(`${JSON.stringify(text)} of ${unit}`, 60_000, async (seen) => {
      const journal = await this.journal(unit);
      seen(journal.slice(-1500));
      return journal.includes(text);
    });
  }
}
