import { describe, expect, test } from 'vitest';
import { raw, serve } from './serving.ts';
import { NOW, primary, replica } from './snapshots.ts';

describe('methods', () => {
  const paths = [
    '/',
    '/primary',
    '/replica',
    '/health',
    '/patroni',
    '/cluster',
    '/history',
    '/config',
    '/failsafe',
    '/metrics',
    '/liveness',
    '/readiness',
    '/nonsense',
  ];

  test('GET, HEAD and OPTIONS have the same status; only GET has a body', async () => {
    const { url } = await serve(primary());
    for (const path of paths) {
      const get = await fetch(url + path);
      const body = await get.text();
      expect([path, body === '']).toEqual([path, path === '/liveness' || path === '/readiness']);
      for (const method of ['HEAD', 'OPTIONS']) {
        const bare = await fetch(url + path, { method });
        expect([path, method, bare.status, await bare.text()]).toEqual([
          path,
          method,
          get.status,
          '',
        ]);
      }
    }
  });

  test('a health check shows the state as JSON with its status', async () => {
    const { url } = await serve(replica());
    const answer = await fetch(`${url}/primary`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(await answer.json()).toMatchObject({
      state: 'running',
      role: 'replica',
      patroni: { name: 'n2' },
    });
  });

  test('HEAD and OPTIONS make no body at all', async () => {
    const api = await serve(primary());
    api.snapshot = () =>
      Object.defineProperty({ ...primary() }, 'decision', {
        get: () => {
          throw new Error('a body was made');
        },
      });
    expect((await fetch(`${api.url}/primary`, { method: 'OPTIONS' })).status).toBe(200);
    expect((await fetch(`${api.url}/patroni`, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${api.url}/patroni`)).status).toBe(500);
  });

  test('the first segment names the endpoint; parameters reach the check', async () => {
    const { url } = await serve(replica());
    expect(await (await fetch(`${url}/cluster/primary`)).json()).toHaveProperty('members');
    expect((await fetch(`${url}/replica?lag=1MB&tag_x=1`)).status).toBe(503);
    expect((await fetch(`${url}/replica?lag=1MB`)).status).toBe(200);
    expect((await fetch(`${url}/?lag=0`)).status).toBe(503);
    expect((await fetch(`${url}/replica/%zz`)).status).toBeLessThan(500);
  });

  test('what would change something is 501 in JSON, with or without a body', async () => {
    const { url, port } = await serve(primary());
    for (const [method, path] of [
      ['POST', '/switchover'],
      ['PATCH', '/config'],
      ['PUT', '/config'],
      ['DELETE', '/restart'],
      ['POST', '/primary'],
    ]) {
      for (const body of [null, '{"leader":"n1"}', 'not json']) {
        const answer = await fetch(`${url}${path}`, { method: method ?? '', body });
        expect([method, path, answer.status]).toEqual([method, path, 501]);
        expect(await answer.json()).toMatchObject({ error: 'not_supported' });
      }
    }
    // As JSON too: what is not supported is not looked at.
    const headers = { 'content-type': 'application/json' };
    expect((await fetch(`${url}/config`, { method: 'PUT', headers, body: '{' })).status).toBe(501);
    expect(await raw(port, 'PROPFIND / HTTP/1.0\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 501 .*"not_supported"/s,
    );
  });

  test('a body that is too large is refused', async () => {
    const { url } = await serve(primary());
    const answer = await fetch(`${url}/config`, { method: 'PATCH', body: 'x'.repeat(300_000) });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error: 'payload_too_large' });
  });
});

describe('a PostgreSQL that hangs', () => {
  test('is not shown as it was before: no position, and no state but unknown (S4)', async () => {
    const { url } = await serve(replica(), '127.0.0.1', () => new Promise(() => undefined));
    const shown = (await (await fetch(`${url}/patroni`)).json()) as Record<string, unknown>;
    expect(shown).toMatchObject({ state: 'unknown', role: 'replica' });
    expect(shown).not.toHaveProperty('xlog');
    // A health check asks nobody, and says what the latest tick saw (F6).
    expect((await fetch(`${url}/replica`)).status).toBe(200);
  });
});

describe('as HAProxy asks', () => {
  test.each([
    'OPTIONS /primary HTTP/1.0\r\n\r\n',
    'OPTIONS / HTTP/1.0\r\n\r\n',
    'HEAD /primary HTTP/1.0\r\n\r\n',
    'GET /primary HTTP/1.0\r\n\r\n',
    // Old configurations say HTTP/1.1 and send no Host.
    'OPTIONS /primary HTTP/1.1\r\nConnection: close\r\n\r\n',
    'GET http://node:8008/primary HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n',
  ])('%j', async (request) => {
    const api = await serve(primary());
    expect(await raw(api.port, request)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    api.snapshot = () => replica();
    expect(await raw(api.port, request)).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
  });

  test('200 turns to 503 when the deadline passes, without any tick (S1)', async () => {
    const api = await serve(primary());
    const held = primary({ leaderDeadline: NOW + 100 });
    let now = NOW;
    api.snapshot = () => ({ ...held, now });
    const ask = async (): Promise<number> =>
      (await fetch(`${api.url}/primary`, { method: 'OPTIONS' })).status;
    expect(await ask()).toBe(200);
    now = NOW + 99.9;
    expect(await ask()).toBe(200);
    now = NOW + 100;
    expect(await ask()).toBe(503);
  });

  test('503 in the first answer after a demotion began (D7)', async () => {
    const api = await serve(primary());
    expect((await fetch(`${api.url}/primary`)).status).toBe(200);
    api.snapshot = () => primary({ state: 'stopping', role: 'demoted' });
    expect((await fetch(`${api.url}/primary`)).status).toBe(503);
  });
});
