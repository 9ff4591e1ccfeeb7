/**
 * docker-compose.yml in real containers, under a steady writer in synchronous mode: writes go on after
 * each fault, and in the end every row that was acknowledged is there.
 */
import { GenericContainer } from 'testcontainers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SteadyWriter, waitFor } from '../../scripts/lab/index.ts';
import { Composed, NODES, told } from './composed.ts';

describe('docker-compose.yml', () => {
  let cluster: Composed;
  let writer: SteadyWriter;

  beforeAll(async () => {
    cluster = await Composed.up();
  });
  afterAll(async () => {
    await writer?.stop();
    await cluster?.down();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    for (const node of NODES) {
      const log = await cluster.logs(node).catch((error: Error) => error.message);
      process.stderr.write(`--- ${node}\n${log.slice(-8000)}\n`);
    }
  });

  /** Nothing that is acknowledged by now is missing on the primary; the writer goes on meanwhile. */
  const nothingLost = async (): Promise<void> => {
    const leader = await cluster.whole();
    const acknowledged = writer.acknowledged.map(({ id }) => id);
    const client = await cluster.connect(leader);
    try {
      const there = await writer.ids(client);
      expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
    } finally {
      await client.end();
    }
  };

  it('forms a cluster that takes writes through HAProxy', async () => {
    const leader = await cluster.whole();
    const changed = await cluster.rest(leader, '/config', 'PATCH', {
      ttl: 5,
      loop_wait: 1,
      retry_timeout: 2,
      synchronous_mode: true,
    });
    expect(changed.status).toBe(200);
    await waitFor('a synchronous standby', 30_000, async () => {
      const statuses = await Promise.all(NODES.map((node) => cluster.rest(node, '/sync')));
      return statuses.some(({ status }) => status === 200);
    });
    writer = await SteadyWriter.start({
      host: await cluster.address('haproxy'),
      port: 5000,
      password: cluster.secret('superuser'),
    });
    await writer.acknowledges(20);
    const page = await fetch(`http://${await cluster.address('haproxy')}:7000/`);
    expect(await page.text()).toContain('Statistics Report');
  });

  it('has PostgreSQL in its log, secrets in nobody’s environment, and tini as process 1', async () => {
    const leader = await cluster.whole();
    expect(await cluster.logs(leader)).toContain('database system is ready to accept connections');
    const { output } = await cluster.exec(
      leader,
      'sh',
      '-c',
      'id -un; cat /proc/1/comm; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null',
    );
    expect(output).toMatch(/^postgres\ntini\n/);
    expect(output).toContain('TENURE_SUPERUSER_PASSWORD_FILE');
    expect(output).not.toContain(cluster.secret('superuser'));
    expect(output).not.toContain(cluster.secret('restapi'));
  });

  it('goes on when the primary’s container is killed', async () => {
    const before = await cluster.whole();
    await cluster.kill(before);
    await cluster.primary(before);
    await writer.acknowledges(20);
    await cluster.start(before);
    await nothingLost();
  });

  it('goes on when the primary loses its network, and that node takes no write', async () => {
    const before = await cluster.whole();
    await cluster.cut(before);
    await cluster.primary(before);
    await writer.acknowledges(20);
    const written = await cluster.exec(before, 'psql', '-c', 'CREATE TABLE astray (id int)');
    expect(written.code).not.toBe(0);
    await cluster.join(before);
    await nothingLost();
  });

  it('makes a node anew whose volume was thrown away', async () => {
    const leader = await cluster.whole();
    const [victim = ''] = NODES.filter((node) => node !== leader);
    const { Mounts } = await cluster.inspect(victim);
    const volume = Mounts.find((one) => one.Destination === '/var/lib/postgresql')?.Name ?? '';
    await cluster.compose(['rm', '--stop', '--force', victim]);
    await cluster.removeVolume(volume);
    await cluster.compose(['up', '-d', '--no-build', '--no-deps', victim]);
    await nothingLost();
    expect(await cluster.logs(victim)).toContain('replica has been created from');
    await writer.acknowledges(20);
  });

  it('takes a new image node by node, the leader last', async () => {
    const next = told('TENURE_TEST_NEXT');
    await GenericContainer.fromDockerfile(import.meta.dirname, 'next.Dockerfile')
      .withBuildArgs({ TENURE: told('TENURE_IMAGE') })
      .build(next, { deleteOnExit: false });
    const leader = await cluster.whole();
    for (const node of [...NODES.filter((one) => one !== leader), leader]) {
      await cluster.compose(['up', '-d', '--no-build', '--no-deps', node], next);
      const { Config } = await cluster.inspect(node);
      expect(Config.Labels).toMatchObject({ 'tenure.test': 'next' });
      await nothingLost();
    }
    await writer.acknowledges(20);
    expect(await cluster.whole()).not.toBe(leader);
  });

  it('hands the lease over when the primary’s container is stopped', async () => {
    const before = await cluster.whole();
    await cluster.compose(['stop', before]);
    const { State } = await cluster.inspect(before);
    expect(State.ExitCode).toBe(0);
    expect(await cluster.logs(before)).toMatch(/released the lease; node\d holds everything/);
    await cluster.primary(before);
    await writer.acknowledges(20);
    await cluster.start(before);
    await nothingLost();
  });
});
