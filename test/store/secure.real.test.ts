/** An etcd that asks for certificates and passwords, and forgets logins (C-2.7, libraries 3.1): with real etcd. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authority, Etcd, Lab, waitFor } from '../../scripts/lab/index.ts';
import { RealClock } from '../../src/clock.ts';
import { ClusterStore } from '../../src/store/cluster.ts';
import type { Tls } from '../../src/store/endpoint.ts';
import { EtcdKeyValueStore } from '../../src/store/etcd.ts';
import { leadershipOf } from './scene.ts';

/** Of a login; a real one lives for five minutes. */
const TOKEN_MS = 1_000;
const clock = new RealClock();
const opened: { close(): void }[] = [];
let lab: Lab;
let etcd: Etcd;
let authority: Authority;
let strangers: Authority;
let good: Tls;

const materialOf = (from: Authority, name: string) => {
  const { certfile, keyfile } = from.issue(name);
  return { cert: readFileSync(certfile), key: readFileSync(keyfile) };
};

beforeAll(async () => {
  lab = Lab.open();
  const folder = lab.path('certificates');
  authority = new Authority(join(folder, 'ours'));
  strangers = new Authority(join(folder, 'theirs'));
  const [secret, open] = [join(folder, 'jwt.key'), join(folder, 'jwt.pub')];
  execFileSync('openssl', ['genrsa', '-out', secret, '2048'], { stdio: 'pipe' });
  execFileSync('openssl', ['rsa', '-in', secret, '-pubout', '-out', open], { stdio: 'pipe' });
  etcd = await Etcd.start(lab, 1, {
    security: {
      authority: authority.file,
      server: authority.issue('server'),
      client: authority.issue('lab'),
    },
    arguments: [
      `--auth-token=jwt,pub-key=${open},priv-key=${secret},sign-method=RS256,ttl=${TOKEN_MS}ms`,
    ],
  });
  await etcd.demandUsers('etcd secret');
  good = {
    ca: readFileSync(authority.file),
    ...materialOf(authority, 'n1'),
    names: { authority: 'etcd3.cacert (/ca.pem)', own: 'etcd3.cert (/own.pem)' },
  };
});
afterAll(async () => {
  for (const one of opened) one.close();
  await lab.close();
});

function connect(
  tls: Tls,
  login = { username: 'root', password: 'etcd secret' },
  retryTimeoutMs = 3_000,
) {
  const client = new EtcdKeyValueStore({ urls: etcd.urls, tls, ...login }, clock);
  opened.push(client);
  const options = { namespace: 'service', scope: 'demo', clock, retryTimeoutMs };
  return { client, store: new ClusterStore(client, options) };
}

test('logins run out: reads, writes, renewals and the watch go on', async () => {
  const { client, store } = connect(good);
  const seen: string[] = [];
  const watch = client.watch(
    '/service/',
    (changes) => seen.push(...changes.map(({ key }) => key)),
    () => undefined,
  );
  opened.push({ close: () => watch.stop() });
  const { leaseId } = await store.grantLease(10);
  const leadership = leadershipOf(await store.campaign('n1', leaseId, 1, 0));
  const until = clock.now() + 4 * TOKEN_MS;
  let renewals = 0;
  while (clock.now() < until) {
    expect((await store.renew('n1', leadership)).proven, `renewal ${renewals}`).toBe(true);
    expect((await store.read()).leader?.name).toBe('n1');
    const status = { optime: renewals, slots: {}, retainSlots: [] };
    expect(await store.writeStatus(leadership, status)).toBe(true);
    renewals += 1;
    await clock.wait(100);
  }
  expect(renewals).toBeGreaterThan(4);
  // What changes from outside, when every login of this client is over, is seen.
  await etcd.put('/service/demo/failover', '{"leader":"n1"}');
  await waitFor('a hint of the watch', 10_000, () => seen.includes('/service/demo/failover'));
});

describe('what does not fit', () => {
  const why = async (tls: Tls, login?: { username: string; password: string }): Promise<string> =>
    await connect(tls, login, 1_000)
      .store.read()
      .then(
        () => '',
        (error: Error) => error.message,
      );

  test('the certificate of etcd: of an unknown authority', async () => {
    const ca = readFileSync(strangers.file);
    expect(await why({ ...good, ca })).toContain(
      `${etcd.urls[0]}/version: its certificate is not signed by an authority of etcd3.cacert (/ca.pem): `,
    );
  });

  test('our own: none, or of an unknown authority', async () => {
    const { cert: _cert, key: _key, ...none } = good;
    const refused = /it does not accept etcd3\.cert \(\/own\.pem\) as a client certificate: alert/;
    expect(await why(none)).toMatch(refused);
    expect(await why({ ...good, ...materialOf(strangers, 'n1') })).toMatch(refused);
  });

  test('a wrong password is said at once, and shown nowhere', async () => {
    const said = await why(good, { username: 'root', password: 'tell-nobody' });
    expect(said).toContain('authentication failed, invalid user ID or password');
    expect(said).not.toContain('tell-nobody');
  });
});

test('other certificates and another password are taken while calls are under way', async () => {
  const { client, store } = connect({ ...good, ca: readFileSync(strangers.file) });
  await expect(store.read()).rejects.toThrow(/etcd3\.cacert/);
  const login = { username: 'root', password: 'etcd secret' };
  await client.renew({ urls: etcd.urls, tls: good, ...login });
  await store.read();
  let going = true;
  const reading = (async () => {
    while (going) await store.read();
  })();
  for (let time = 0; time < 5; time += 1) {
    await client.renew({
      urls: etcd.urls,
      tls: { ...good, ...materialOf(authority, 'n1') },
      ...login,
    });
    await store.read();
  }
  going = false;
  await reading;

  // What etcd turns away does not take the place of what works.
  const wrong = [
    [
      { tls: { ...good, ca: readFileSync(strangers.file) }, ...login },
      /etcd3\.cacert \(\/ca\.pem\)/,
    ],
    [{ tls: { ...good, ...materialOf(strangers, 'n1') }, ...login }, /etcd3\.cert \(\/own\.pem\)/],
    [{ tls: good, username: 'root', password: 'wrong' }, /authentication failed/],
  ] as const;
  for (const [options, reason] of wrong) {
    await expect(client.renew({ urls: etcd.urls, ...options })).rejects.toThrow(reason);
    await store.read();
  }
});
