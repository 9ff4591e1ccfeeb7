/** How much one address may ask, and how often a refusal is said. */
import { beforeEach, describe, expect, test } from 'vitest';
import { RateLimit, Refusals, WRONG_PASSWORD_COST } from '../../src/api/limits.ts';
import { startApi } from '../../src/api/server.ts';
import { Scene } from './operating.ts';
import { opened } from './serving.ts';

let now: number;
const clock = { now: () => now };
beforeEach(() => {
  now = 0;
});

const admitted = (limit: RateLimit, address: string, times: number): number =>
  Array.from({ length: times }, () => limit.admits(address)).filter(Boolean).length;

describe('requests of one address', () => {
  test('may come in a burst, then at the rate', () => {
    const limit = new RateLimit(clock, { burst: 5, perSecond: 2 });
    expect(admitted(limit, 'a', 10)).toBe(5);
    now = 1_000;
    expect(admitted(limit, 'a', 10)).toBe(2);
    now = 3_600_000;
    expect(admitted(limit, 'a', 10)).toBe(5);
  });

  test('take nothing from another address, and cost more when they guess', () => {
    const limit = new RateLimit(clock, { burst: 5, perSecond: 1 });
    limit.charge('a', 4);
    expect(admitted(limit, 'a', 5)).toBe(1);
    limit.charge('a', 1_000);
    now = 1_000;
    expect(admitted(limit, 'a', 5)).toBe(1);
    expect(admitted(limit, 'b', 5)).toBe(5);
  });

  test('of any number of addresses need a bounded memory', () => {
    const limit = new RateLimit(clock, { burst: 1, perSecond: 0 });
    expect(limit.admits('first')).toBe(true);
    for (let number = 0; number < 5_000; number += 1) limit.admits(`a${number}`);
    expect(limit.admits('a4999')).toBe(false);
    expect(limit.admits('first'), 'forgotten, as the one that was quiet longest').toBe(true);
  });
});

test('a refusal is said once a minute for each address and reason, with how often it came', () => {
  const said: string[] = [];
  const refusals = new Refusals(clock, (text) => said.push(text));
  for (let time = 0; time < 4; time += 1) refusals.add('10.0.0.1', 'it was refused');
  refusals.add('10.0.0.2', 'it was refused');
  now = 60_000;
  refusals.add('10.0.0.1', 'it was refused');
  expect(said).toEqual([
    'REST: it was refused from 10.0.0.1',
    'REST: it was refused from 10.0.0.2',
    'REST: it was refused from 10.0.0.1 (and 3 times more since it was last said)',
  ]);
});

describe('the API', () => {
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;

  async function listen(burst: number) {
    const scene = new Scene();
    scene.access = { ...scene.access, credentials: { username: 'admin', password: 'geheim' } };
    const refused: string[] = [];
    const api = await startApi({
      status: { snapshot: () => scene.snapshot },
      host: '127.0.0.1',
      port: 0,
      operator: scene.operator,
      onRefusal: (text) => refused.push(text),
      rate: { burst, perSecond: 0 },
    });
    opened.push(api);
    const ask = async (path: string, method: string, authorization: string) => {
      const url = `http://127.0.0.1:${api.port}${path}`;
      return await fetch(url, { method, headers: { authorization } });
    };
    return { ask, refused };
  }

  test('refuses what is too much with 429, and goes on with health checks and failsafe', async () => {
    const { ask, refused } = await listen(2);
    const right = basic('admin:geheim');
    expect((await ask('/reload', 'POST', right)).status).toBe(202);
    expect((await ask('/reload', 'POST', right)).status).toBe(202);
    const answer = await ask('/reload', 'POST', right);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await answer.json()).toMatchObject({ error: 'too_many_requests' });
    expect((await ask('/primary', 'GET', right)).status).toBe(200);
    expect((await ask('/failsafe', 'POST', right)).status).not.toBe(429);
    expect(refused).toEqual(['REST: POST reload was refused: too many requests from 127.0.0.1']);
  });

  test('lets nobody guess passwords quickly, and shows none in what it says', async () => {
    const { ask, refused } = await listen(2 * WRONG_PASSWORD_COST);
    const statuses: number[] = [];
    for (const guess of ['admin:tell-nobody', 'root:tell-nobody', 'admin:geheim']) {
      statuses.push((await ask('/reload', 'POST', basic(guess))).status);
    }
    expect(statuses).toEqual([401, 401, 429]);
    expect(refused[0]).toBe('REST: POST reload was refused: not authenticated from 127.0.0.1');
    expect(refused.join()).not.toMatch(/tell-nobody|geheim|admin|root/);
  });
});
