/** A daemon that runs: SIGHUP with good and bad files, and what its log may never hold. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Cluster, Lab, type Node, waitFor } from '../../scripts/lab/index.ts';
import { logged, logMark, pair, saidBy, tellOnFailure } from './watching.ts';

/** With all that has to be escaped somewhere; the words in them appear nowhere else. */
const PASSWORDS = {
  superuser: `Ze'bra"41\\`,
  replication: "Quagga 42' $x",
  rewind: 'Okapi43%s\\n',
  rest: 'Gnu44&<>',
} as const;
const WORDS = /bra"+41|bra\\+"41|Quagga|Okapi43|Gnu44/;

const HBA = ['local all all scram-sha-256', 'host all,replication all 127.0.0.1/32 scram-sha-256'];

let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  const user = (username: string, password: string) => ({ username, password });
  cluster = await Cluster.start(lab, {
    nodes: 2,
    haproxy: false,
    config: {
      log: { level: 'DEBUG' },
      favourite_colour: 'blue',
      restapi: { authentication: user('admin', PASSWORDS.rest) },
      bootstrap: { pg_hba: HBA },
      postgresql: {
        authentication: {
          superuser: user('postgres', PASSWORDS.superuser),
          replication: user('replicator', PASSWORDS.replication),
          rewind: user('rewind_user', PASSWORDS.rewind),
        },
        parameters: { log_statement: 'all', log_min_duration_statement: 0, log_connections: 'on' },
        pg_hba: HBA,
      },
    },
  });
});
afterAll(() => lab.close());
beforeEach(() => tellOnFailure(cluster.nodes));

async function setting(node: Node, name: string): Promise<string> {
  const client = await node.connect({ password: PASSWORDS.superuser });
  try {
    const { rows } = await client.query<{ value: string }>('SELECT current_setting($1) AS value', [
      name,
    ]);
    return rows[0]?.value ?? '';
  } finally {
    await client.end();
  }
}

describe('secrets', () => {
  test('a cluster that needs its passwords bootstraps, clones and streams; no log shows one', async () => {
    const { primary } = await pair(cluster);
    await expect(primary.connect({ password: 'wrong' }), 'passwords are checked').rejects.toThrow();
    for (const node of cluster.nodes) {
      const said = saidBy(node);
      expect(said, 'the log is at its most talkative').toMatch(/ DEBUG: /);
      const leaks = said.split('\n').filter((line) => WORDS.test(line));
      expect(leaks).toEqual([]);
    }
    expect(saidBy(primary), "PostgreSQL's own lines are in it").toMatch(/LOG: {2}/);
  });

  test('nor does the store, the REST interface, a command line, or a file that others may read', async () => {
    for (const { key, value } of await cluster.etcd.list('/')) {
      expect(WORDS.test(value), key).toBe(false);
    }
    for (const node of cluster.nodes) {
      for (const path of ['/patroni', '/cluster', '/config', '/history']) {
        expect((await node.rest(path)).text).not.toMatch(WORDS);
      }
      for (const { pid } of [...node.postgresProcesses(), ...(node.daemon ? [node.daemon] : [])]) {
        expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toMatch(WORDS);
      }
      expect(readable(node.folder).filter((path) => holdsSecret(path))).toEqual([]);
    }
  });
});

/** Files below that their group or others may read. */
function readable(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat?.isFile() === true && (stat.mode & 0o044) !== 0;
    });
}

function holdsSecret(path: string): boolean {
  return WORDS.test(readFileSync(path, 'latin1'));
}

test('an unknown key is named, and the daemon runs all the same', () => {
  for (const node of cluster.nodes) {
    expect(saidBy(node)).toMatch(/WARNING: .*favourite_colour/);
  }
});

/** Idle, so that no new position makes the daemon write anyway. */
test('a member’s own key is written again, with its lease', async () => {
  for (const node of cluster.nodes) {
    const key = `/service/${cluster.scope}/members/${node.name}`;
    const before = await cluster.etcd.get(key);
    await cluster.etcd.put(key, 'rubbish');
    await waitFor(`${key} to be right again`, 10_000, async (seen) => {
      const now = await cluster.etcd.get(key);
      seen(now?.value ?? 'nothing');
      return now?.lease === before?.lease && now?.value.startsWith('{"conn_url":"postgres://');
    });
  }
});

describe('SIGHUP', () => {
  test('with a broken or a wrong file: one message, and the old configuration stays', async () => {
    const { primary } = await pair(cluster);
    const postmaster = primary.postmaster();
    const before = await setting(primary, 'work_mem');
    const good = readFileSync(primary.configFile, 'utf8');
    const bad = {
      'broken YAML': good.replace('etcd3:', 'etcd3: [unclosed'),
      'a wrong type': good.replace('\npostgresql:', '\npostgresql:\n  use_unix_socket: perhaps'),
      'nothing at all': '',
    };
    for (const [what, text] of Object.entries(bad)) {
      writeFileSync(primary.configFile, text);
      const mark = logMark(primary);
      primary.daemon?.signal('SIGHUP');
      const line = await logged(primary, mark, /ERROR: the configuration stays as it was: /);
      expect(line, what).toContain(primary.configFile);
      expect(mark.since(), what).not.toMatch(WORDS);
    }
    writeFileSync(primary.configFile, good);
    expect(await setting(primary, 'work_mem')).toBe(before);
    expect(primary.postmaster()).toEqual(postmaster);
    expect((await primary.rest('/primary')).status).toBe(200);
  });

  test.each(['primary', 'replica'] as const)(
    'with a good one: effective on the running %s',
    async (role) => {
      const node = (await pair(cluster))[role];
      const postmaster = node.postmaster();
      const leader = await cluster.etcd.get(`/service/${cluster.scope}/leader`);
      node.configure({ postgresql: { parameters: { work_mem: '7MB' } } });
      const mark = logMark(node);
      node.daemon?.signal('SIGHUP');
      await waitFor(`work_mem of ${node.name}`, 10_000, async (seen) => {
        const value = await setting(node, 'work_mem');
        seen(value);
        return value === '7MB';
      });
      await logged(node, mark, /INFO: the local configuration has been read again/);
      expect(node.postmaster()).toEqual(postmaster);
      expect(await cluster.etcd.get(`/service/${cluster.scope}/leader`)).toEqual(leader);
    },
  );
});

describe('a start', () => {
  test('with a broken file: the last good one stands in, and the primary goes on', async () => {
    const { primary } = await pair(cluster);
    const postmaster = primary.postmaster();
    const good = readFileSync(primary.configFile, 'utf8');
    await primary.kill();
    writeFileSync(
      primary.configFile,
      good.replace('\npostgresql:', '\npostgresql:\n  use_unix_socket: perhaps'),
    );
    const mark = logMark(primary);
    await primary.start();
    const line = await logged(
      primary,
      mark,
      /ERROR: the configuration cannot be used, and the last/,
    );
    expect(line).toContain(primary.configFile);
    await logged(primary, mark, /use_unix_socket: found "perhaps", allowed: on, off/);
    await waitFor('leadership is proven again', 20_000, async () => {
      const answer = await primary.rest('/primary').catch(() => null);
      return answer?.status === 200;
    });
    expect(primary.postmaster()).toEqual(postmaster);
    expect(mark.since()).not.toMatch(WORDS);
    writeFileSync(primary.configFile, good);
    primary.daemon?.signal('SIGHUP');
    await logged(primary, mark, /INFO: the local configuration has been read again/);
  });
});
