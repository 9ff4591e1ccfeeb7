import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import {
  formatConninfo,
  parseConninfo,
  pgpassEntry,
  primaryConninfo,
  toolConninfo,
  toolLogin,
  writePgpass,
} from '../../src/postgres/conninfo.ts';
import { localAddress, parseListen } from '../../src/postgres/options.ts';
import { slotName } from '../../src/postgres/slots.ts';

const folder = mkdtempSync(join(tmpdir(), 'tenure-conninfo.'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const UPSTREAM = { name: 'n1', host: '127.0.0.1', port: 5601 };
const USER = { username: 'replicator', password: 'secret' };

test('primary_conninfo is the fixture’s', () => {
  expect(primaryConninfo('n2', UPSTREAM, USER, '/srv/tenure/n2.pgpass', 15)).toBe(
    'dbname=postgres user=replicator passfile=/srv/tenure/n2.pgpass host=127.0.0.1 port=5601 sslmode=prefer application_name=n2 gssencmode=prefer channel_binding=prefer',
  );
});

test('primary_conninfo: version and user words', () => {
  const user = { username: 'r', sslmode: 'verify-full', sslrootcert: '/a b/ca' };
  expect(primaryConninfo('n2', UPSTREAM, user, '/p', 17)).toBe(
    "dbname=postgres user=r host=127.0.0.1 port=5601 sslmode=verify-full sslrootcert='/a b/ca' application_name=n2 gssencmode=prefer channel_binding=prefer sslnegotiation=postgres",
  );
});

test('tools get the recipe’s DSN', () => {
  expect(toolConninfo('postgres', { username: 'rep' }, { host: 'h', port: 1 })).toBe(
    'dbname=postgres user=rep host=h port=1',
  );
});

test('tools get no secret on their command line', async () => {
  const pgpass = join(folder, 'tool.pgpass');
  const user = {
    username: 'rep',
    password: 'one secret',
    sslmode: 'verify-full',
    sslcert: '/own.pem',
    sslpassword: ' another= secret',
    sslnegotiation: 'direct',
  };
  const login = await toolLogin(pgpass, 'postgres', user, { host: 'h', port: 1 });
  expect(login).toEqual({
    dsn: 'dbname=postgres user=rep host=h port=1 sslmode=verify-full sslcert=/own.pem sslnegotiation=direct service=tenure',
    env: { PGPASSFILE: pgpass, PGSERVICEFILE: `${pgpass}.service` },
  });
  expect(readFileSync(`${pgpass}.service`, 'utf8')).toBe(
    '[tenure]\nsslpassword= another= secret\n',
  );
  for (const file of [pgpass, `${pgpass}.service`]) expect(statSync(file).mode & 0o777).toBe(0o600);
  const lines = toolLogin(
    pgpass,
    'postgres',
    { ...user, sslpassword: 'a\nb' },
    { host: 'h', port: 1 },
  );
  await expect(lines).rejects.toThrow('sslpassword of rep ends with a blank or breaks a line');
});

test('any values come back from a connection string', () => {
  const value = fc.string({ unit: 'binary-ascii' }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(value, value, value, (user, host, name) => {
      const pairs = [
        ['user', user],
        ['host', host],
        ['application_name', name],
      ] as const;
      expect([...parseConninfo(formatConninfo(pairs))]).toEqual(pairs);
    }),
  );
});

/** As libpq reads the file: a backslash takes the next character as it is. */
function readPgpass(entry: string): string[] {
  const fields = [''];
  for (let at = 0; at < entry.length; at++) {
    const character = entry[at] as string;
    if (character === '\\' && at + 1 < entry.length)
      fields[fields.length - 1] += entry[++at] as string;
    else if (character === ':') fields.push('');
    else fields[fields.length - 1] += character;
  }
  return fields;
}

test('any user and password come back from the password file', () => {
  const value = fc.string({ unit: 'binary-ascii' });
  fc.assert(
    fc.property(value, value, fc.constantFrom('h', '::1', 'a.b'), (username, password, host) => {
      const entry = pgpassEntry(host, 5432, { username, password });
      expect(readPgpass(entry)).toEqual([host, '5432', '*', username, password]);
    }),
  );
});

test('the password file: one entry, no newline, 0600, rewritten for the next user', async () => {
  const path = join(folder, 'pgpass');
  writeFileSync(path, 'old', { mode: 0o644 });
  await writePgpass(path, '127.0.0.1', 5601, USER);
  expect(readFileSync(path, 'utf8')).toBe('127.0.0.1:5601:*:replicator:secret');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await writePgpass(path, '/run', 5601, { username: 'rewind:er', password: 'a\\b' });
  expect(readFileSync(path, 'utf8')).toBe('localhost:5601:*:rewind\\:er:a\\\\b');
  await expect(writePgpass(path, 'h', 1, { username: 'u', password: 'a\nb' })).rejects.toThrow(
    'line break',
  );
});

test.each([
  ['127.0.0.1:5432', ['127.0.0.1'], 5432, '127.0.0.1'],
  ['*:5433', ['*'], 5433, '127.0.0.1'],
  ['0.0.0.0:1', ['0.0.0.0'], 1, '127.0.0.1'],
  ['[::]:1', ['::'], 1, '::1'],
  ['10.0.0.1,127.0.0.1:5432', ['10.0.0.1', '127.0.0.1'], 5432, '10.0.0.1'],
  ['a,*:5432', ['a', '*'], 5432, '127.0.0.1'],
  ['[fe80::1]:5432', ['fe80::1'], 5432, 'fe80::1'],
  [':5432', [], 5432, null],
  ['db1', ['db1'], 5432, 'db1'],
])('listen %s', (text, addresses, port, local) => {
  const listen = parseListen(text);
  expect(listen).toEqual({ addresses, port });
  expect(localAddress(listen)).toBe(local);
});

test('listen without a usable port is refused', () => {
  expect(() => parseListen('h:0')).toThrow('host:port');
  expect(() => parseListen('h:x')).toThrow('host:port');
});

test.each([
  ['n1', 'n1'],
  ['PG-0.example', 'pg_0_example'],
  ['a b', 'au0032b'],
  ['ü', 'u0252'],
  ['x'.repeat(70), 'x'.repeat(63)],
])('slot of member %s is %s (C-2.8)', (member, slot) => {
  expect(slotName(member)).toBe(slot);
});
