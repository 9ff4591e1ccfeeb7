/** What operators write: never over each other (field D71; contract 2.3). */
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterStore } from '../../src/store/cluster.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryStore } from './memory.ts';

let etcd: MemoryStore;
let one: ClusterStore;
let two: ClusterStore;

beforeEach(() => {
  const clock = new ManualClock();
  etcd = new MemoryStore(clock);
  const options = { namespace: 'service', scope: 'test', clock, retryTimeoutMs: 1000 };
  one = new ClusterStore(etcd.client(), options);
  two = new ClusterStore(etcd.client(), options);
});

const request = (candidate: string, scheduledAt: string | null = null) => ({
  leader: 'n1',
  candidate,
  scheduledAt,
});
const value = (key: string): string | undefined =>
  etcd.now().kvs.find((kv) => kv.key === `/service/test/${key}`)?.value;

describe('a request to hand over', () => {
  it("is written in Patroni's words", async () => {
    expect(await one.writeFailover(request('n2'))).toBe(true);
    expect(value('failover')).toBe('{"leader":"n1","member":"n2"}');
  });

  it('D71: does not take the place of one in progress', async () => {
    await one.writeFailover(request('n2'));
    expect(await two.writeFailover(request('n3'))).toBe(false);
    expect(value('failover')).toBe('{"leader":"n1","member":"n2"}');
    const written = await Promise.all(
      [one, two].map((store) => store.writeFailover(request('n3'))),
    );
    expect(written).toEqual([false, false]);
  });

  it('is one of two that come at the same time', async () => {
    const written = await Promise.all([
      one.writeFailover(request('n2')),
      two.writeFailover(request('n3')),
    ]);
    expect(written.filter(Boolean)).toHaveLength(1);
  });

  it('replaces one that is only scheduled, and can be withdrawn as it was seen', async () => {
    await one.writeFailover(request('n2', '2026-12-01T03:00:00+00:00'));
    const seen = (await one.read()).failover?.modRevision ?? 0;
    expect(await two.writeFailover(request('n3', '2026-12-02T03:00:00+00:00'))).toBe(true);
    expect(await one.deleteFailover(seen)).toBe(false);
    const now = (await one.read()).failover?.modRevision ?? 0;
    expect(await one.deleteFailover(now)).toBe(true);
    expect(value('failover')).toBe('{}');
    expect(await one.writeFailover(request('n2'))).toBe(true);
  });
});

describe('the configuration', () => {
  it('is replaced only as it was seen', async () => {
    expect(await one.replaceConfig({ ttl: 30 }, 0)).toBe(true);
    const { config } = await two.read();
    const seen = config.kind === 'absent' ? 0 : config.modRevision;
    expect(await one.replaceConfig({ ttl: 31 }, seen)).toBe(true);
    expect(await two.replaceConfig({ ttl: 32 }, seen)).toBe(false);
    expect(await two.replaceConfig({ ttl: 32 }, 0)).toBe(false);
    expect(value('config')).toBe('{"ttl":31}');
  });
});
