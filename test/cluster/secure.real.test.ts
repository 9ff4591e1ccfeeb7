/** Everything over TLS, with certificates on both sides: a whole life, wrong certificates, and where no secret may be. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ask,
  type Cluster,
  Lab,
  type Node,
  processesIn,
  waitFor,
} from '../../scripts/lab/index.ts';
import { logged, logMark, saidBy, tellOnFailure } from '../daemon/watching.ts';
import { makePki, type Pki, SECRETS, secureCluster } from './secure.ts';

const DEADLINE_MS = 45_000;
let lab: Lab;
let pki: Pki;
let cluster: Cluster;
/** Command lines and environments of every process of the lab that were ever seen. */
const processes = new Set<string>();
let sampler: NodeJS.Timeout;

function lookAtProcesses(): void {
  for (const { pid } of processesIn(lab.folder)) {
    try {
      const names = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      processes.add(names);
      processes.add(readFileSync(`/proc/${pid}/environ`, 'latin1'));
    } catch {
      // It is gone.
    }
  }
}

beforeAll(async () => {
  lab = Lab.open();
  pki = makePki(lab);
  cluster = await secureCluster(lab, pki, 3);
  sampler = setInterval(lookAtProcesses, 100);
  await cluster.startDaemons();
  await cluster.healthy(DEADLINE_MS);
}, 120_000);
afterAll(async () => {
  clearInterval(sampler);
  await lab.close();
});
beforeEach(() => tellOnFailure(cluster.nodes));

const key = (name: string): string => `/service/demo/${name}`;
const basic = `Basic ${Buffer.from(`operator:${SECRETS.rest}`).toString('base64')}`;

/** A request as the operator makes it: with a certificate and the password. */
function operate(node: Node, path: string, body: unknown) {
  return ask(`https://127.0.0.1:${node.restPort}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { authorization: basic },
    deadlineMs: DEADLINE_MS,
    trust: node.trust,
  });
}

const reload = (node: Node): boolean => node.daemon?.signal('SIGHUP') ?? false;

/** Serial number of the certificate that the REST API shows. */
function shownBy(node: Node): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: node.restPort, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', reject);
    socket.on('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
  });
}

describe('a life', () => {
  test('members are known by https, and nobody gets in without a certificate', async () => {
    const members = await cluster.etcd.list(key('members/'));
    expect(members).toHaveLength(3);
    for (const { value } of members) expect(value).toContain('"api_url":"https://127.0.0.1:');
    const [node] = cluster.nodes as [Node, Node, Node];
    const trust = { authority: pki.authority.file };
    const url = `https://127.0.0.1:${node.restPort}/primary`;
    await expect(ask(url, { trust })).rejects.toThrow();
    const { headers } = await ask(url, { trust: { ...trust, client: pki.lab } });
    expect(headers['strict-transport-security']).toBe('max-age=60');
    const walsenders = await (await cluster.waitForPrimary()).query(
      `SELECT DISTINCT ssl, issuer_dn FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)`,
    );
    expect(walsenders).toEqual([{ ssl: true, issuer_dn: '/CN=ca' }]);
  });

  test('switchover', async () => {
    const before = await cluster.waitForPrimary();
    const [candidate] = cluster.others(before.name) as [Node, Node];
    const answer = await operate(before, '/switchover', {
      leader: before.name,
      candidate: candidate.name,
    });
    expect(answer).toMatchObject({
      status: 200,
      text: `Successfully switched over to "${candidate.name}"`,
    });
    await cluster.healthy(DEADLINE_MS);
  });

  test('failover, and the old primary comes back', async () => {
    const before = await cluster.waitForPrimary();
    await before.killEverything();
    const after = await cluster.waitForPrimary({ not: before.name, deadlineMs: DEADLINE_MS });
    await after.query('CREATE TABLE after_failover ()');
    await before.start();
    await cluster.healthy(DEADLINE_MS);
  });
});

test('PostgreSQL’s log has no complaint about handshakes that never come', () => {
  // Before the tests in which certificates are turned away.
  const noise = /could not accept SSL connection/;
  for (const node of cluster.nodes) {
    expect(saidBy(node)).not.toMatch(noise);
    expect(saidBy(node)).not.toContain('members that are configured like this one cannot ask it');
  }
});

describe('certificates while it runs', () => {
  test('a new one is taken at SIGHUP; a bad one leaves the old one, and says so', async () => {
    const { name } = await cluster.waitForPrimary();
    const node = cluster.node(name);
    const postmaster = node.postmaster();
    const before = await shownBy(node);
    const { certfile, keyfile } = pki.authority.issue(name);
    const taken = logMark(node);
    reload(node);
    await logged(node, taken, /the REST API uses the new certificates from now on/);
    const after = await shownBy(node);
    expect(after).not.toBe(before);

    const good = readFileSync(keyfile);
    writeFileSync(keyfile, readFileSync(pki.authority.issue('other').keyfile));
    const refused = logMark(node);
    reload(node);
    const line = await logged(node, refused, /the configuration stays as it was/);
    expect(line).toContain('restapi.keyfile:');
    await logged(node, refused, new RegExp(`the key in ${keyfile} is not that of .* ${certfile}`));
    expect(await shownBy(node)).toBe(after);
    expect((await node.rest('/primary')).status).toBe(200);
    writeFileSync(keyfile, good);
    expect(node.postmaster()).toEqual(postmaster);
  });

  /** Reloads a node with changes, looks at what comes of it, and takes them back. */
  async function having(
    node: Node,
    changes: Parameters<Node['configure']>[0],
    look: (mark: { since(): string }) => Promise<void>,
  ): Promise<void> {
    const before = structuredClone(node.config);
    const mark = logMark(node);
    node.configure(changes);
    reload(node);
    await look(mark).catch((error: unknown) => {
      // The tests that follow begin with what was there.
      node.configure(before);
      reload(node);
      throw error;
    });
    const back = logMark(node);
    node.configure(before);
    reload(node);
    await logged(node, back, /the local configuration has been read again/);
    await cluster.healthy(DEADLINE_MS);
  }

  test('wrong ones in each direction: one clear error each, and the databases go on', async () => {
    const primary = await cluster.waitForPrimary();
    const [replica] = cluster.others(primary.name) as [Node, Node];
    const postmasters = cluster.nodes.map((node) => node.postmaster());
    const foreign = pki.strangers.issue('foreign');
    const { file } = pki.strangers;
    const switchover = () =>
      operate(primary, '/switchover', { leader: primary.name, candidate: replica.name });
    // After etcd was silent the members' keys may be away for a moment.
    const reason = (): Promise<string> =>
      waitFor('a refusal with its reason', DEADLINE_MS, async (seen) => {
        const { status, headers, text } = await switchover();
        seen(`${status} ${text}`);
        const { 'tenure-why': why } = headers;
        return status === 412 && typeof why === 'string' ? why : undefined;
      });

    // The certificate of a member's REST API is not known to the one who asks.
    await having(replica, { restapi: foreign }, async (mark) => {
      await logged(replica, mark, /the REST API uses the new certificates/);
      await logged(
        replica,
        mark,
        /WARNING: members that are configured like this one cannot ask it/,
      );
      expect(await reason()).toContain(
        `its certificate is not signed by an authority of ctl.cacert (${pki.authority.file})`,
      );
    });

    // The certificate of the one who asks is not known to the member.
    await having(primary, { ctl: { ...foreign, keyfile_password: undefined } }, async (mark) => {
      await logged(primary, mark, /the local configuration has been read again/);
      const heard = logMark(replica);
      expect(await reason()).toContain(`ctl.certfile (${foreign.certfile})`);
      await logged(replica, heard, /REST: a connection was refused: its client certificate/);
    });

    // etcd's certificate is not known: what works stays in use.
    await having(primary, { etcd3: { cacert: file } }, async (mark) => {
      const line = await logged(primary, mark, /etcd3: the former certificates and password stay/);
      expect(line).toContain(`not signed by an authority of etcd3.cacert (${file})`);
      expect((await primary.rest('/primary')).status).toBe(200);
    });

    // PostgreSQL's certificate is not known to its own daemon, and to a standby.
    const trusting = { sslrootcert: file };
    await having(
      primary,
      { postgresql: { authentication: { superuser: trusting } } },
      async (mark) => {
        const line = await logged(primary, mark, /superuser: the former certificates and password/);
        expect(line).toContain(`not signed by an authority of sslrootcert (${file})`);
        expect((await primary.rest('/primary')).status).toBe(200);
      },
    );
    await having(
      replica,
      { postgresql: { authentication: { replication: trusting } } },
      async (mark) => {
        await logged(replica, mark, /certificate verify failed/);
        expect((await replica.rest('/health')).status).toBe(200);
        await replica.query('SELECT 1');
      },
    );
    expect(cluster.nodes.map((node) => node.postmaster())).toEqual(postmasters);
  });
});

test('failsafe mode: members agree over https while etcd is silent', async () => {
  const primary = await cluster.waitForPrimary();
  const patch = await ask(`https://127.0.0.1:${primary.restPort}/config`, {
    method: 'PATCH',
    body: '{"failsafe_mode":true}',
    headers: { authorization: basic },
    trust: primary.trust,
  });
  expect(patch.status).toBe(200);
  await waitFor('the list of members', DEADLINE_MS, async () => {
    const list = (await cluster.etcd.get(key('failsafe')))?.value ?? '';
    return cluster.nodes.every(({ name }) => list.includes(`"${name}":"https://`));
  });
  const mark = logMark(primary);
  cluster.etcd.member(0).pause();
  await logged(primary, mark, /all members have agreed that this node goes on/, DEADLINE_MS);
  cluster.etcd.member(0).resume();
  await cluster.etcd.ready();
  // Its lease may have ended meanwhile: then somebody leads anew.
  await cluster.healthy(DEADLINE_MS);
});

test('a core file of the daemon has no memory in it, one of PostgreSQL what it always has', () => {
  const filter = (pid: number | string) => readFileSync(`/proc/${pid}/coredump_filter`, 'utf8');
  for (const node of cluster.nodes) {
    expect(filter(node.daemon?.pid ?? 0)).toMatch(/^0+$/m);
    expect(filter(node.postmaster()?.pid ?? 0)).toBe(filter('self'));
  }
});

describe('no secret', () => {
  const secrets = Object.values(SECRETS);
  const leaks = (text: string): string[] => secrets.filter((secret) => text.includes(secret));

  test('is in a log, in what processes are started with, in etcd, or in an answer', async () => {
    expect(processes.size).toBeGreaterThan(10);
    for (const seen of processes) expect(leaks(seen), seen.replaceAll('\0', ' ')).toEqual([]);
    for (const node of cluster.nodes) {
      expect(leaks(saidBy(node)), node.log).toEqual([]);
      for (const path of [
        '/patroni',
        '/cluster',
        '/config',
        '/history',
        '/failsafe',
        '/nonsense',
      ]) {
        expect(leaks((await node.rest(path)).text), path).toEqual([]);
      }
      const wrong = await ask(`https://127.0.0.1:${node.restPort}/reload`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from('operator:wrong').toString('base64')}` },
        trust: node.trust,
      });
      expect([wrong.status, wrong.text]).toEqual([401, 'not authenticated']);
    }
    const dump = await cluster.etcd.list('/');
    expect(leaks(JSON.stringify(dump))).toEqual([]);
  });

  test('is in a file that others may read, whatever the umask', () => {
    const found: string[] = [];
    for (const node of cluster.nodes) {
      for (const name of readdirSync(node.folder, { recursive: true, encoding: 'utf8' })) {
        const path = join(node.folder, name);
        const { mode } = statSync(path, { throwIfNoEntry: false }) ?? { mode: 0 };
        const ours = !name.startsWith('data/') || /\.conf|patroni\.dynamic/.test(name);
        const log = name === 'daemon.log' || name === 'data';
        if (ours && !log && (mode & 0o077) !== 0) found.push(`${name} ${mode.toString(8)}`);
      }
    }
    expect(found).toEqual([]);
  });
});
