import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { sharedLookup } from '../src/lookup.ts';
import { HttpPeers } from '../src/peers.ts';

type Ask = NonNullable<Parameters<typeof sharedLookup>[0]>;

test('a name is asked for once while its answer is awaited, and again afterwards', () => {
  const asked: { hostname: string; answer: Parameters<Ask>[2] }[] = [];
  const lookup = sharedLookup((hostname, _options, answer) => asked.push({ hostname, answer }));
  const found: unknown[] = [];
  const note = (error: Error | null, address: unknown): unknown =>
    found.push(error?.message ?? address);
  for (let time = 0; time < 50; time += 1) lookup('gone', {}, note);
  lookup('here', { all: true }, note);
  expect(asked.map(({ hostname }) => hostname)).toEqual(['gone', 'here']);
  asked[1]?.answer(null, [{ address: '10.0.0.1', family: 4 }]);
  expect(found).toEqual([[{ address: '10.0.0.1', family: 4 }]]);
  asked[0]?.answer(new Error('no answer'), []);
  expect(found).toHaveLength(51);
  expect(found.at(-1)).toBe('no answer');
  lookup('gone', {}, note);
  expect(asked).toHaveLength(3);
  asked[2]?.answer(null, [{ address: '10.0.0.2', family: 4 }]);
  expect(found.at(-1)).toBe('10.0.0.2');
  lookup('empty', {}, note);
  asked[3]?.answer(null, []);
  expect(found.at(-1)).toBe('no address is known for empty');
});

test('peers are found by name', async () => {
  const server = createServer((_request, response) => response.end('{}'));
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const url = `http://localhost:${port}/patroni`;
    expect(await new HttpPeers().liveness(url, 5000)).toBe(true);
  } finally {
    server.close();
  }
});
