/** What people, scanners and broken scripts send: requests to REST, contents of keys. */
import fc from 'fast-check';

export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

const SEGMENTS = [
  ...['', 'primary', 'leader', 'replica', 'health', 'liveness', 'readiness', 'patroni', 'cluster'],
  ...['history', 'config', 'failsafe', 'metrics', 'switchover', 'failover', 'restart', 'reload'],
  ...['reinitialize', 'sync', 'quorum', 'async', 'read-only', 'standby-leader', 'citus', 'mpp'],
  ...['sigterm', 'constructor', '__proto__', '..', '%', '%00', '%zz', '*'],
];
const PARAMETERS = ['lag', 'mode', 'tag_clonefrom', 'tag___proto__', 'replication_state', ''];

/** Printable, in the form in which a request line can carry it. */
const word = fc.string({ maxLength: 30 }).map((text) => encodeURIComponent(text.toWellFormed()));
const path = fc
  .tuple(
    fc.constantFrom(...SEGMENTS),
    fc.option(word, { freq: 3 }),
    fc.array(fc.tuple(fc.constantFrom(...PARAMETERS), fc.oneof(word, fc.constant('1MB'))), {
      maxLength: 3,
    }),
  )
  .map(([segment, more, query]) => {
    const asked = query.map(([name, value]) => `${name}=${value}`).join('&');
    return `/${segment}${more === null ? '' : `/${more}`}${asked === '' ? '' : `?${asked}`}`;
  });

const names = fc.constantFrom('n1', 'n2', 'n3', 'N1', '', 'nobody', '../n1', 'n1\n');
const times = fc.oneof(
  fc.constantFrom('now', '2099-01-01T00:00:00+00:00', '2099-01-01', '1970-01-01T00:00Z', '\0'),
  fc.string(),
);
const numbers = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom('5', '1min', '-1', '1e9', 'NaN', '0x10', '', '99999999999999999999'),
);
const switches = fc.oneof(fc.boolean(), fc.constantFrom('on', 'off', 'quorum', 'maybe', 2, null));

const FIELDS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  leader: names,
  candidate: names,
  member: names,
  name: names,
  scheduled_at: times,
  schedule: times,
  role: fc.oneof(fc.constantFrom('primary', 'replica', 'standby_leader', 'king'), fc.jsonValue()),
  postgres_version: fc.oneof(numbers, fc.constantFrom('15.4', '15', '9.6.3', '1.2.3.4')),
  timeout: numbers,
  restart_pending: switches,
  force: switches,
  from_leader: switches,
  ttl: numbers,
  loop_wait: numbers,
  retry_timeout: numbers,
  maximum_lag_on_failover: numbers,
  synchronous_mode: switches,
  synchronous_node_count: numbers,
  failsafe_mode: switches,
  slots: fc.oneof(fc.dictionary(names, numbers), fc.jsonValue()),
  tags: fc.jsonValue(),
  postgresql: fc.oneof(
    fc.jsonValue(),
    fc.record({ parameters: fc.dictionary(fc.constantFrom('work_mem', 'port', "a'b"), numbers) }),
    fc.record({ use_slots: switches, pg_hba: fc.jsonValue(), recovery_conf: fc.jsonValue() }),
  ),
  tenure: fc.oneof(fc.jsonValue(), fc.record({ ttl_ms: numbers })),
  ['__proto__']: fc.jsonValue(),
  other: fc.jsonValue(),
};

/** Objects with keys that mean something, and contents that may. */
export const fields: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc
  .array(fc.constantFrom(...Object.keys(FIELDS)), { maxLength: 4 })
  .chain((keys) =>
    fc
      .tuple(...keys.map((key) => fc.oneof(FIELDS[key] ?? fc.anything(), fc.jsonValue())))
      .map((values) => Object.fromEntries(keys.map((key, at) => [key, values[at]]))),
  );

const deep = fc.constantFrom(`${'['.repeat(5000)}${']'.repeat(5000)}`, '{"a":'.repeat(3000));

const body = fc.option(
  fc.oneof(
    { weight: 6, arbitrary: fields.map((value) => JSON.stringify(value) ?? '') },
    { weight: 2, arbitrary: fc.json() },
    { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 300 }) },
    { weight: 1, arbitrary: deep },
  ),
  { freq: 6 },
);

const headers = fc
  .record(
    {
      authorization: fc.constantFrom('Basic', 'Basic Og==', 'Basic !!!', 'Bearer x', 'Basic YTpi'),
      'content-type': fc.constantFrom('application/json', 'text/xml', 'multipart/form-data', ';'),
      'x-forwarded-for': fc.constant('10.0.0.1'),
      expect: fc.constant('200-maybe'),
      'content-encoding': fc.constant('gzip'),
    },
    { requiredKeys: [] },
  )
  .filter((found) => !('expect' in found) || Object.keys(found).length === 1);

export const requests: fc.Arbitrary<FuzzRequest> = fc.record({
  method: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('POST', 'PATCH', 'PUT', 'DELETE') },
    { weight: 3, arbitrary: fc.constantFrom('GET', 'HEAD', 'OPTIONS') },
    { weight: 1, arbitrary: fc.constantFrom('TRACE', 'PROPFIND', 'SEARCH', 'LOCK') },
  ),
  path,
  headers,
  body,
});

/** Bytes that are no request, or not quite. */
export const rawBytes: fc.Arbitrary<Buffer> = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(
        fc.constantFrom('GET', 'POST', 'get', 'G\0T', ''),
        fc.string({ unit: 'binary', maxLength: 40 }),
        fc.constantFrom('HTTP/1.0', 'HTTP/1.1', 'HTTP/2.0', 'HTTP/9', ''),
        fc.constantFrom(
          'Content-Length: -1',
          'Content-Length: 5\r\nContent-Length: 7',
          'Transfer-Encoding: chunked\r\nContent-Length: 3',
          'Host: \0',
          `X: ${'y'.repeat(20_000)}`,
          '',
        ),
        fc.string({ unit: 'binary', maxLength: 40 }),
      )
      .map(([method, target, version, header, rest]) =>
        Buffer.from(`${method} /${target} ${version}\r\n${header}\r\n\r\n${rest}`, 'latin1'),
      ),
  )
  .map((bytes) => Buffer.concat([bytes, Buffer.from('\r\n\r\n')]));

/** Contents of a key: text, JSON, and JSON with the fields that keys have. */
const STORED: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  ...FIELDS,
  optime: numbers,
  conn_url: fc.oneof(fc.webUrl(), fc.constantFrom('postgres://', 'postgres://[::1]:x/', 'no url')),
  api_url: fc.oneof(fc.webUrl(), fc.constantFrom('http://', 'http://127.0.0.1:1/patroni')),
  state: fc.oneof(fc.string(), fc.constantFrom('running', 'streaming')),
  xlog_location: numbers,
  replay_lsn: numbers,
  timeline: numbers,
  version: fc.string(),
  sync_standby: fc.oneof(names, fc.constant('n1,n2'), fc.jsonValue()),
  quorum: numbers,
  claims: fc.array(fc.tuple(numbers, names), { maxLength: 3 }),
  floor: numbers,
};

export const contents: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .dictionary(fc.constantFrom(...Object.keys(STORED)), fc.constant(null), { maxKeys: 5 })
      .chain((shape) =>
        fc.record(
          Object.fromEntries(Object.keys(shape).map((key) => [key, STORED[key] ?? fc.jsonValue()])),
        ),
      )
      .map((value) => JSON.stringify(value)),
  },
  { weight: 2, arbitrary: fc.json() },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.tuple(numbers, numbers, fc.string()), { maxLength: 3 })
      .map((rows) => JSON.stringify(rows)),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 100 }) },
  { weight: 1, arbitrary: names },
  { weight: 1, arbitrary: deep },
);

/** How many inputs of each kind: `TENURE_FUZZ=10000` for a long run. */
export function runs(usual: number): number {
  const wanted = Number(process.env.TENURE_FUZZ);
  return Number.isSafeInteger(wanted) && wanted > 0 ? wanted : usual;
}
