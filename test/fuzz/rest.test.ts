/** Whatever is sent to the REST server, it answers in the words of its table, and goes on. */
import { type Agent, Agent as HttpAgent, request as httpRequest } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Operator } from '../../src/api/operator.ts';
import { type ApiServer, startApi } from '../../src/api/server.ts';
import { dynamicFaults } from '../../src/config/index.ts';
import { Scene } from '../api/operating.ts';
import { raw } from '../api/serving.ts';
import { primary, replica } from '../api/snapshots.ts';
import { type FuzzRequest, rawBytes, requests, runs } from './inputs.ts';

/** Nothing else may come back. 500 only with the words that the contract has for it. */
const STATUSES = [200, 202, 400, 401, 403, 404, 409, 411, 412, 413, 422, 429, 500, 501, 502, 503];
const WORDS_OF_500 = ["Can't schedule restart in the paused state", 'Running as a leader'];

let scene: Scene;
let server: ApiServer;
let agent: Agent;
const errors: unknown[] = [];

/** The scene of now, with the configuration's own checks. */
function operator(): Operator {
  return {
    ...scene.operator,
    checkConfig: (before, after) => dynamicFaults(before, after, ['n3']),
  };
}

beforeAll(async () => {
  reset(0);
  const of = <K extends keyof Operator>(key: K): Operator[K] => operator()[key];
  const names = Object.keys(scene.operator) as (keyof Operator)[];
  const late = Object.defineProperties(
    {},
    Object.fromEntries(names.map((key) => [key, { get: () => of(key), enumerable: true }])),
  ) as Operator;
  server = await startApi({
    status: { snapshot: () => scene.snapshot },
    host: '127.0.0.1',
    port: 0,
    operator: late,
    onError: (error) => errors.push(error),
  });
  agent = new HttpAgent({ keepAlive: true, maxSockets: 8 });
});
afterAll(async () => {
  agent.destroy();
  await server.close();
});

/** Another situation for each: a primary or a replica, paused or not, with or without a password. */
function reset(situation: number): void {
  scene = new Scene();
  const paused = (situation & 1) === 1;
  scene.snapshot = (situation & 2) === 2 ? replica({ paused }) : primary({ paused });
  if ((situation & 4) === 4)
    scene.access = { ...scene.access, credentials: { username: 'a', password: 'b' } };
  scene.onFailover = ({ candidate }) => scene.lead(candidate ?? 'n2');
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function send({ method, path, headers, body }: FuzzRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Said by hand: Node's client sends a body with GET or DELETE without its length.
    const length = body === null ? {} : { 'content-length': Buffer.byteLength(body) };
    const all = { ...headers, ...length };
    const options = { port: server.port, host: '127.0.0.1', method, path, headers: all, agent };
    const sent = httpRequest(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body ?? undefined);
  });
}

test('requests of every kind: a status of the table, JSON or a sentence, no error of ours', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(requests, fc.nat({ max: 7 }), async (request, situation) => {
      reset(situation);
      const { status, text } = await send(request);
      // Node's own answer to an Expect that it does not know.
      if (request.headers.expect !== undefined && status === 417) return;
      expect(STATUSES).toContain(status);
      if (status === 500) expect(WORDS_OF_500).toContain(text);
      expect(text).not.toMatch(/\n\s+at .*:\d+:\d+/);
      expect(errors).toEqual([]);
      for (const written of scene.configs) expect(dynamicFaults({}, written, [])).toEqual([]);
    }),
    { numRuns: runs(3000) },
  );
});

test('bytes that are no request end in an answer or a closed connection', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(rawBytes, async (bytes) => {
      reset(0);
      const answer = await raw(server.port, bytes, '127.0.0.1');
      if (answer !== '') expect(answer).toMatch(/^HTTP\/1\.1 [2345]\d\d /);
      expect(errors).toEqual([]);
    }),
    { numRuns: runs(300) },
  );
  expect((await send({ method: 'GET', path: '/patroni', headers: {}, body: null })).status).toBe(
    200,
  );
});
