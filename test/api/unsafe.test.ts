/** Requests that change something: statuses and words of contract 3.6 and 3.7. */
import { beforeEach, describe, expect, test } from 'vitest';
import { fixture } from './fixtures.ts';
import { type Ask, FUTURE, listen, Scene, said } from './operating.ts';
import { raw } from './serving.ts';
import { replica, settings, view } from './snapshots.ts';

let scene: Scene;
let port: number;
let ask: Ask;

beforeEach(async () => {
  scene = new Scene();
  ({ port, ask } = await listen(scene));
});

/** The text and status after each `$` line of the fixture; null for an HTML page. */
function recorded(line: string): [number, string | null] {
  const [, rest = ''] = fixture('post-answers.txt').split(`${line}\n`);
  const answer = rest.split('\n$')[0]?.split('\nPOST')[0]?.trim() ?? '';
  const status = Number(/(\d{3})$/.exec(answer)?.[1]);
  const text = answer.replace(/\s*\d{3}$/, '').trim();
  return [status, text.startsWith('<!DOCTYPE') ? null : text];
}

describe('as Patroni answered', () => {
  const synchronous = (): void => {
    scene.snapshot = { ...scene.snapshot, settings: settings({ synchronousMode: 'on' }) };
    scene.view = view({ failover: null });
    scene.onFailover = ({ candidate }) => scene.lead(candidate ?? '');
  };

  test.each<[string, string, string, unknown]>([
    ['$ curl -X POST /switchover {}', 'POST', '/switchover', {}],
    ['$ curl -X POST /switchover (bad leader)', 'POST', '/switchover', { leader: 'n9' }],
    [
      '$ curl -X POST /switchover leader to n2',
      'POST',
      '/switchover',
      { leader: 'n1', candidate: 'n2' },
    ],
    ['$ curl -X PATCH /config bad json', 'PATCH', '/config', '{'],
    ['$ POST /restart bad role', 'POST', '/restart', { role: 'nobody' }],
    [
      '$ curl -X POST /switchover leader n1 to its sync standby n3',
      'POST',
      '/switchover',
      { leader: 'n1', candidate: 'n3' },
    ],
  ])('%s', async (line, method, path, body) => {
    synchronous();
    const [status, text] = recorded(line);
    const answer = await ask(method, path, body);
    expect(answer.status).toBe(status);
    if (text !== null) expect(answer.text).toBe(text);
  });
});

describe('restart, reinitialize, reload', () => {
  test.each<[Record<string, unknown>, number, string]>([
    [{ timeout: 0 }, 400, 'Timeout should be a positive number of seconds'],
    [{ timeout: 'soon' }, 400, 'Timeout should be a positive number of seconds'],
    [{ postgres_version: 'x' }, 400, 'Invalid PostgreSQL version: x'],
    [
      { postgres_version: '9.6' },
      400,
      'Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6',
    ],
    [{ when: 1 }, 400, 'Unknown filter for the scheduled restart: when'],
    [{ schedule: '2020-01-01T00:00:00Z' }, 422, 'Cannot schedule restart in the past'],
    [
      { timeout: '1min', postgres_version: '15.21', role: 'primary' },
      200,
      'restarted successfully',
    ],
  ])('restart %j', async (body, status, text) => {
    expect(said(await ask('POST', '/restart', body))).toEqual([status, text]);
  });

  test('restart without a body, and what became of it', async () => {
    expect(said(await ask('POST', '/restart'))).toEqual([200, 'restarted successfully']);
    scene.answer = { status: 503, text: 'restart failed', why: 'PANIC' };
    const answer = await ask('POST', '/restart', '');
    expect(said(answer)).toEqual([503, 'restart failed']);
    expect(answer.headers.get('tenure-why')).toBe('PANIC');
  });

  test('a restart can be scheduled once, and withdrawn', async () => {
    const body = { schedule: FUTURE, restart_pending: true };
    expect(said(await ask('POST', '/restart', body))).toEqual([202, 'Restart scheduled']);
    expect(scene.requests.scheduled).toMatchObject({
      at: FUTURE,
      filter: { pendingOnly: true },
      postmasterStartTime: '2026-11-20 11:35:41.199757+00:00',
    });
    expect(said(await ask('POST', '/restart', body))).toEqual([
      409,
      'Another restart is already scheduled',
    ]);
    expect(said(await ask('DELETE', '/restart'))).toEqual([200, 'scheduled restart deleted']);
    expect(said(await ask('DELETE', '/restart'))).toEqual([404, 'no restarts are scheduled']);
    scene.snapshot = { ...scene.snapshot, paused: true };
    expect(said(await ask('POST', '/restart', body))).toEqual([
      500,
      "Can't schedule restart in the paused state",
    ]);
  });

  test('reinitialize and reload', async () => {
    scene.answer = { status: 200, text: 'reinitialize started', why: null };
    expect(said(await ask('POST', '/reinitialize', { force: true }))).toEqual([
      200,
      'reinitialize started',
    ]);
    expect(said(await ask('POST', '/reload'))).toEqual([202, 'reload scheduled']);
    expect(scene.reloads).toBe(1);
  });
});

describe('the configuration', () => {
  const before = { ttl: 30, own: [1, { a: 'b' }], postgresql: { parameters: { a: 1, b: '2' } } };
  beforeEach(() => {
    scene.view = { ...scene.view, config: { kind: 'valid', values: before, modRevision: 4 } };
  });

  test('is merged: null deletes, maps merge, everything else replaces, types stay', async () => {
    const patch = {
      ttl: null,
      own: ['x'],
      pause: true,
      postgresql: { parameters: { b: null, c: 1.5 } },
    };
    const answer = await ask('PATCH', '/config', patch);
    const after = { own: ['x'], pause: true, postgresql: { parameters: { a: 1, c: 1.5 } } };
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, after]);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(scene.configs).toEqual([after]);
  });

  test('is not written when nothing changes', async () => {
    expect((await ask('PATCH', '/config', { ttl: 30, gone: null })).status).toBe(200);
    const reordered = Object.fromEntries(Object.entries(before).reverse());
    expect((await ask('PUT', '/config', reordered)).status).toBe(200);
    expect(scene.configs).toEqual([]);
  });

  test('is replaced by PUT', async () => {
    expect((await ask('PUT', '/config', { ttl: 31 })).status).toBe(200);
    expect(scene.configs).toEqual([{ ttl: 31 }]);
  });

  test('is refused with every fault, and when somebody else was faster', async () => {
    scene.faults = ['ttl: found 1, allowed: at least 3', 'pause: found 7, allowed: on'];
    const faulty = await ask('PATCH', '/config', { ttl: 1, pause: 7 });
    expect([faulty.status, JSON.parse(faulty.text)]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_config', faults: scene.faults }),
    ]);
    scene.faults = [];
    scene.free = false;
    expect((await ask('PATCH', '/config', { ttl: 31 })).status).toBe(409);
    expect((await ask('PUT', '/config', { ttl: 31 })).status).toBe(409);
  });

  test('cannot be patched where there is none, but put', async () => {
    scene.view = { ...scene.view, config: { kind: 'garbage', text: 'x', modRevision: 4 } };
    expect((await ask('PATCH', '/config', { ttl: 31 })).status).toBe(503);
    expect((await ask('PUT', '/config', { ttl: 31 })).status).toBe(200);
  });
});

describe('bodies', () => {
  test.each<[string, number]>([
    ['POST /switchover HTTP/1.1\r\nConnection: close\r\n\r\n', 411],
    ['POST /switchover HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]', 400],
    ['POST /switchover HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', 400],
    ['POST /restart HTTP/1.1\r\nConnection: close\r\n\r\n', 200],
    ['POST /restart HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx', 400],
    ['POST /nothing HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}', 501],
  ])('%j', async (request, status) => {
    expect(await raw(port, request)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });
});

describe('access', () => {
  const basic = (text: string) => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  });

  test('with credentials configured', async () => {
    scene.access = { ...scene.access, credentials: { username: 'admin', password: 'a:b ü' } };
    const none = await ask('POST', '/reload');
    expect(said(none)).toEqual([401, 'no auth header received']);
    expect(none.headers.get('www-authenticate')).toBe('Basic realm="Patroni"');
    for (const header of [basic('admin:a'), basic('admin:a:b'), { authorization: 'Bearer x' }])
      expect(said(await ask('POST', '/reload', undefined, header))).toEqual([
        401,
        'not authenticated',
      ]);
    expect((await ask('POST', '/reload', undefined, basic('admin:a:b ü'))).status).toBe(202);
    // Before the body is looked at.
    expect((await ask('PATCH', '/config', '{')).status).toBe(401);
    expect((await ask('GET', '/config')).status).toBe(200);
  });

  test.each<[readonly string[] | null, boolean, number]>([
    [['127.0.0.1'], false, 202],
    [['127.0.0.0/8', '::1'], false, 202],
    [['10.0.0.0/8', 'fd00::/8'], false, 403],
    [null, true, 202],
    [['10.0.0.1'], true, 202],
  ])('from %j, members %s: %i', async (allowlist, includeMembers, status) => {
    scene.access = { credentials: null, allowlist, includeMembers, clientCertificates: false };
    const answer = await ask('POST', '/reload');
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.text).toBe('Access is denied');
  });
});

describe('POST /failsafe', () => {
  const body = { name: 'n1', conn_url: 'x', api_url: 'y', slots: { n2: 5, odd: 'text' } };

  test('agrees in the words of Patroni, and says where this member is', async () => {
    scene.snapshot = replica();
    const answer = await ask('POST', '/failsafe', body);
    expect(said(answer)).toEqual([200, 'Accepted']);
    expect(answer.headers.get('lsn')).toMatch(/^[1-9]\d+$/);
    await ask('POST', '/failsafe', { ...body, slots: undefined, tenure: { ttl_ms: 5000 } });
    await ask('POST', '/failsafe', { ...body, tenure: { ttl_ms: 'long' } });
    expect(scene.promises).toEqual([
      { leader: 'n1', ttlMs: null, slots: { n2: 5 } },
      { leader: 'n1', ttlMs: 5000, slots: {} },
      { leader: 'n1', ttlMs: null, slots: { n2: 5 } },
    ]);
  });

  test('refuses with what the member says, and what makes no sense', async () => {
    scene.refusal = { status: 500, text: 'Running as a leader' };
    expect(said(await ask('POST', '/failsafe', body))).toEqual([500, 'Running as a leader']);
    expect((await ask('POST', '/failsafe', { conn_url: 'x' })).status).toBe(400);
    expect((await ask('POST', '/failsafe', '{')).status).toBe(400);
    expect(scene.promises).toHaveLength(1);
  });

  test('lets in by the allowlist alone: who is a member may not be known (C-3.6)', async () => {
    const listed = async (allowlist: readonly string[] | null): Promise<number> => {
      scene.access = {
        credentials: null,
        allowlist,
        includeMembers: true,
        clientCertificates: false,
      };
      return (await ask('POST', '/failsafe', body)).status;
    };
    expect(await listed(null)).toBe(200);
    expect(await listed(['10.0.0.1'])).toBe(403);
    expect(await listed(['127.0.0.1'])).toBe(200);
  });
});
