/**
 * No key of the schema is there for nothing. Each one is read by a part of the daemon, or marked:
 * not supported yet, refused, without effect. And what the parts are told is used by them.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { Authority } from '../../scripts/lab/certificates.ts';
import {
  type Config,
  effectiveSettings,
  loadConfig,
  postgresOptions,
  readTls,
  restAccess,
  restOptions,
  secretsOf,
} from '../../src/config/index.ts';
import { jsonSchema } from '../../src/config/inspect.ts';
import { remarks } from '../../src/config/rules.ts';
import { dynamicSchema } from '../../src/config/schema-dynamic.ts';
import { Daemon } from '../../src/daemon.ts';
import { logOptions } from '../../src/log.ts';
import { MINIMAL } from './files.ts';
import { goodValue, isActedOn, keysOf, treeOf } from './samples.ts';

const SOURCES = join(import.meta.dirname, '../../src');

/** Handed on whole; what is in them is looked at by name where it is used. */
const WHOLE: readonly string[] = [
  'postgresql.callbacks',
  'postgresql.bin_name',
  'restapi.authentication',
  'ctl.authentication',
];

/**
 * Notes each path that is read by its name. A copy of a whole section (spread, Object.entries) asks
 * for the description of each property first: that is no reader.
 */
function watched<T extends object>(root: T, read: Set<string>): T {
  const watch = (value: object, at: string): object => {
    let copying: PropertyKey | null = null;
    return new Proxy(value, {
      getOwnPropertyDescriptor: (target, key) => {
        copying = key;
        return Reflect.getOwnPropertyDescriptor(target, key);
      },
      get: (target, key) => {
        const found: unknown = Reflect.get(target, key);
        if (typeof key === 'symbol') return found;
        const path = at === '' ? key : `${at}.${key}`;
        if (copying !== key) read.add(path);
        copying = null;
        const map = typeof found === 'object' && found !== null && !Array.isArray(found);
        return map && !Buffer.isBuffer(found) ? watch(found, path) : found;
      },
    });
  };
  return watch(root, '') as T;
}

const configOf = (yaml: string): Config =>
  loadConfig(undefined, { PATRONI_CONFIGURATION: yaml }).config;

const folder = mkdtempSync(join(tmpdir(), 'tenure-readers-'));
afterAll(() => rmSync(folder, { recursive: true }));
const authority = new Authority(folder);
const { certfile, keyfile } = authority.issue('own', { password: 'geheim' });
const { certfile: cert, keyfile: key } = authority.issue('etcd');
const own = { certfile, keyfile, keyfile_password: 'geheim' };

/** A configuration with every section, so that a reader gets as far as its keys. */
function complete(): Config {
  const tree = parse(MINIMAL) as Record<string, Record<string, object>>;
  const credentials = { username: 'a', password: 'b' };
  return configOf(
    stringify({
      ...tree,
      postgresql: {
        ...tree.postgresql,
        authentication: { ...tree.postgresql?.authentication, rewind: { username: 'r' } },
      },
      restapi: {
        ...tree.restapi,
        ...own,
        authentication: credentials,
        cafile: authority.file,
        verify_client: 'optional',
        ciphers: 'HIGH',
      },
      ctl: { ...own, cacert: authority.file, authentication: credentials },
      etcd3: {
        ...tree.etcd3,
        ...credentials,
        protocol: 'https',
        cacert: authority.file,
        cert,
        key,
      },
      bootstrap: {},
      log: { dir: '/srv/log' },
      tags: {},
      watchdog: { mode: 'off' },
      tenure: { state_dir: '/srv/state' },
    }),
  );
}

/** Everything that looks at the local configuration when the daemon starts and when it reloads. */
function start(config: Config): void {
  postgresOptions(config);
  restOptions(config);
  restAccess(config);
  readTls(config);
  secretsOf(config);
  logOptions(config.log);
  effectiveSettings(config, {}, { allMembersRunTenure: true });
  remarks(config);
  new Daemon(config, () => undefined);
}

describe('the local configuration', () => {
  const read = new Set<string>();
  start(watched(complete(), read));
  // What two keys decide together is read with other values of the first.
  const url = MINIMAL.replace('hosts: 127.0.0.1:2379', 'url: http://127.0.0.1:2379');
  readTls(watched(configOf(url), read));
  readTls(watched(configOf(MINIMAL.replace('hosts:', 'host:')), read));

  const keys = keysOf().filter(
    (key) =>
      isActedOn(key) &&
      // Becomes /config as it is written; its keys are looked at below.
      !key.path.startsWith('bootstrap.dcs.') &&
      !WHOLE.some((path) => key.path.startsWith(`${path}.`)),
  );

  it('has no key that nobody reads', () => {
    const unread = keys.map(({ path }) => path).filter((path) => !read.has(path));
    expect(unread).toEqual([]);
  });

  it('is read whole only where that is known', () => {
    expect(WHOLE.filter((path) => !read.has(path))).toEqual([]);
  });
});

describe('the dynamic configuration', () => {
  const config = configOf(MINIMAL);
  const told = (dynamic: Readonly<Record<string, unknown>>): string => {
    const effective = effectiveSettings(config, dynamic, { allMembersRunTenure: true });
    return stringify(effective, { aliasDuplicateObjects: false });
  };
  const nothing = told({});
  /** Where the value that is allowed is the default: another one. */
  const OTHER: Readonly<Record<string, unknown>> = {
    'postgresql.use_slots': false,
    'postgresql.create_replica_methods': ['copy', 'basebackup'],
    standby_cluster: { host: 'elsewhere' },
    ignore_slots: [{ name: 'other' }],
  };

  const keys = keysOf(jsonSchema(dynamicSchema)).filter(isActedOn);
  it.each(keys.map((key) => [key.path, key] as const))('%s changes something', (path, key) => {
    expect(told(treeOf([[path, OTHER[path] ?? goodValue(key)]]))).not.toBe(nothing);
  });
});

describe('what the parts are told', () => {
  const texts = readdirSync(SOURCES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: path.slice(SOURCES.length + 1), text: readFileSync(path, 'utf8') }));

  /** Names of the fields of an interface, from its source. */
  function fields(path: string, name: string): string[] {
    const text = texts.find((one) => one.path === path)?.text ?? '';
    const body = new RegExp(`interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`).exec(text)?.[1] ?? '';
    return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1] as string);
  }

  it.each([
    ['core/settings.ts', 'Settings'],
    ['core/settings.ts', 'Tags'],
    ['core/settings.ts', 'SlotMatcher'],
    ['postgres/postgres.ts', 'ServerSettings'],
    ['postgres/postgres.ts', 'RoleSettings'],
    ['postgres/postgres.ts', 'MakingSettings'],
    ['postgres/options.ts', 'LocalPostgresOptions'],
    ['postgres/options.ts', 'OwnMethod'],
    ['postgres/options.ts', 'BootstrapMethod'],
    ['postgres/scripts.ts', 'ScriptCommands'],
    ['log.ts', 'LogOptions'],
    ['log/rotating.ts', 'LogFile'],
  ])('%s %s is used by somebody, every field of it', (path, name) => {
    const wanted = fields(path, name);
    expect(wanted.length).toBeGreaterThan(1);
    const elsewhere = texts
      .filter((one) => !one.path.startsWith('config/'))
      // Declarations are no readers.
      .map(({ text }) =>
        text.replace(/^\s*readonly \w+\??:.*$/gm, '').replace(/^\s*(?:\/?\*|\/\/).*$/gm, ''),
      )
      .join('\n');
    const unread = wanted.filter(
      (field) =>
        !new RegExp(`\\.${field}\\b|[{,]\\s*${field}\\s*[,:}=][^;]*\\}?\\s*(?:=|:|\\))`).test(
          elsewhere,
        ),
    );
    expect(unread).toEqual([]);
  });
});
