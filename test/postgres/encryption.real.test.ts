/** TLS with PostgreSQL: our own sessions, clones, streaming and pg_rewind, with certificates of both sides. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authority, type Certificate } from '../../scripts/lab/certificates.ts';
import { Configuration } from '../../src/postgres/configuration.ts';
import { readUsers } from '../../src/postgres/local.ts';
import { withOwnSession } from '../../src/postgres/localsession.ts';
import {
  type Credentials,
  type LocalPostgresOptions,
  parseListen,
  placesOf,
} from '../../src/postgres/options.ts';
import { PostgresError } from '../../src/postgres/postgres.ts';
import { Tools } from '../../src/postgres/tools.ts';
import {
  caughtUp,
  clock,
  granted,
  Lab,
  type Node,
  never,
  noProgress,
  settings,
  streaming,
} from './lab.ts';

const KEY_PASSWORD = 'key secret';
const lab = new Lab();
const authority = new Authority(join(lab.folder, 'ours'));
const strangers = new Authority(join(lab.folder, 'theirs'));
const server = authority.issue('server');
/** PostgreSQL takes the user's name from it (`cert`). */
const replicator = authority.issue('replicator', { password: KEY_PASSWORD });
const admin = authority.issue('admin');

const shows = ({ certfile, keyfile }: Certificate) => ({ sslcert: certfile, sslkey: keyfile });
const USERS = {
  superuser: {
    username: 'postgres',
    password: 'super secret',
    sslmode: 'verify-full',
    sslrootcert: authority.file,
    ...shows(admin),
  },
  replication: {
    username: 'replicator',
    sslmode: 'verify-ca',
    sslrootcert: authority.file,
    sslpassword: KEY_PASSWORD,
    ...shows(replicator),
  },
  // As people have it who have said nothing: libpq then prefers TLS.
  rewind: { username: 'rewinder', password: 'rewind secret' },
} satisfies Partial<LocalPostgresOptions>;

const SECURE = settings({
  parameters: {
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: server.certfile,
    ssl_key_file: server.keyfile,
    ssl_ca_file: authority.file,
  },
  pgHba: [
    'hostssl all postgres,rewinder 127.0.0.1/32 scram-sha-256',
    'hostssl replication replicator 127.0.0.1/32 cert',
  ],
});

let a: Node;
let b: Node;

beforeAll(async () => {
  a = await lab.node('a', USERS);
  await a.postgres.configure(SECURE);
  await a.postgres.bootstrap(noProgress, never);
  b = await lab.node('b', USERS);
  await b.postgres.configure(SECURE);
  await b.postgres.clone(a.upstream, noProgress, never);
  await b.postgres.start('standby', a.upstream, 20_000, noProgress, never);
  await streaming(b);
});
afterAll(async () => await lab.close());

/** A query over the session that the agent itself would have. */
async function own(node: Node, sql: string, superuser: Credentials = node.options.superuser) {
  const options = { ...node.options, superuser };
  const places = placesOf(options);
  const listen = parseListen(options.listen);
  const tools = new Tools(options.binDir, options.binNames);
  const configuration = new Configuration(options, places, listen, tools);
  const parts = { options, places, listen, clock, configuration };
  return await withOwnSession(parts, '', async (session) => await session.query(sql, 5_000));
}

const OWN_TLS = `SELECT ssl::text, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;

describe('sessions of the daemon', () => {
  test('are encrypted, and show their certificate', async () => {
    expect(await own(a, OWN_TLS)).toEqual([{ ssl: 'true', client_dn: '/CN=admin' }]);
  });

  test.each([
    [{}, 'true'],
    [{ sslmode: 'allow' }, 'true'],
    [{ sslmode: 'prefer' }, 'true'],
    [{ sslmode: 'require', channel_binding: 'require' }, 'true'],
  ])('with %j find the way that the server leaves', async (words, ssl) => {
    const user = { username: 'postgres', password: 'super secret', ...words };
    expect(await own(a, OWN_TLS, user)).toMatchObject([{ ssl }]);
  });
});

describe('standbys', () => {
  test('stream over TLS with their own certificate, whose password nobody can read', async () => {
    const rows = await own(
      a,
      `SELECT usename, client_dn, ssl::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE backend_type = 'walsender'`,
    );
    expect(rows).toEqual([{ usename: 'replicator', client_dn: '/CN=replicator', ssl: 'true' }]);
    for (const file of [join(b.dataDir, 'postgresql.conf'), `${b.options.pgpassPath}.service`]) {
      expect((statSync(file).mode & 0o777).toString(8), file).toBe('600');
    }
    expect(b.said.join('\n')).not.toContain(KEY_PASSWORD);
  });

  test('that diverged are rewound over TLS', async () => {
    await caughtUp(b, a);
    await b.postgres.promote(2, 10_000, granted);
    await own(a, 'CREATE TABLE only_here ()');
    await own(b, 'CREATE TABLE there ()');
    await b.postgres.checkpoint(10_000);
    await a.postgres.stop('fast', { becomeStandby: true, timeoutMs: 20_000 });
    await a.postgres.rewind(b.upstream, noProgress);
    await a.postgres.start('standby', b.upstream, 20_000, noProgress, never);
    await streaming(a);
    await caughtUp(a, b);
    const tables = await own(
      a,
      `SELECT relname FROM pg_class WHERE relname IN ('only_here', 'there')`,
    );
    expect(tables).toEqual([{ relname: 'there' }]);
  });
});

describe('what does not fit', () => {
  /** What a member with this user says about the primary. */
  async function asking(words: Partial<Credentials>): Promise<string> {
    const node = await lab.node('stranger', {
      ...USERS,
      replication: { ...USERS.replication, ...words },
    });
    const asked = node.postgres.askUpstream(b.upstream, 3_000);
    return await asked.then(
      () => '',
      (error: Error) => error.message,
    );
  }

  test('the server’s certificate: of an unknown authority, of another name', async () => {
    expect(await asking({ sslrootcert: strangers.file })).toContain(
      `127.0.0.1:${b.port}: its certificate is not signed by an authority of sslrootcert (${strangers.file}): `,
    );
    expect(await asking({})).toBe('');
    const names = { names: ['db.example.org'] };
    const other = authority.issue('elsewhere', names);
    await b.postgres.configure({
      ...SECURE,
      parameters: {
        ...SECURE.parameters,
        ssl_cert_file: other.certfile,
        ssl_key_file: other.keyfile,
      },
    });
    await expect
      .poll(() => asking({ sslmode: 'verify-full' }))
      .toMatch(/IP: 127\.0\.0\.1 is not in/);
    expect(await asking({}), 'verify-ca asks for no name').toBe('');
    // The daemon of that server still reaches it: nobody is hurt by a wrong certificate.
    await b.postgres.configure(SECURE);
    expect(await asking({ sslmode: 'verify-full' })).toBe('');
  });

  test('our own certificate: of an unknown authority, of another user', async () => {
    const foreign = shows(strangers.issue('replicator'));
    expect(await asking({ ...foreign, sslpassword: '' })).toMatch(
      /it does not accept sslcert \(.*theirs\/replicator\.pem\) as a client certificate: alert unknown ca/,
    );
    expect(await asking(shows(admin))).toMatch(/certificate authentication failed/);
  });

  test('a file that cannot be used is said before anybody depends on it', () => {
    const fault = (words: Partial<Credentials>): string => {
      try {
        readUsers({ ...USERS, replication: { ...USERS.replication, ...words } });
      } catch (error) {
        expect(error).toBeInstanceOf(PostgresError);
        return (error as Error).message;
      }
      return '';
    };
    const section = 'postgresql.authentication.replication';
    expect(fault({})).toBe('');
    expect(fault({ sslrootcert: '/gone.pem' })).toBe(
      `${section}.sslrootcert: /gone.pem cannot be read: ENOENT: no such file or directory, open '/gone.pem'`,
    );
    expect(fault({ sslrootcert: '/gone.pem', sslmode: 'prefer' })).toBe('');
    expect(fault({ sslpassword: 'tell-nobody' })).toBe(
      `${section}.sslpassword: is not the password of the key in ${replicator.keyfile}`,
    );
    expect(fault({ sslkey: server.certfile })).toContain(`${section}.sslkey: `);
  });
});
