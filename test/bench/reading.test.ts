/** What the bench reads: its command line, /proc, etcd's metrics, answers to its own load. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { BadDaemon, findDaemon, parseDaemon } from '../../scripts/bench/daemons.ts';
import { growth, parseRequests } from '../../scripts/bench/etcd-metrics.ts';
import { answerSize, generateLoad } from '../../scripts/bench/load.ts';
import { BadOption, parseOptions } from '../../scripts/bench/options.ts';
import { memory, parseStat, usage } from '../../scripts/bench/proc.ts';
import { CHECKOUT, commandWith } from '../../scripts/lab/index.ts';

describe('the command line', () => {
  it('has defaults', () => {
    expect(parseOptions([])).toMatchObject({ rounds: 5, idleSeconds: 60, ratio: false });
  });

  it.each([
    { args: ['--rows', 'sigterm,nonsense'], says: 'found nonsense; allowed: switchover,' },
    { args: ['--rounds', '0'], says: 'found "0"' },
    { args: ['--daemon', 'a=x', '--daemon', 'b=y', '--daemon', 'c=z'], says: 'found 3' },
    { args: ['--colour'], says: 'colour' },
  ])('refuses $args', ({ args, says }) => {
    expect(() => parseOptions(args)).toThrow(BadOption);
    expect(() => parseOptions(args)).toThrow(says);
  });

  it('takes rows in the order of the table', () => {
    expect(parseOptions(['--rows', 'health, sigterm'])).toMatchObject({
      rows: ['sigterm', 'health'],
    });
  });
});

describe('a daemon by command', () => {
  it('has a label and a program of this checkout', () => {
    expect(parseDaemon('ours=bin/tenure {config} --more')).toEqual({
      label: 'ours',
      command: [`${CHECKOUT}/bin/tenure`, '{config}', '--more'],
    });
    expect(parseDaemon('theirs=patroni {config}').command[0]).toBe('patroni');
  });

  it('gets its configuration where {config} stands, or last', () => {
    expect(commandWith(['x', '--file={config}', 'y'], 'c.yml')).toEqual(['x', '--file=c.yml', 'y']);
    expect(commandWith(['x', 'y'], 'c.yml')).toEqual(['x', 'y', 'c.yml']);
  });

  it('that is not there is refused with advice', async () => {
    await expect(findDaemon('patroni=no-such-program {config}')).rejects.toThrow(
      /cannot start no-such-program.*apt-get install/s,
    );
    expect(() => parseDaemon('bin/tenure')).toThrow(BadDaemon);
  });
});

describe('/proc', () => {
  it('is read past a command with blanks and parentheses', () => {
    const fields = '7 (a ) (b) S 1 1 1 0 -1 0 100 200 3 4 150 50 20 30 20 0 1 0 1';
    expect(parseStat(fields)).toEqual({ cpuSeconds: 2.5, childFaults: 204 });
  });

  it('tells about this very process', () => {
    expect(usage(process.pid).cpuSeconds).toBeGreaterThan(0);
    const { rss, pss } = memory(process.pid);
    expect(rss).toBeGreaterThan(10);
    expect(pss).toBeGreaterThan(0);
    expect(pss).toBeLessThanOrEqual(rss);
  });
});

describe("etcd's metrics", () => {
  const text = [
    'grpc_server_handled_total{grpc_code="OK",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 5',
    'grpc_server_handled_total{grpc_code="Canceled",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1',
    'grpc_server_handled_total{grpc_code="OK",grpc_method="LeaseKeepAlive",grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"} 2',
    'grpc_server_msg_received_total{grpc_method="LeaseKeepAlive",grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"} 9',
    'grpc_server_started_total{grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 100',
  ].join('\n');

  it('count requests by method, and the messages of streams that are still open', () => {
    expect(Object.fromEntries(parseRequests(text))).toEqual({ Range: 6, LeaseKeepAlive: 9 });
  });

  it('are compared without methods that were not used', () => {
    const before = new Map([['Range', 6]]);
    const after = new Map([
      ['Range', 6],
      ['Txn', 3],
    ]);
    expect(Object.fromEntries(growth(before, after))).toEqual({ Txn: 3 });
  });
});

describe('the load', () => {
  it('knows where an answer ends', () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n';
    expect(answerSize(Buffer.from('HTTP/1.1 200 OK\r\nContent-'))).toBeUndefined();
    expect(answerSize(Buffer.from(head))).toBe(head.length + 4);
    expect(answerSize(Buffer.from('HTTP/1.1 503 No\r\n\r\n'))).toBe(19);
  });

  it.each([
    { keepAlive: true, because: 'connections are kept' },
    { keepAlive: false, because: 'each answer ends its connection' },
  ])('counts answers: $because', async ({ keepAlive }) => {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests += 1;
      if (!keepAlive) response.setHeader('connection', 'close');
      response.end('{}');
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const options = { port, path: '/primary', connections: 2, warmUpMs: 50, countMs: 200 };
    const { perSecond, reconnections, failures } = await generateLoad(options);
    server.close();
    server.closeAllConnections();
    expect(perSecond).toBeGreaterThan(0);
    expect(perSecond * 0.2).toBeLessThanOrEqual(requests);
    expect(failures).toBe(0);
    expect(reconnections > 0).toBe(!keepAlive);
  });
});
