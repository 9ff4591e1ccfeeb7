/** A configuration that cannot be used: every fault in one message, exit code 1, nothing touched. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Authority, Lab, Node, processesIn, waitFor } from '../../scripts/lab/index.ts';
import { expectRefusal, fingerprint, logged, logMark } from './watching.ts';

let lab: Lab;
let node: Node;
let good: string;
let before: readonly string[];

beforeAll(async () => {
  lab = Lab.open();
  const etcdHosts = `127.0.0.1:${await lab.port()}`;
  node = await Node.create(lab, { scope: 'demo', name: 'n1', etcdHosts });
  good = readFileSync(node.configFile, 'utf8');
  mkdirSync(node.dataDir, { mode: 0o700 });
  writeFileSync(join(node.dataDir, 'holiday.jpg'), 'not a database');
  before = fingerprint(node.dataDir);
});
afterAll(() => lab.close());

/** The daemon refuses, and neither the data directory nor its surroundings have changed. */
async function refusesWith(names: readonly (string | RegExp)[]): Promise<string> {
  const { said } = await expectRefusal(node, names);
  expect(fingerprint(node.dataDir)).toEqual(before);
  expect(existsSync(`${node.dataDir}.tenure`), 'a state folder was made').toBe(false);
  expect(processesIn(node.folder)).toEqual([]);
  return said;
}

test('broken YAML: file, line and column', async () => {
  const broken = good.replace('etcd3:', 'etcd3: [unclosed');
  writeFileSync(node.configFile, broken);
  const line = broken.split('\n').findIndex((text) => text.includes('unclosed')) + 1;
  const said = await refusesWith([node.configFile, /line \d+, column \d+/]);
  const named = Number(/line (\d+)/.exec(said)?.[1]);
  expect(Math.abs(named - line), 'the line named is where the list begins or ends').toBeLessThan(3);
  expect(said, 'the file is not quoted: it holds passwords').not.toContain('secret');
});

test('wrong types, missing required keys and refused values: all at once', async () => {
  writeFileSync(node.configFile, good);
  const { config } = node;
  node.configure({
    name: undefined,
    restapi: { listen: '127.0.0.1:many' },
    bootstrap: {
      dcs: { ttl: 'soon', synchronous_mode: 'perhaps', standby_cluster: { host: 'elsewhere' } },
    },
    postgresql: { data_dir: undefined, use_unix_socket: 'perhaps', parameters: ['a list'] },
  });
  const said = await refusesWith([
    /name: found nothing, allowed: /,
    /restapi\.listen: found "127\.0\.0\.1:many", allowed: /,
    /bootstrap\.dcs\.ttl: found "soon", allowed: /,
    /bootstrap\.dcs\.synchronous_mode: found "perhaps", allowed: off, on, quorum/,
    /bootstrap\.dcs\.standby_cluster: found .*, allowed: not set/,
    /postgresql\.data_dir: found nothing, allowed: a folder/,
    /postgresql\.use_unix_socket: found "perhaps", allowed: /,
    /postgresql\.parameters: found a list, allowed: /,
  ]);
  expect(said).not.toContain('secret');
  node.config = config;
});

test('certificates that cannot be used', async () => {
  const authority = new Authority(lab.path('certificates'));
  const [one, other] = [authority.issue('one'), authority.issue('other')];
  const { config } = node;
  node.configure({ restapi: { certfile: one.certfile, keyfile: other.keyfile } });
  await refusesWith([
    'restapi.keyfile:',
    `the key in ${other.keyfile} is not that of the certificate in ${one.certfile}`,
  ]);
  node.config = config;
  const replication = { sslmode: 'verify-full', sslrootcert: join(node.folder, 'gone.pem') };
  node.configure({ postgresql: { authentication: { replication } } });
  await refusesWith(['postgresql.authentication.replication.sslrootcert: ', 'gone.pem']);
  node.config = config;
  node.configure({});
});

test('no such file', async () => {
  rmSync(node.configFile);
  await refusesWith([node.configFile, 'no such file']);
});

test('an unknown key: a warning that names it, and the daemon runs', async () => {
  rmSync(join(node.dataDir, 'holiday.jpg'));
  node.configure({ postgresql: { pg_hbaa: ['typo'] }, favourite_colour: 'blue' });
  const mark = logMark(node);
  await node.start();
  await logged(node, mark, /WARNING: .*favourite_colour/);
  await logged(node, mark, /WARNING: .*postgresql\.pg_hbaa/);
  const alive = await waitFor('an answer of the daemon', 10_000, async () =>
    node.rest('/liveness'),
  );
  expect(alive.status).toBe(200);
  await node.kill();
});
