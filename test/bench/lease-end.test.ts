/** The end of a lease, told from whole seconds. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { leaseEnd } from '../../scripts/bench/lease-end.ts';

const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Answers as etcd does: whole seconds, rounded down; a zero is left out; a lease that is gone has -1. */
async function etcd(secondsLeft: () => number): Promise<string> {
  const server = createServer((_request, response) => {
    const left = Math.floor(secondsLeft());
    response.end(JSON.stringify(left === 0 ? { ID: '7' } : { ID: '7', TTL: String(left) }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the end of a lease', () => {
  it.each([
    { left: 12.3, because: 'many seconds are left' },
    { left: 1.2, because: 'the last whole second begins' },
  ])('is found when $because', async ({ left }) => {
    const end = performance.now() + left * 1000;
    const found = await leaseEnd(await etcd(() => (end - performance.now()) / 1000), '7');
    expect(Math.abs(found - end)).toBeLessThan(700); // a whole second off is what must not be
  });

  it('is that of a last renewal which was under way', async () => {
    const end = performance.now() + 2400;
    let asked = 0;
    const left = (): number => (end - performance.now()) / 1000 - (asked++ === 0 ? 1 : 0);
    expect(Math.abs((await leaseEnd(await etcd(left), '7')) - end)).toBeLessThan(700);
  });

  it('is not looked for while the lease is renewed', async () => {
    await expect(leaseEnd(await etcd(() => 9.5), '7', 100)).rejects.toThrow('still renewed');
  });

  it('is not guessed when the lease is gone', async () => {
    await expect(leaseEnd(await etcd(() => -1), '7')).rejects.toThrow('gone');
  });
});
