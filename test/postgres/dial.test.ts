/** Connecting: when the other way is tried, and where the password must not be sent. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { clientConfig } from '../../src/postgres/connect.ts';
import { type Destination, Dial, newClient } from '../../src/postgres/session.ts';

const ENCRYPTION_REQUEST = 80_877_103;
const opened: (() => unknown)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

/** Messages of a server of PostgreSQL. */
const message = (type: string, ...parts: readonly (number | string)[]): Buffer => {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(`${part}\0`);
      const number = Buffer.alloc(4);
      number.writeInt32BE(part);
      return number;
    }),
  );
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const WELCOME = Buffer.concat([message('R', 0), Buffer.from('Z\0\0\0\x05I', 'latin1')]);
const refusal = (code: string): Buffer =>
  Buffer.from(
    `E${'\0\0\0'}${String.fromCharCode(4 + 8 + code.length + 5)}SFATAL\0C${code}\0Mno\0\0`,
    'latin1',
  );

interface Server {
  readonly config: Destination;
  /** What was asked for: `TLS`, or `plain` with what it was told, in order. */
  readonly heard: string[];
}

/** A server without TLS. @param answer to a startup message */
async function serving(answer: (socket: Socket) => void, words = {}): Promise<Server> {
  const heard: string[] = [];
  const server = createServer((socket) => {
    let started = false;
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const type = data.toString('latin1', 0, 1);
      if (started && type === 'X') return;
      if (started) {
        heard.push(type);
        socket.end();
      } else if (data.length === 8 && data.readInt32BE(4) === ENCRYPTION_REQUEST) {
        heard.push('TLS');
        socket.write('N');
      } else {
        started = true;
        heard.push('plain');
        answer(socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(() => server.close());
  const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const user = { username: 'u', password: 'secret', ...words };
  return { config: clientConfig(target, user, 'postgres'), heard };
}

async function dialling(config: Destination): Promise<string> {
  const dial = new Dial((one) => newClient(one, 2_000, () => undefined));
  opened.push(() => dial.abandon());
  return await dial.connect(config).then(
    () => 'connected',
    (error: Error) => error.message,
  );
}

describe('a server without TLS', () => {
  const welcome = (socket: Socket): unknown => socket.write(WELCOME);

  test.each([
    [{}, 'connected', ['TLS', 'plain']],
    [{ sslmode: 'prefer' }, 'connected', ['TLS', 'plain']],
    [{ sslmode: 'allow' }, 'connected', ['plain']],
    [{ sslmode: 'disable' }, 'connected', ['plain']],
    [{ sslmode: 'require' }, 'The server does not support SSL connections', ['TLS']],
  ])('with %j: %s', async (words, result, order) => {
    const { config, heard } = await serving(welcome, words);
    expect(await dialling(config)).toBe(result);
    expect(heard).toEqual(order);
  });

  test('is asked for TLS too where it refuses what comes without (allow), and nowhere else', async () => {
    const refusing = (code: string) => (socket: Socket) => void socket.end(refusal(code));
    const asked = async (code: string): Promise<readonly string[]> => {
      const { config, heard } = await serving(refusing(code), { sslmode: 'allow' });
      expect(await dialling(config)).not.toBe('connected');
      return heard;
    };
    expect(await asked('28000')).toEqual(['plain', 'TLS']);
    expect(await asked('28P01')).toEqual(['plain']);
    expect(await asked('53300')).toEqual(['plain']);
  });
});

describe('channel_binding: require', () => {
  const words = { sslmode: 'disable', channel_binding: 'require' };
  const text = 'channel_binding is require, and the server does not bind the password to TLS';

  test.each([
    ['a password in clear text', message('R', 3)],
    ['no password at all', WELCOME],
    ['SCRAM without binding', message('R', 10, 'SCRAM-SHA-256', '')],
  ])('refuses a server that wants %s, and tells it nothing', async (_what, answer) => {
    const { config, heard } = await serving((socket) => void socket.write(answer), words);
    expect(await dialling(config)).toBe(text);
    expect(heard).toEqual(['plain']);
  });

  test('is what keeps the password here', async () => {
    const asks = message('R', 3);
    const { config, heard } = await serving((socket) => void socket.write(asks), {
      sslmode: 'disable',
    });
    expect(await dialling(config)).not.toBe('connected');
    expect(heard).toEqual(['plain', 'p']);
  });
});
