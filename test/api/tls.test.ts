/** The REST API over TLS: certificates of both sides, and new ones while it runs (C-3.1, C-3.8). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authority, type Certificate } from '../../scripts/lab/certificates.ts';
import type { ApiTls } from '../../src/api/secure.ts';
import { type ApiServer, startApi } from '../../src/api/server.ts';
import { Scene } from './operating.ts';
import { opened, raw } from './serving.ts';

let folder: string;
let authority: Authority;
let strangers: Authority;
let server: Certificate;
let client: Certificate;
let foreign: Certificate;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tenure-api-tls-'));
  authority = new Authority(join(folder, 'ours'));
  strangers = new Authority(join(folder, 'theirs'));
  server = authority.issue('server');
  client = authority.issue('client');
  foreign = strangers.issue('foreign');
});
afterAll(() => rmSync(folder, { recursive: true }));

const pem = ({ certfile, keyfile }: Certificate) => ({
  cert: readFileSync(certfile),
  key: readFileSync(keyfile),
});

const tlsOf = (verifyClient: ApiTls['verifyClient'] = 'none', shown = server): ApiTls => ({
  ...pem(shown),
  ca: readFileSync(authority.file),
  verifyClient,
});

interface Listening extends ApiServer {
  readonly scene: Scene;
  readonly refused: string[];
}

async function listen(
  tls: ApiTls | null,
  headers: Readonly<Record<string, string>> = {},
): Promise<Listening> {
  const scene = new Scene();
  scene.access = { ...scene.access, clientCertificates: tls?.verifyClient !== 'none' };
  const refused: string[] = [];
  const api = await startApi({
    status: { snapshot: () => scene.snapshot },
    host: '127.0.0.1',
    port: 0,
    operator: scene.operator,
    onError: (error) => expect.fail(String(error)),
    onRefusal: (text) => refused.push(text),
    headers: () => headers,
    tls,
  });
  opened.push(api);
  return { ...api, scene, refused };
}

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** CN of the certificate that the API has shown. */
  readonly shown: string;
}

/** One request, as somebody who knows the authority. */
function ask(
  { port }: ApiServer,
  path: string,
  options: { readonly method?: string; readonly as?: Certificate; readonly agent?: Agent } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', as, agent = new Agent() } = options;
    const sent = request({
      host: '127.0.0.1',
      port,
      path,
      method,
      agent,
      ca: [readFileSync(authority.file), readFileSync(strangers.file)],
      ...(as && pem(as)),
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const shown = (response.socket as TLSSocket).getPeerCertificate().subject.CN;
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const { statusCode: status, headers } = response;
        resolve({ status, text, headers, shown: String(shown) });
      });
    });
    sent.end();
  });
}

describe('certificates of clients', () => {
  test('none: nobody is asked for one', async () => {
    const api = await listen(tlsOf());
    expect((await ask(api, '/primary')).status).toBe(200);
    expect((await ask(api, '/reload', { method: 'POST' })).status).toBe(202);
  });

  test('optional: whoever changes something has to show one of the authority', async () => {
    const api = await listen(tlsOf('optional'));
    expect((await ask(api, '/primary')).status).toBe(200);
    expect((await ask(api, '/patroni', { as: foreign })).status).toBe(200);
    for (const as of [undefined, foreign]) {
      const given = as === undefined ? {} : { as };
      const answer = await ask(api, '/reload', { method: 'POST', ...given });
      expect([answer.status, answer.text]).toEqual([403, 'client certificate required']);
    }
    expect(api.refused).toEqual([
      'REST: POST reload was refused: client certificate required from 127.0.0.1',
    ]);
    expect((await ask(api, '/reload', { method: 'POST', as: client })).status).toBe(202);
    // Basic authentication comes after it.
    api.scene.access = { ...api.scene.access, credentials: { username: 'u', password: 'p' } };
    expect((await ask(api, '/reload', { method: 'POST' })).status).toBe(403);
    expect((await ask(api, '/reload', { method: 'POST', as: client })).status).toBe(401);
  });

  test('optional: a session that is resumed shows no certificate either', async () => {
    const api = await listen(tlsOf('optional'));
    const options = { host: '127.0.0.1', port: api.port, ca: readFileSync(authority.file) };
    const first = connect(options);
    const session = await new Promise<Buffer>((resolve) => {
      first.once('session', resolve);
      first.write('GET /primary HTTP/1.0\r\n\r\n');
    });
    first.destroy();
    const again = connect({ ...options, session });
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      again.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      again.once('error', reject);
      again.once('end', () => resolve(text));
      again.write('POST /reload HTTP/1.0\r\ncontent-length: 0\r\n\r\n');
    });
    expect(again.isSessionReused()).toBe(true);
    expect(answer).toContain('client certificate required');
    again.destroy();
  });

  test('required: nothing is answered without one, and the log says who was refused why', async () => {
    const api = await listen(tlsOf('required'));
    expect((await ask(api, '/primary', { as: client })).status).toBe(200);
    await expect(ask(api, '/primary')).rejects.toThrow();
    await expect(ask(api, '/primary', { as: foreign })).rejects.toThrow();
    await expect
      .poll(() => api.refused)
      .toEqual([
        'REST: a connection was refused: peer did not return a certificate from 127.0.0.1',
        'REST: a connection was refused: its client certificate cannot be accepted (SELF_SIGNED_CERT_IN_CHAIN) from 127.0.0.1',
      ]);
  });

  test('plain http gets nothing, and is said once', async () => {
    const api = await listen(tlsOf());
    await raw(api.port, 'GET / HTTP/1.0\r\n\r\n');
    await raw(api.port, 'GET / HTTP/1.0\r\n\r\n');
    await expect
      .poll(() => api.refused)
      .toEqual(['REST: a connection was refused: http request from 127.0.0.1']);
  });
});

describe('while it runs', () => {
  test('a new certificate is shown from the next connection on; open ones stay', async () => {
    const api = await listen(tlsOf());
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    opened.push({ close: () => kept.destroy() });
    expect((await ask(api, '/primary', { agent: kept })).shown).toBe('server');
    api.renew(tlsOf('none', authority.issue('renewed')));
    expect((await ask(api, '/primary')).shown).toBe('renewed');
    expect((await ask(api, '/primary', { agent: kept })).shown).toBe('server');
  });

  test('clients can be asked for a certificate from now on, and no longer', async () => {
    const api = await listen(tlsOf());
    api.renew(tlsOf('required'));
    await expect(ask(api, '/primary')).rejects.toThrow();
    expect((await ask(api, '/primary', { as: client })).status).toBe(200);
    api.renew(tlsOf());
    expect((await ask(api, '/primary')).status).toBe(200);
  });

  test('what cannot be used changes nothing', async () => {
    const api = await listen(tlsOf());
    expect(() => api.renew({ ...tlsOf(), key: pem(foreign).key })).toThrow(/key values mismatch/);
    expect((await ask(api, '/primary')).shown).toBe('server');
  });
});

test('header fields are added to every answer', async () => {
  const fields = { 'strict-transport-security': 'max-age=60', server: 'Patroni' };
  const api = await listen(tlsOf(), fields);
  for (const [method, path] of [
    ['GET', '/primary'],
    ['GET', '/cluster'],
    ['OPTIONS', '/'],
    ['POST', '/reload'],
    ['POST', '/nonsense'],
  ] as const) {
    expect((await ask(api, path, { method })).headers, `${method} ${path}`).toMatchObject(fields);
  }
});
