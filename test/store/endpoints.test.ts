/** Which endpoint is asked, and what is asked again: with endpoints that only answer the probe. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { IResponseHeader } from 'etcd3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RealClock } from '../../src/clock.ts';
import { type CallKind, Endpoints } from '../../src/store/endpoints.ts';
import { LeaseGone, StoreRefused, StoreUnavailable } from '../../src/store/keyvalue.ts';
import { ManualClock } from './manual-clock.ts';

interface FakeEndpoint {
  readonly server: Server;
  readonly url: string;
  status: number;
  probes: number;
}

let fakes: FakeEndpoint[];
let endpoints: Endpoints;
beforeEach(async () => {
  fakes = await Promise.all([listen(), listen()]);
  endpoints = new Endpoints({ urls: fakes.map(({ url }) => url) }, new RealClock());
});
afterEach(() => {
  endpoints.close();
  for (const { server } of fakes) server.close();
});

async function listen(): Promise<FakeEndpoint> {
  const server = createServer((_request, response) => {
    fake.probes += 1;
    response.writeHead(fake.status).end('{}');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const fake: FakeEndpoint = { server, url: `http://127.0.0.1:${port}`, status: 200, probes: 0 };
  return fake;
}

function header(raftTerm: number, revision = 10, cluster = '1'): { header: IResponseHeader } {
  return {
    header: {
      cluster_id: cluster,
      member_id: '1',
      revision: String(revision),
      raft_term: String(raftTerm),
    },
  };
}

function grpc(code: number, details: string): Error {
  return Object.assign(new Error(`${code} NAME: ${details}`), { code, details });
}

type Answer = { header: IResponseHeader } | Error | 'never';

/** Calls with one answer after the other; tells how many were asked for. */
async function call(
  kind: CallKind,
  answers: Answer[],
  options: object = {},
): Promise<{ readonly outcome: unknown; readonly asked: number }> {
  let asked = 0;
  const outcome = await endpoints
    .call('test', kind, { timeoutMs: 400, ...options }, async () => {
      asked += 1;
      const answer = answers.shift() ?? new Error('asked too often');
      if (answer === 'never') return new Promise<never>(() => undefined);
      if (answer instanceof Error) throw answer;
      return answer;
    })
    .catch((error: unknown) => error);
  return { outcome, asked };
}

describe('an answer from the past (S3)', () => {
  test('D14: a raft term that went backwards: another endpoint is asked, and stays preferred', async () => {
    await call('read', [header(7)]);
    expect(endpoints.preferred.url).toBe(fakes[0]?.url);
    for (const kind of ['read', 'harmless'] as const) {
      const before = endpoints.preferred.url;
      const { outcome, asked } = await call(kind, [header(6), header(7)]);
      expect(outcome).toEqual(header(7));
      expect(asked).toBe(2);
      expect(endpoints.preferred.url).not.toBe(before);
    }
  });

  test('a write answered like that may have happened', async () => {
    await call('read', [header(7)]);
    const { outcome, asked } = await call('write', [header(6), header(7)]);
    expect(outcome).toMatchObject({ name: 'StoreUnavailable', mayHaveHappened: true });
    expect(asked).toBe(1);
  });

  test('terms of another store do not count', async () => {
    await call('read', [header(7)]);
    expect((await call('read', [header(2, 1, '2')])).outcome).toEqual(header(2, 1, '2'));
  });

  test('a revision below what is known counts for reads', async () => {
    const notBefore = { clusterId: '1', revision: 11 };
    const read = await call('read', [header(7, 10), header(7, 11)], { notBefore });
    expect(read).toEqual({ outcome: header(7, 11), asked: 2 });
    expect((await call('harmless', [header(7, 10)], { notBefore })).asked).toBe(1);
  });
});

describe('a store that was wiped and kept its cluster id (D20)', () => {
  /** Pauses take no real time, only that of the clock. */
  class Hasty extends ManualClock {
    override async wait(ms: number): Promise<void> {
      this.advance(ms);
    }
  }
  const options = { notBefore: { clusterId: '1', revision: 50 }, forgetAfterMs: 10_000 };
  let clock: Hasty;
  beforeEach(async () => {
    endpoints.close();
    clock = new Hasty();
    endpoints = new Endpoints({ urls: fakes.map(({ url }) => url) }, clock);
    await call('read', [header(7, 50)]);
  });

  type By = (call: number) => Answer;

  /** Calls for so long, once in a second; each call gets its answers by their number in it. */
  async function during(ms: number, kind: CallKind, by: By): Promise<unknown> {
    let last: unknown = null;
    for (const end = clock.now() + ms; clock.now() < end; clock.advance(1000)) {
      let asked = 0;
      last = await endpoints
        .call('test', kind, { timeoutMs: 400, ...options }, async () => {
          const answer = by(asked++);
          if (answer instanceof Error || answer === 'never') throw answer;
          return answer;
        })
        .catch((error: unknown) => error);
    }
    return last;
  }

  const REFUSED = { name: 'StoreUnavailable' };
  const id = (): string => endpoints.header(header(2, 1).header).clusterId;

  test.each([
    ['a lower revision', header(7, 1)],
    ['a lower raft term', header(2, 60)],
    ['both', header(2, 1)],
  ])('%s everywhere is accepted after the time, as another history', async (_name, answer) => {
    expect(await during(9000, 'read', () => answer)).toMatchObject(REFUSED);
    expect(id()).toBe('1');
    expect(await during(4000, 'read', () => answer)).toEqual(answer);
    expect(id()).toBe('1#1');
    // Once more: the terms of the second history count as those of the first did.
    expect((await call('read', [header(9, 70)])).outcome).toEqual(header(9, 70));
    expect((await call('read', [header(8, 70), header(9, 70)])).asked).toBe(2);
  });

  test('not while a good one answers now and then: the time begins anew', async () => {
    for (let round = 0; round < 5; round += 1) {
      expect(await during(9000, 'read', () => header(2, 1))).toMatchObject(REFUSED);
      expect((await call('harmless', [header(7, 50)], options)).asked).toBe(1);
    }
    expect(id()).toBe('1');
  });

  test('not by one that is behind, beside a good one', async () => {
    const both: By = (asked) => (asked === 0 ? header(7, 49) : header(7, 50));
    expect(await during(60_000, 'read', both)).toEqual(header(7, 50));
    expect(id()).toBe('1');
  });

  test('not before every endpoint was asked again: a good one may be back after a silence', async () => {
    expect(await during(1000, 'read', () => header(2, 1))).toMatchObject(REFUSED);
    clock.advance(100_000);
    const back: By = (asked) => (asked === 0 ? header(2, 1) : header(7, 50));
    expect(await during(1000, 'read', back)).toEqual(header(7, 50));
    expect(id()).toBe('1');
  });

  test('one that does not answer does not keep it away', async () => {
    const half: By = (asked) => (asked % 2 === 0 ? header(2, 1) : grpc(14, 'Connection dropped'));
    expect(await during(14_000, 'read', half)).toEqual(header(2, 1));
  });

  test('not without an answer at the end', async () => {
    expect(await during(5000, 'read', () => header(2, 1))).toMatchObject(REFUSED);
    const silent = await during(60_000, 'read', () => grpc(14, 'Connection dropped'));
    expect(silent).toMatchObject(REFUSED);
    expect(id()).toBe('1');
  });

  test('keep-alives are no evidence: a deposed member answers them', async () => {
    expect(await during(60_000, 'harmless', () => header(6, 49))).toMatchObject(REFUSED);
    // Nor do they make the time begin.
    expect(await during(1000, 'read', () => header(6, 49))).toMatchObject(REFUSED);
    expect(await during(1000, 'read', () => header(6, 49))).toMatchObject(REFUSED);
    expect(id()).toBe('1');
  });
});

describe('failures', () => {
  test('a read is asked elsewhere, a write only when it cannot have happened', async () => {
    const dropped = grpc(14, 'Connection dropped');
    expect(await call('read', [dropped, header(1)])).toMatchObject({
      asked: 2,
      outcome: header(1),
    });
    const refused = grpc(14, 'No connection established');
    expect(await call('write', [refused, header(1)])).toMatchObject({
      asked: 2,
      outcome: header(1),
    });
    const { outcome, asked } = await call('write', [dropped, header(1)]);
    expect(asked).toBe(1);
    expect(outcome).toBeInstanceOf(StoreUnavailable);
    expect(outcome).toMatchObject({ mayHaveHappened: true });
  });

  test('D17: a lost leader of the store, mislabelled, is asked elsewhere', async () => {
    const answers = [grpc(2, 'not a primary lessor'), header(1)];
    expect(await call('harmless', answers)).toMatchObject({ asked: 2, outcome: header(1) });
  });

  test('what is final is final', async () => {
    const noSpace = await call('write', [grpc(8, 'etcdserver: mvcc: database space exceeded')]);
    expect(noSpace.outcome).toBeInstanceOf(StoreRefused);
    const noLease = await call('write', [grpc(5, 'etcdserver: requested lease not found')]);
    expect(noLease.outcome).toBeInstanceOf(LeaseGone);
    expect([noSpace.asked, noLease.asked]).toEqual([1, 1]);
  });

  test('silence ends by our own timer, and the next endpoint answers', async () => {
    const { outcome, asked } = await call('read', ['never', header(1)], { attemptMs: 50 });
    expect({ outcome, asked }).toEqual({ outcome: header(1), asked: 2 });
    const silent = await call('read', ['never', 'never', 'never', 'never', 'never', 'never'], {
      attemptMs: 100,
    });
    expect(silent.outcome).toMatchObject({ name: 'StoreUnavailable', mayHaveHappened: false });
  });

  test('an endpoint that does not answer the probe is not asked', async () => {
    for (const fake of fakes) fake.status = 500;
    const { outcome, asked } = await call('write', [header(1)]);
    expect(outcome).toMatchObject({ name: 'StoreUnavailable', mayHaveHappened: false });
    expect(asked).toBe(0);
    for (const fake of fakes) fake.status = 200;
    expect((await call('write', [header(1)])).outcome).toEqual(header(1));
  });

  test('only a suspect endpoint is probed, and again after each failure', async () => {
    await call('read', [header(1)]);
    await call('read', [header(1)]);
    expect(fakes.map(({ probes }) => probes)).toEqual([1, 0]);
    await call('read', [grpc(14, 'Connection dropped'), header(1)]);
    expect(fakes.map(({ probes }) => probes)).toEqual([1, 1]);
    await call('read', [grpc(14, 'Connection dropped'), header(1)]);
    expect(fakes.map(({ probes }) => probes)).toEqual([2, 1]);
  });

  test('D19: a stale login is renewed once, also for a write', async () => {
    const denied = (): Error => grpc(16, 'etcdserver: invalid auth token');
    expect(await call('write', [denied(), header(1)])).toMatchObject({
      asked: 2,
      outcome: header(1),
    });
    const { outcome, asked } = await call('write', [denied(), denied(), header(1)]);
    expect(asked).toBe(2);
    expect(outcome).toMatchObject({ name: 'StoreRefused', code: 'UNAUTHENTICATED' });
  });

  test('no URL is a mistake', () => {
    expect(() => new Endpoints({ urls: [] }, new RealClock())).toThrow('no endpoint');
  });
});
