/** {@link KeyValueStore} on etcd, with the client library's low-level calls only. */
import {
  CompareResult,
  CompareTarget,
  type Etcd3,
  type ICompare,
  type IKeyValue,
  type ILeaseKeepAliveResponse,
  type IRequestOp,
} from 'etcd3';
import type { Clock } from '../clock.ts';
import { Endpoints, type EtcdOptions } from './endpoints.ts';
import { EtcdWatch } from './etcd-watch.ts';
import { StreamEnded } from './failures.ts';
import {
  type CallOptions,
  type Change,
  type Compare,
  type Header,
  type KeyValue,
  type KeyValueStore,
  LeaseGone,
  type Operation,
} from './keyvalue.ts';

export type { EtcdOptions } from './endpoints.ts';

export class EtcdKeyValueStore implements KeyValueStore {
  readonly #endpoints: Endpoints;
  readonly #clock: Clock;

  /** Connects at the first call. @throws Error when no URL is configured. */
  constructor(options: EtcdOptions, clock: Clock) {
    this.#endpoints = new Endpoints(options, clock);
    this.#clock = clock;
  }

  async range(
    prefix: string,
    options: CallOptions,
  ): Promise<Header & { readonly kvs: readonly KeyValue[] }> {
    const request = { key: Buffer.from(prefix), range_end: rangeEnd(prefix) };
    const answer = await this.#endpoints.call('read', 'read', options, (client, deadline) =>
      client.kv.range(request, deadline),
    );
    return { ...this.#endpoints.header(answer.header), kvs: answer.kvs.map(keyValueOf) };
  }

  async transact(
    compare: readonly Compare[],
    then: readonly Operation[],
    otherwise: readonly Operation[],
    options: CallOptions,
  ): Promise<
    Header & { readonly succeeded: boolean; readonly reads: readonly (KeyValue | null)[] }
  > {
    const writes = [...then, ...otherwise].some((operation) => !('get' in operation));
    const request = {
      compare: compare.map(compareOf),
      success: then.map(operationOf),
      failure: otherwise.map(operationOf),
    };
    const answer = await this.#endpoints.call(
      writes ? 'write' : 'read',
      writes ? 'write' : 'read',
      options,
      (client, deadline) => client.kv.txn(request, deadline),
    );
    const reads: (KeyValue | null)[] = [];
    for (const { response_range: range } of answer.responses) {
      if (!range) continue;
      const [first] = range.kvs;
      reads.push(first ? keyValueOf(first) : null);
    }
    return { ...this.#endpoints.header(answer.header), succeeded: answer.succeeded, reads };
  }

  async grant(
    leaseId: string,
    ttlSeconds: number,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    const request = { ID: leaseId, TTL: Math.max(1, Math.floor(ttlSeconds)) };
    const answer = await this.#endpoints.call(
      'grant a lease',
      'write',
      options,
      (client, deadline) => client.leaseClient.leaseGrant(request, deadline),
    );
    return { ...this.#endpoints.header(answer.header), ttlSeconds: Number(answer.TTL) };
  }

  async keepAlive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly ttlSeconds: number }> {
    const answer = await this.#endpoints.call(
      'keep-alive',
      'harmless',
      options,
      (client, deadline) => keepAliveOnce(client, leaseId, deadline),
    );
    return { ...this.#endpoints.header(answer.header), ttlSeconds: Number(answer.TTL) };
  }

  async timeToLive(
    leaseId: string,
    options: CallOptions,
  ): Promise<Header & { readonly remainingSeconds: number }> {
    const answer = await this.#endpoints.call(
      'lease time to live',
      'harmless',
      options,
      (client, deadline) => client.leaseClient.leaseTimeToLive({ ID: leaseId }, deadline),
    );
    // etcd cuts fractions and says -1 for none: 0 is a lease in its last second.
    const remaining = Number(answer.TTL);
    return {
      ...this.#endpoints.header(answer.header),
      remainingSeconds: remaining < 0 ? 0 : remaining + 1,
    };
  }

  async revokeUnused(leaseId: string, options: CallOptions): Promise<void> {
    try {
      await this.#endpoints.call('revoke an unused lease', 'write', options, (client, deadline) =>
        client.leaseClient.leaseRevoke({ ID: leaseId }, deadline),
      );
    } catch (error) {
      if (!(error instanceof LeaseGone)) throw error;
    }
  }

  watch(
    prefix: string,
    onChange: (changes: readonly Change[]) => void,
    onGap: (why: string) => void,
  ): { stop(): void } {
    const range = { key: Buffer.from(prefix), range_end: rangeEnd(prefix) };
    return new EtcdWatch(this.#endpoints, this.#clock, range, onChange, onGap);
  }

  /** See {@link Endpoints.renew}. @throws StoreRefused */
  async renew(options: EtcdOptions): Promise<void> {
    await this.#endpoints.renew(options);
  }

  close(): void {
    this.#endpoints.close();
  }
}

/** Open a stream, write the id, take one answer, end: a stream of long life hides a dead peer. */
async function keepAliveOnce(
  client: Etcd3,
  leaseId: string,
  deadline: { readonly deadline: Date },
): Promise<ILeaseKeepAliveResponse> {
  const stream = await client.leaseClient.leaseKeepAlive(deadline);
  return new Promise((resolve, reject) => {
    stream.on('data', (answer) => {
      stream.end();
      resolve(answer);
    });
    stream.on('error', reject);
    stream.on('end', () => reject(new StreamEnded('keep-alive: the stream ended')));
    stream.write({ ID: leaseId });
  });
}

/** The first key after all that begin with `prefix`: its last byte + 1. */
function rangeEnd(prefix: string): Buffer {
  const bytes = Buffer.from(prefix);
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) + 1;
  return bytes;
}

function keyValueOf(kv: IKeyValue): KeyValue {
  return {
    key: kv.key.toString(),
    value: kv.value.toString(),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    leaseId: kv.lease === '0' ? null : kv.lease,
  };
}

function compareOf(compare: Compare): ICompare {
  const equal = { key: Buffer.from(compare.key), result: CompareResult.Equal };
  if ('createRevision' in compare) {
    return { ...equal, target: CompareTarget.Create, create_revision: compare.createRevision };
  }
  if ('modRevision' in compare) {
    return { ...equal, target: CompareTarget.Mod, mod_revision: compare.modRevision };
  }
  if ('value' in compare) {
    return { ...equal, target: CompareTarget.Value, value: Buffer.from(compare.value) };
  }
  return { ...equal, target: CompareTarget.Lease, lease: compare.leaseId };
}

function operationOf(operation: Operation): IRequestOp {
  if ('get' in operation) return { request_range: { key: Buffer.from(operation.get) } };
  if ('delete' in operation) {
    return { request_delete_range: { key: Buffer.from(operation.delete) } };
  }
  const { put, value, leaseId } = operation;
  return {
    request_put: {
      key: Buffer.from(put),
      value: Buffer.from(value),
      ...(leaseId === undefined ? {} : { lease: leaseId }),
    },
  };
}
