import { createServer, type RequestListener } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type FailsafeAnswer, HttpPeers } from '../src/peers.ts';
import { fixture } from './api/fixtures.ts';

const NAMES = { authority: 'ctl.cacert', own: 'ctl.certfile' };
const peers = new HttpPeers();
const opened: (() => unknown)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

async function listening(server: Server, scheme = 'http'): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/patroni`;
}

const http = (listener: RequestListener): Promise<string> => listening(createServer(listener));

/** A server that speaks no HTTP of its own accord. */
const tcp = (onConnection: (socket: Socket) => void): Promise<string> =>
  listening(
    createTcpServer((socket) => onConnection(socket.resume().on('error', () => undefined))),
  );

const says = (body: string, status = 200): Promise<string> =>
  http((_request, response) => response.writeHead(status).end(body));

async function whyUnknown(apiUrl: string | null, timeoutMs = 2_000): Promise<string> {
  const [facts] = await peers.ask([{ name: 'n2', apiUrl }], timeoutMs);
  if (facts === undefined || facts.answer.known) throw new Error(`known: ${JSON.stringify(facts)}`);
  return facts.answer.why;
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const begin = performance.now();
  return [await work(), performance.now() - begin];
}

describe('asking', () => {
  test('all at once, in the order asked, each for itself', async () => {
    const asked: string[] = [];
    const slow = await http((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      setTimeout(() => response.end(fixture('replica-patroni.txt')), 150);
    });
    const members = [
      { name: 'n2', apiUrl: slow },
      { name: 'n1', apiUrl: await says(fixture('primary-patroni.txt')) },
      { name: 'n3', apiUrl: null },
      { name: 'n2', apiUrl: slow },
      { name: 'n2', apiUrl: slow },
    ];
    const [facts, ms] = await timed(() => peers.ask(members, 2_000));
    expect(facts.map(({ name, answer }) => [name, answer.known])).toEqual([
      ['n2', true],
      ['n1', true],
      ['n3', false],
      ['n2', true],
      ['n2', true],
    ]);
    expect(asked).toEqual(Array(3).fill('GET /patroni'));
    expect(ms).toBeLessThan(400);
    expect(await peers.ask([], 10)).toEqual([]);
  });

  test('nobody there, no address, not an address', async () => {
    const gone = createTcpServer();
    const url = await listening(gone);
    await new Promise((resolve) => gone.close(resolve));
    expect(await whyUnknown(url)).toContain('ECONNREFUSED');
    expect(await whyUnknown(null)).toContain('no api_url');
    expect(await whyUnknown('not a url')).toContain('Invalid URL');
    expect(await whyUnknown('file:///etc/passwd')).toContain('neither http: nor https:');
  });

  test('garbage, an error page, a redirect, another protocol', async () => {
    expect(await whyUnknown(await says('<html>hello</html>'))).toContain('not JSON');
    expect(await whyUnknown(await says(fixture('replica-patroni.txt'), 503))).toContain(
      'HTTP status 503',
    );
    const elsewhere = await http((_request, response) =>
      response.writeHead(302, { location: '/x' }).end(),
    );
    expect(await whyUnknown(elsewhere)).toContain('HTTP status 302');
    expect(await whyUnknown(await tcp((socket) => socket.end('SSH-2.0-hello\r\n')))).not.toBe('');
    const upgrade = await tcp((socket) =>
      socket.end('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    );
    expect(await whyUnknown(upgrade)).toBe('the connection ended without an answer');
  });

  test('an answer that breaks off is no answer', async () => {
    const cut = await http((_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{"xlog":{"location":1}}', () => response.destroy());
    });
    expect(await whyUnknown(cut)).not.toBe('');
  });

  test('a huge answer is cut off at 1 MB', async () => {
    let sent = 0;
    const endless = await http((_request, response) => {
      const more = (): void => {
        sent += 65536;
        if (!response.destroyed && sent < 2 ** 27) response.write(' '.repeat(65536), more);
      };
      more();
    });
    const [why, ms] = await timed(() => whyUnknown(endless, 10_000));
    expect(why).toContain('larger than');
    expect(ms).toBeLessThan(5_000);
    expect(sent).toBeLessThan(2 ** 25);
  });

  test.each([
    ['accepts and says nothing', () => tcp(() => undefined)],
    [
      'never ends its header',
      () =>
        tcp((socket) => {
          socket.write('HTTP/1.1 200 OK\r\n');
          drip(socket, 'X: 1\r\n');
        }),
    ],
    ['drips its body', () => http((_request, response) => drip(response, ' '))],
  ])('the deadline holds against one that %s', async (_what, open) => {
    const [why, ms] = await timed(async () => whyUnknown(await open(), 200));
    expect(why).toBe('no answer in 200 ms');
    expect(ms).toBeGreaterThan(190);
    expect(ms).toBeLessThan(500);
  });

  test('leaves no connection behind', async () => {
    const server = createServer((_request, response) => response.end('{}'));
    const silent = createTcpServer((socket) => socket.resume().on('error', () => undefined));
    await whyUnknown(await listening(server));
    await whyUnknown(await listening(silent), 50);
    await expect.poll(() => connections(server)).toBe(0);
    await expect.poll(() => connections(silent)).toBe(0);
  });
});

describe('liveness', () => {
  test('any HTTP answer is life', async () => {
    let asked = '';
    const url = await http((request, response) => {
      asked = request.url ?? '';
      response.writeHead(503).write('and the body never ends');
    });
    const [alive, ms] = await timed(() => peers.liveness(url, 2_000));
    expect(alive).toBe(true);
    expect(asked).toBe('/liveness');
    expect(ms).toBeLessThan(500);
  });

  test('silence, refusal, another protocol and nonsense are not', async () => {
    const [alive, ms] = await timed(async () => peers.liveness(await tcp(() => undefined), 150));
    expect(alive).toBe(false);
    expect(ms).toBeLessThan(400);
    expect(await peers.liveness(await tcp((socket) => socket.end('SSH-2.0-hello\r\n')), 500)).toBe(
      false,
    );
    expect(await peers.liveness('http://127.0.0.1:1/patroni', 500)).toBe(false);
    expect(await peers.liveness('nonsense', 500)).toBe(false);
  });
});

describe('asking to go on without the store (contract 5.4)', () => {
  const accepts: RequestListener = (_request, response) =>
    response.writeHead(200, { lsn: '4711' }).end('Accepted');
  const ask = async (apiUrl: string | null, timeoutMs = 2_000): Promise<FailsafeAnswer> => {
    const [answer] = await peers.failsafe([{ name: 'n2', apiUrl }], { name: 'n1' }, timeoutMs);
    if (answer === undefined) throw new Error('no answer for the member');
    return answer;
  };

  test('the whole request, with credentials; only the word Accepted is a yes', async () => {
    let got = '';
    const url = await http((request, response) => {
      request.on('data', (chunk) => (got += String(chunk)));
      request.on('end', () => {
        got = `${request.method} ${request.url} ${request.headers.authorization} ${got}`;
        accepts(request, response);
      });
    });
    const credentials = { username: 'admin', password: 'secret' };
    const asking = new HttpPeers(() => ({ credentials, tls: { insecure: false, names: NAMES } }));
    expect(await asking.failsafe([{ name: 'n2', apiUrl: url }], { name: 'n1' }, 2_000)).toEqual([
      { name: 'n2', accepted: true, why: '', position: 4711 },
    ]);
    const basic = Buffer.from('admin:secret').toString('base64');
    expect(got).toBe(`POST /failsafe Basic ${basic} {"name":"n1"}`);
    expect(await ask(await says('Running as a leader', 500))).toMatchObject({
      accepted: false,
      why: '500 Running as a leader',
    });
    expect((await ask(await says('Accepted', 202))).accepted).toBe(false);
    expect((await ask(await says('accepted'))).accepted).toBe(false);
    expect((await ask(null)).accepted).toBe(false);
  });

  test('a connection that breaks is tried once more, and no longer than there is time', async () => {
    let tries = 0;
    const broken = (times: number): Promise<string> =>
      http((request, response) => {
        tries += 1;
        if (tries <= times) request.socket.destroy();
        else accepts(request, response);
      });
    expect((await ask(await broken(1))).accepted).toBe(true);
    tries = 0;
    expect((await ask(await broken(2))).accepted).toBe(false);
    expect(tries).toBe(2);
    const [answer, ms] = await timed(async () => ask(await tcp(() => undefined), 150));
    expect(answer.accepted).toBe(false);
    expect(ms).toBeLessThan(600);
  });
});

/** Writes a little every 20 ms for as long as the other side takes it. */
function drip(stream: NodeJS.WritableStream, text: string): void {
  const timer = setInterval(() => stream.write(text), 20);
  stream.on('close', () => clearInterval(timer));
}

function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}
