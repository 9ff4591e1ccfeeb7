/** What every {@link KeyValueStore} promises; run against memory and against etcd. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Change,
  type KeyValueStore,
  LeaseGone,
  StoreRefused,
  StoreUnavailable,
} from '../../src/store/keyvalue.ts';

/** The store under test, however it comes to be. */
export interface Subject {
  /** A new client. */
  client(): KeyValueStore;
  /** Waits for a condition; where time is simulated, it moves on meanwhile. */
  until(what: string, condition: () => Promise<boolean>): Promise<void>;
}

export const CALL = { timeoutMs: 5000 };

export function describeKeyValueStore(subject: () => Subject): void {
  let store: KeyValueStore;
  let lease: string;
  let scope = 0;
  let prefix: string;
  beforeEach(() => {
    scope += 1;
    prefix = `/contract/${scope}/`;
    lease = String(7_000_000_000_000_000_000n + BigInt(scope));
    store = subject().client();
  });
  afterEach(() => store.close());
  const key = (name: string): string => `${prefix}${name}`;
  const put = (name: string, value: string, leaseId?: string) =>
    store.transact([], [{ put: key(name), value, ...(leaseId ? { leaseId } : {}) }], [], CALL);
  const get = async (name: string) =>
    (await store.transact([], [{ get: key(name) }], [], CALL)).reads[0];

  test('a range shows everything below its prefix, and nothing else, at one revision', async () => {
    await store.transact(
      [],
      [
        { put: key('b'), value: '2' },
        { put: key('a'), value: 'ü\n' },
        { put: `${prefix.slice(0, -1)}0/a`, value: 'another scope' },
      ],
      [],
      CALL,
    );
    const { kvs, revision, raftTerm, clusterId } = await store.range(prefix, CALL);
    expect(kvs.map(({ key: name, value }) => [name, value])).toEqual([
      [key('a'), 'ü\n'],
      [key('b'), '2'],
    ]);
    expect(kvs[0]).toMatchObject({
      createRevision: revision,
      modRevision: revision,
      leaseId: null,
    });
    expect(raftTerm).toBeGreaterThan(0);
    expect(clusterId).toMatch(/^\d+$/);
  });

  test('compares: creation, modification, value, lease', async () => {
    await store.grant(lease, 30, CALL);
    const first = await put('a', '1');
    const second = await put('a', '2', lease);
    const holds = async (compare: object): Promise<boolean> =>
      (await store.transact([{ key: key('a'), ...compare } as never], [], [], CALL)).succeeded;
    expect(await holds({ createRevision: first.revision })).toBe(true);
    expect(await holds({ createRevision: 0 })).toBe(false);
    expect(await holds({ modRevision: second.revision })).toBe(true);
    expect(await holds({ modRevision: first.revision })).toBe(false);
    expect(await holds({ value: '2' })).toBe(true);
    expect(await holds({ value: '1' })).toBe(false);
    expect(await holds({ leaseId: lease })).toBe(true);
    expect(await holds({ leaseId: '5' })).toBe(false);
    expect(await holds({ leaseId: '0' })).toBe(false);
    expect(await holds({ key: key('none'), createRevision: 0 })).toBe(true);
    expect(await holds({ key: key('none'), modRevision: 0 })).toBe(true);
    expect(await holds({ key: key('none'), value: '' })).toBe(false);
  });

  test('a transaction does one branch, all of it, and answers its reads in order', async () => {
    await put('a', '1');
    const compare = [{ key: key('a'), value: '2' }];
    const gets = [{ get: key('none') }, { get: key('a') }];
    const refused = await store.transact(compare, [{ delete: key('a') }], gets, CALL);
    expect(refused.succeeded).toBe(false);
    expect(refused.reads.map((read) => read?.value ?? null)).toEqual([null, '1']);
    const done = await store.transact(
      [{ key: key('a'), value: '1' }],
      [{ delete: key('a') }, { put: key('b'), value: 'x' }, { get: key('b') }],
      [],
      CALL,
    );
    expect(done).toMatchObject({ succeeded: true, reads: [{ value: 'x' }] });
    expect(await get('a')).toBeNull();
  });

  test('a put keeps the creation revision, and moves the key to its lease or to none', async () => {
    await store.grant(lease, 30, CALL);
    const first = await put('a', '1', lease);
    expect(await get('a')).toMatchObject({ leaseId: lease });
    const second = await put('a', '1');
    expect(await get('a')).toMatchObject({
      createRevision: first.revision,
      modRevision: second.revision,
      leaseId: null,
    });
  });

  test('leases: granted under our id once, kept alive, seen, revoked', async () => {
    expect(await store.grant(lease, 30, CALL)).toMatchObject({ ttlSeconds: 30 });
    const again = store.grant(lease, 30, CALL);
    await expect(again).rejects.toThrow(StoreRefused);
    await expect(again).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await store.keepAlive(lease, CALL)).toMatchObject({ ttlSeconds: 30 });
    const { remainingSeconds } = await store.timeToLive(lease, CALL);
    expect(remainingSeconds).toBeGreaterThan(25);
    expect(remainingSeconds).toBeLessThanOrEqual(30);
    await put('a', '1', lease);
    await store.revokeUnused(lease, CALL);
    await store.revokeUnused(lease, CALL);
    expect(await get('a')).toBeNull();
  });

  test('a lease that does not exist: no time, and no key', async () => {
    expect(await store.keepAlive('4711', CALL)).toMatchObject({ ttlSeconds: 0 });
    expect(await store.timeToLive('4711', CALL)).toMatchObject({ remainingSeconds: 0 });
    await expect(put('a', '1', '4711')).rejects.toThrow(LeaseGone);
    expect(await get('a')).toBeNull();
  });

  test('a lease that nobody keeps alive ends, and its keys with it', async () => {
    const { ttlSeconds } = await store.grant(lease, 1, CALL);
    expect(ttlSeconds).toBeGreaterThanOrEqual(1);
    await put('a', '1', lease);
    await put('b', '1');
    await subject().until('the key to go', async () => (await get('a')) === null);
    expect(await get('b')).not.toBeNull();
    expect(await store.keepAlive(lease, CALL)).toMatchObject({ ttlSeconds: 0 });
  });

  test('a view from before what is known is refused; another store is another history', async () => {
    const { revision, clusterId } = await put('a', '1');
    const short = { timeoutMs: 300 };
    const known = { ...short, notBefore: { clusterId, revision } };
    expect((await store.range(prefix, known)).kvs).toHaveLength(1);
    const ahead = { ...short, notBefore: { clusterId, revision: revision + 1_000_000 } };
    await expect(store.range(prefix, ahead)).rejects.toThrow(StoreUnavailable);
    const elsewhere = { ...ahead, notBefore: { ...ahead.notBefore, clusterId: '5' } };
    expect((await store.range(prefix, elsewhere)).kvs).toHaveLength(1);
  });

  test('a watch tells that it begins, then what changes below its prefix, until stopped', async () => {
    const changes: Change[] = [];
    const gaps: string[] = [];
    const watch = store.watch(
      prefix,
      (more) => void changes.push(...more),
      (why) => void gaps.push(why),
    );
    await subject().until('the watch to begin', async () => gaps.length > 0);
    await put('a', '1');
    await store.transact([], [{ put: `${prefix.slice(0, -1)}0/a`, value: '' }], [], CALL);
    await store.transact([], [{ delete: key('a') }, { put: key('b'), value: '' }], [], CALL);
    await subject().until('the changes', async () => changes.length > 2);
    expect(changes[0]).toEqual({ key: key('a'), value: '1' });
    expect(changes).toContainEqual({ key: key('a'), value: null });
    expect(changes).toContainEqual({ key: key('b'), value: '' });
    watch.stop();
    const second: Change[] = [];
    const other = store.watch(
      prefix,
      (more) => void second.push(...more),
      () => void second.push({ key: 'begins', value: null }),
    );
    await subject().until('the second watch to begin', async () => second.length > 0);
    await put('c', '');
    await subject().until('the second watch to tell', async () => second.length > 1);
    other.stop();
    expect(changes).toHaveLength(3);
  });

  test('once closed, it answers nothing', async () => {
    const closed = subject().client();
    closed.close();
    await expect(closed.range(prefix, CALL)).rejects.toThrow(StoreUnavailable);
  });
}

/** Groups the suite under the name of its subject. */
export function describeContract(name: string, subject: () => Subject): void {
  describe(`${name}: key-value store`, () => describeKeyValueStore(subject));
}
