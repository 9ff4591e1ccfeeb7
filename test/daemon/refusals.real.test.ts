/** What a daemon must not start with: exit code 1, one message, nothing touched, nobody harmed. */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import {
  binDir,
  Cluster,
  Lab,
  Node,
  PostgresServer,
  processesIn,
  waitFor,
} from '../../scripts/lab/index.ts';
import {
  expectNoServer,
  expectRefusal,
  fingerprint,
  logged,
  logMark,
  pair,
  refusal,
  replicates,
  tellOnFailure,
} from './watching.ts';

let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { nodes: 2, haproxy: false });
});
afterAll(() => lab.close());
beforeEach(() => tellOnFailure(cluster.nodes));

/** A third node of the cluster, not started. */
function newcomer(name: string, config: Readonly<Record<string, unknown>> = {}): Promise<Node> {
  return Node.create(lab, { scope: cluster.scope, name, etcdHosts: cluster.etcd.hosts, config });
}

/** All keys but those that come and go by themselves. */
async function keys(): Promise<readonly string[]> {
  const own = ['status', ...cluster.nodes.map((node) => `members/${node.name}`)];
  const all = await cluster.etcd.list('/service/');
  return all.map((one) => one.key).filter((key) => !own.some((name) => key.endsWith(`/${name}`)));
}

describe('the REST port is taken', () => {
  test('exit 1; a PostgreSQL that runs already goes on, and is adopted when the port is free', async () => {
    const { primary, replica } = await pair(cluster);
    await replica.kill();
    const postmaster = replica.postmaster();
    const other = createServer((socket) => socket.destroy());
    onTestFinished(() => void other.close());
    await new Promise<void>((resolve) => {
      other.listen(replica.restPort, '127.0.0.1', resolve);
    });
    await expectRefusal(replica, [`127.0.0.1:${replica.restPort}`, /in use by another process/]);
    expect(replica.postmaster()).toEqual(postmaster);
    await replicates(primary, replica);

    await new Promise((resolve) => other.close(resolve));
    await replica.start();
    await cluster.healthy();
    expect(replica.postmaster()).toEqual(postmaster);
  });
});

describe('the data directory', () => {
  test('of another cluster, stopped and running', async () => {
    const foreign = await PostgresServer.create(lab, { name: 'foreign' });
    chmodSync(foreign.dataDir, 0o700);
    const address = `127.0.0.1:${foreign.port}`;
    const node = await newcomer('n3', {
      postgresql: { data_dir: foreign.dataDir, listen: address, connect_address: address },
    });
    const known = await keys();
    const initialize = await cluster.etcd.get(`/service/${cluster.scope}/initialize`);
    const names = [/system identifier \d+/, `${initialize?.value}`, /belongs to another cluster/];

    const stopped = fingerprint(foreign.dataDir);
    await expectRefusal(node, names);
    expect(fingerprint(foreign.dataDir)).toEqual(stopped);
    expect(processesIn(foreign.dataDir)).toEqual([]);

    await foreign.start();
    const configuration = () => fingerprint(foreign.dataDir).filter((one) => /\.conf /.test(one));
    const running = { names: readdirSync(foreign.dataDir), configuration: configuration() };
    const answer = await refusal(node);
    expect(answer.code, answer.said).toBe(1);
    for (const name of names) expect(answer.said).toMatch(name);
    expect({ names: readdirSync(foreign.dataDir), configuration: configuration() }).toEqual(
      running,
    );
    expect(foreign.process?.isAlive()).toBe(true);
    await foreign.query('CREATE TABLE still_taking_writes ()');
    expect(foreign.process?.tail(100), 'it was told to reload').not.toMatch(/received SIGHUP/);
    expect(await keys()).toEqual(known);
    await foreign.stop();
  });

  test('that is there already and empty, as a fresh volume is: filled', async () => {
    const node = await newcomer('n7');
    mkdirSync(node.dataDir, { mode: 0o700 });
    await node.start();
    await cluster.waitForStreaming(2);
    expect(await node.stop()).toMatchObject({ code: 0 });
  });

  test('that is empty while nobody leads: left empty, and waited with', async () => {
    const { etcd } = cluster;
    const node = await Node.create(lab, { scope: 'lonely', name: 'n8', etcdHosts: etcd.hosts });
    mkdirSync(node.dataDir, { mode: 0o700 });
    await etcd.put('/service/lonely/initialize', '7000000000000000001');
    await etcd.put('/service/lonely/config', '{"ttl":5,"loop_wait":1,"retry_timeout":2}');
    const mark = logMark(node);
    await node.start();
    await logged(node, mark, /waiting for leader to bootstrap/);
    const first = await lastSeen(node);
    await waitFor('two more looks at the store', 15_000, async () => {
      return (await lastSeen(node)) >= first + 2;
    });
    expect(readdirSync(node.dataDir)).toEqual([]);
    await node.kill();
  });

  test('that is not PostgreSQL’s', async () => {
    const node = await newcomer('n4');
    mkdirSync(join(node.dataDir, '2025'), { recursive: true });
    writeFileSync(join(node.dataDir, '2025', 'holiday.jpg'), 'the only copy');
    const before = fingerprint(node.dataDir);
    await expectRefusal(node, [node.dataDir, /is not empty and has no PG_VERSION/]);
    expect(fingerprint(node.dataDir)).toEqual(before);
    expectNoServer(node);
  });

  test.each([
    ['13', /was made by PostgreSQL 13, and .*postgres is PostgreSQL \d+ .*pg_upgrade/],
    ['12', /PostgreSQL 12 is not supported: Tenure works with 13 to/],
  ])('of PostgreSQL %s: nothing is removed', async (version, message) => {
    const node = await newcomer(`of-${version}`);
    const server = await PostgresServer.create(lab, { name: `old-${version}` });
    cpSync(server.dataDir, node.dataDir, { recursive: true });
    writeFileSync(join(node.dataDir, 'PG_VERSION'), `${version}\n`);
    const before = fingerprint(node.dataDir);
    await expectRefusal(node, [message]);
    expect(fingerprint(node.dataDir)).toEqual(before);
    expectNoServer(node);
  });

  test('that cannot be read', async () => {
    const node = await newcomer('n5');
    mkdirSync(node.dataDir, { mode: 0o000 });
    onTestFinished(() => chmodSync(node.dataDir, 0o700));
    await expectRefusal(node, [node.dataDir, /EACCES: permission denied/]);
    expect(statSync(node.dataDir).mode & 0o777).toBe(0);
  });

  const rootsOwn = ['/media', '/srv', '/mnt', '/opt'].find(isEmptyOfRoot);
  test.skipIf(rootsOwn === undefined)('of another owner', async () => {
    const node = await newcomer('n6', { postgresql: { data_dir: rootsOwn } });
    node.configure({ tenure: { state_dir: join(node.folder, 'state') } });
    await expectRefusal(node, [`${rootsOwn}`, /belongs to user 0/, /this is user \d+/]);
  });
});

/** When this daemon last read the store, in seconds. */
async function lastSeen(node: Node): Promise<number> {
  const { json } = await node.rest('/patroni');
  return z.object({ dcs_last_seen: z.number() }).parse(json).dcs_last_seen;
}

function isEmptyOfRoot(folder: string): boolean {
  try {
    return statSync(folder).uid === 0 && readdirSync(folder).length === 0;
  } catch {
    return false;
  }
}

describe('a program of PostgreSQL is missing', () => {
  test.each(['postgres', 'pg_rewind'])('%s', async (missing) => {
    const folder = lab.path(`bin-without-${missing}`);
    for (const name of readdirSync(binDir())) {
      if (name !== missing) symlinkSync(join(binDir(), name), join(folder, name));
    }
    const node = await newcomer(`without-${missing.replace('_', '-')}`, {
      postgresql: { bin_dir: folder },
    });
    await expectRefusal(node, [folder, `${missing} is not in`, /postgresql\.bin_dir/]);
    expect(readdirSync(node.folder).sort()).toEqual(['config.yml', 'daemon.log']);
    rmSync(folder, { recursive: true });
  });
});

describe('two daemons of one name (field D3)', () => {
  test.each(['primary', 'replica'] as const)('the name of the %s', async (role) => {
    const first = (await pair(cluster))[role];
    const twin = await newcomer(`twin-of-${role}`);
    twin.configure({ name: first.name });
    const leader = await cluster.etcd.get(`/service/${cluster.scope}/leader`);
    const postmaster = first.postmaster();
    await expectRefusal(twin, [
      `already a node named '${first.name}'`,
      `http://127.0.0.1:${first.restPort}/patroni`,
    ]);
    expectNoServer(twin);

    expect(first.isRunning()).toBe(true);
    expect(first.postmaster()).toEqual(postmaster);
    expect(await cluster.etcd.get(`/service/${cluster.scope}/leader`)).toEqual(leader);
    const member = await cluster.etcd.get(`/service/${cluster.scope}/members/${first.name}`);
    expect(member?.value).toContain(`127.0.0.1:${first.restPort}/`);
    const { primary, replica } = await pair(cluster);
    await replicates(primary, replica);
  });

  test('a daemon that comes back while its own key is still there is nobody’s twin', async () => {
    const { replica } = await pair(cluster);
    await replica.kill();
    const mark = logMark(replica);
    await replica.start();
    await logged(replica, mark, /following a leader/);
    await cluster.healthy();
  });
});
