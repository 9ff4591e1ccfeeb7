/** Every variable of Patroni's (appendix F), in both spellings, and where it goes. */
import { describe, expect, it } from 'vitest';
import { configurationMarkdown } from '../../src/config/documentation.ts';
import { readEnvironment } from '../../src/config/environment.ts';
import { valueAt } from '../../src/config/errors.ts';
import { jsonSchema, type SchemaNode } from '../../src/config/inspect.ts';
import { localSchema } from '../../src/config/schema.ts';

const PLACES: Readonly<Record<string, string>> = {
  '': 'NAME NAMESPACE SCOPE THREAD_POOL_SIZE THREAD_STACK_SIZE',
  'LOG_ log':
    'TYPE LEVEL TRACEBACK_LEVEL FORMAT DATEFORMAT STATIC_FIELDS MAX_QUEUE_SIZE DIR MODE FILE_SIZE FILE_NUM LOGGERS DEDUPLICATE_HEARTBEAT_LOGS',
  'RESTAPI_ restapi':
    'LISTEN CONNECT_ADDRESS CERTFILE KEYFILE KEYFILE_PASSWORD CAFILE CIPHERS VERIFY_CLIENT HTTP_EXTRA_HEADERS HTTPS_EXTRA_HEADERS ALLOWLIST ALLOWLIST_INCLUDE_MEMBERS REQUEST_QUEUE_SIZE SERVER_TOKENS',
  'RESTAPI_ restapi.authentication': 'USERNAME PASSWORD',
  'CTL_ ctl': 'INSECURE CACERT CERTFILE KEYFILE KEYFILE_PASSWORD',
  'CTL_ ctl.authentication': 'USERNAME PASSWORD',
  'POSTGRESQL_ postgresql':
    'LISTEN CONNECT_ADDRESS PROXY_ADDRESS CONFIG_DIR DATA_DIR PGPASS BIN_DIR',
  'POSTGRESQL_BIN_ postgresql.bin_name':
    'PG_CTL INITDB PG_CONTROLDATA PG_BASEBACKUP POSTGRES PG_ISREADY PG_REWIND',
  ...Object.fromEntries(
    ['SUPERUSER', 'REPLICATION', 'REWIND'].map((role) => [
      `${role}_ postgresql.authentication.${role.toLowerCase()}`,
      'USERNAME PASSWORD SSLMODE SSLCERT SSLKEY SSLPASSWORD SSLROOTCERT SSLCRL SSLCRLDIR GSSENCMODE CHANNEL_BINDING SSLNEGOTIATION',
    ]),
  ),
  'ETCD3_ etcd3':
    'HOST HOSTS PORT URL PROXY USE_PROXIES SRV SRV_SUFFIX PROTOCOL CACERT CERT KEY USERNAME PASSWORD',
  'ETCD_ etcd':
    'HOST HOSTS PORT URL PROXY USE_PROXIES SRV PROTOCOL CACERT CERT KEY USERNAME PASSWORD',
  'CITUS_ citus': 'GROUP DATABASE',
  'RAFT_ raft': 'DATA_DIR SELF_ADDR PARTNER_ADDRS PASSWORD BIND_ADDR',
  'CONSUL_ consul': 'HOST TOKEN',
  'ZOOKEEPER_ zookeeper': 'HOSTS',
  'EXHIBITOR_ exhibitor': 'HOSTS PORT',
  'KUBERNETES_ kubernetes': 'NAMESPACE LABELS',
};

const LEGACY: Readonly<Record<string, string>> = {
  LOGLEVEL: 'log.level',
  LOGFORMAT: 'log.format',
  LOG_DATEFMT: 'log.dateformat',
};

const TABLE: (readonly [string, string])[] = [
  ...Object.entries(PLACES).flatMap(([place, names]) => {
    const [prefix = '', section = ''] = place.split(' ');
    return names
      .split(' ')
      .map(
        (name) =>
          [`${prefix}${name}`, [section, name.toLowerCase()].filter(Boolean).join('.')] as const,
      );
  }),
  ...Object.entries(LEGACY),
];

/** The node of the schema that has this key, or the refused section above it. */
function nodeAt(path: string): SchemaNode | undefined {
  let node: SchemaNode | undefined = jsonSchema(localSchema);
  for (const part of path.split('.')) {
    node = node?.properties?.[part];
    if (node?.refused !== undefined || node?.unsupported !== undefined) return node;
  }
  return node;
}

describe('appendix F', () => {
  it('has no name twice', () => {
    expect(new Set(TABLE.map(([name]) => name)).size).toBe(TABLE.length);
    expect(TABLE.length).toBeGreaterThan(115);
  });

  it.each(TABLE)('PATRONI_%s and TENURE_%s set %s', (name, path) => {
    const at = path.split('.');
    for (const prefix of ['PATRONI_', 'TENURE_']) {
      const { values, warnings } = readEnvironment({ [`${prefix}${name}`]: '7' });
      expect(String(valueAt(values, at)), `${prefix}${name}`).toBe('7');
      expect(warnings).toEqual([]);
    }
    const both = readEnvironment({ [`PATRONI_${name}`]: '7', [`TENURE_${name}`]: '8' });
    expect(String(valueAt(both.values, at))).toBe('8');
    expect(both.warnings).toHaveLength(1);
    expect(nodeAt(path), `${path} is a key of the schema`).toBeDefined();
  });

  it('is in the documents', () => {
    const text = configurationMarkdown();
    const stores = /^(?:ETCD|CITUS|RAFT|CONSUL|ZOOKEEPER|EXHIBITOR|KUBERNETES)_/;
    const absent = TABLE.filter(
      ([name]) => !stores.test(name) && !text.includes(`\`PATRONI_${name}\``),
    );
    expect(absent).toEqual([]);
  });
});

it('lists and maps are YAML, or separated by commas', () => {
  const read = (name: string, value: string) =>
    valueAt(readEnvironment({ [`PATRONI_${name}`]: value }).values, [
      'restapi',
      name.slice(8).toLowerCase(),
    ]);
  expect(read('RESTAPI_ALLOWLIST', '[10.0.0.1, 10.0.0.2]')).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(read('RESTAPI_ALLOWLIST', '10.0.0.1,10.0.0.2')).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(read('RESTAPI_ALLOWLIST', '- 10.0.0.1\n- 10.0.0.2')).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(read('RESTAPI_ALLOWLIST_INCLUDE_MEMBERS', 'on')).toBe(true);
  expect(read('RESTAPI_HTTP_EXTRA_HEADERS', '{a: b}')).toEqual({ a: 'b' });
});
