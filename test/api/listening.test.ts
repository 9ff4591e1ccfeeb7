import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ApiListenError } from '../../src/api/errors.ts';
import { type ApiServer, startApi } from '../../src/api/server.ts';
import { type Api, opened, raw, serve } from './serving.ts';
import { primary } from './snapshots.ts';

describe('fresh facts (F3, F6)', () => {
  test('GET /patroni waits for a look at PostgreSQL; nothing else asks for one', async () => {
    let looks = 0;
    const api: Api = await serve(primary(), '127.0.0.1', async () => {
      looks += 1;
      await new Promise((resolve) => setTimeout(resolve, 30));
      api.snapshot = () => primary({ state: 'stopping' });
    });
    for (const path of ['/', '/primary', '/health', '/cluster', '/liveness', '/readiness']) {
      await fetch(api.url + path);
    }
    await fetch(`${api.url}/patroni`, { method: 'HEAD' });
    expect(looks).toBe(0);
    expect(await (await fetch(`${api.url}/patroni`)).json()).toMatchObject({ state: 'stopping' });
    expect(looks).toBe(1);
  });

  test('a look that hangs or fails leaves the answer to the latest snapshot', async () => {
    const hung = await serve(primary(), '127.0.0.1', () => new Promise(() => undefined));
    const begin = performance.now();
    expect((await fetch(`${hung.url}/patroni`)).status).toBe(200);
    expect(performance.now() - begin).toBeLessThan(1_000);
    expect(hung.errors).toEqual([]);
    const broken = await serve(primary(), '127.0.0.1', () => Promise.reject(new Error('no')));
    expect((await fetch(`${broken.url}/patroni`)).status).toBe(200);
    expect(broken.errors).toHaveLength(1);
  });
});

describe('errors', () => {
  test('say nothing of the inside, and are reported', async () => {
    const api = await serve(primary());
    api.snapshot = () => {
      throw new Error('password=secret');
    };
    const answer = await fetch(`${api.url}/primary`);
    expect(answer.status).toBe(500);
    const text = await answer.text();
    expect(text).toContain('internal');
    expect(text).not.toContain('secret');
    expect(api.errors).toHaveLength(1);
    // A 5xx on a health check keeps clients away as a 503 does.
    expect((await fetch(`${api.url}/primary`, { method: 'OPTIONS' })).status).toBe(500);
  });

  test('a port in use is an ApiListenError with address and cause', async () => {
    const { port } = await serve(primary());
    const again = startApi({ status: { snapshot: primary }, host: '127.0.0.1', port });
    await expect(again).rejects.toThrow(ApiListenError);
    await expect(again).rejects.toMatchObject({
      address: `127.0.0.1:${port}`,
      code: 'EADDRINUSE',
      message: `REST API cannot listen on 127.0.0.1:${port}: the port is in use by another process (EADDRINUSE)`,
    });
  });

  test('an address of another machine is one too', async () => {
    const start = startApi({ status: { snapshot: primary }, host: '192.0.2.1', port: 0 });
    await expect(start).rejects.toMatchObject({ name: 'ApiListenError', code: 'EADDRNOTAVAIL' });
  });
});

describe('listening and closing', () => {
  test.each(['*', ''])('host %j is both families', async (host) => {
    const { port } = await serve(primary(), host);
    const request = 'OPTIONS / HTTP/1.0\r\n\r\n';
    expect(await raw(port, request)).toContain('200 OK');
    expect(await raw(port, request, '::1')).toContain('200 OK');
  });

  test('one address is that address only; IPv6 may be in brackets', async () => {
    const { port } = await serve(primary(), '[::1]');
    expect(await raw(port, 'OPTIONS / HTTP/1.0\r\n\r\n', '::1')).toContain('200 OK');
    await expect(raw(port, 'OPTIONS / HTTP/1.0\r\n\r\n')).rejects.toThrow('ECONNREFUSED');
  });

  test('close ends idle and unfinished connections within 300 ms, and can be repeated', async () => {
    const { server, port } = await serve(primary());
    const idle = connect(port, '127.0.0.1');
    idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => idle.once('data', resolve));
    const unfinished = raw(
      port,
      'POST /switchover HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf',
    ).catch(() => 'cut');
    const silent = raw(port, '').catch(() => 'cut');
    await new Promise((resolve) => setTimeout(resolve, 30));
    const begin = performance.now();
    await server.close();
    expect(performance.now() - begin).toBeLessThan(300);
    await Promise.all([unfinished, silent]);
    await server.close();
    await expect(raw(port, '')).rejects.toThrow('ECONNREFUSED');
  });

  test('the port is free after a failed start and after a close', async () => {
    const blocker: Server = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as AddressInfo;
    const start = (): Promise<ApiServer> =>
      startApi({ status: { snapshot: primary }, host: '127.0.0.1', port });
    await expect(start()).rejects.toThrow(ApiListenError);
    await new Promise((resolve) => blocker.close(resolve));
    await (await start()).close();
    opened.push(await start());
  });
});
