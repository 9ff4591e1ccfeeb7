import {
  ClientClosedError,
  castGrpcError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
} from 'etcd3';
import { describe, expect, test } from 'vitest';
import { TimeoutError } from '../../src/clock.ts';
import { failureOf, ProbeFailed, StaleAnswer } from '../../src/store/failures.ts';

/** As gRPC reports it: code and details. */
function grpc(code: number, details: string): Error {
  return Object.assign(new Error(`${code} NAME: ${details}`), { code, details });
}

describe('what an error means', () => {
  test.each([
    [
      'not a primary lessor, mislabelled (D17)',
      grpc(2, 'not a primary lessor'),
      'elsewhere',
      false,
    ],
    ['no connection', grpc(14, 'No connection established. Last error: x'), 'elsewhere', false],
    ['refused', grpc(14, 'connect ECONNREFUSED 127.0.0.1:1'), 'elsewhere', false],
    ['too many requests', grpc(8, 'etcdserver: too many requests'), 'elsewhere', false],
    ['connection dropped', grpc(14, 'Connection dropped'), 'elsewhere', true],
    ['raft is slow', grpc(14, 'etcdserver: request timed out'), 'elsewhere', true],
    ['deadline', grpc(4, 'Deadline exceeded'), 'elsewhere', true],
    ['unknown', grpc(2, 'something'), 'elsewhere', true],
    ['flow control', grpc(8, 'Bandwidth exhausted'), 'elsewhere', true],
    ['own timer', new TimeoutError('x'), 'elsewhere', true],
    ['past', new StaleAnswer('x'), 'elsewhere', true],
    ['probe', new ProbeFailed('x'), 'elsewhere', false],
    ['closed client', new ClientClosedError('KV'), 'elsewhere', false],
  ])('%s: elsewhere', (_name, error, kind, mayHaveHappened) => {
    expect(failureOf(error)).toMatchObject({ kind, mayHaveHappened });
  });

  test.each([
    ['no space', grpc(8, 'etcdserver: mvcc: database space exceeded'), 'RESOURCE_EXHAUSTED'],
    ['bad request', grpc(3, 'etcdserver: duplicate key given in txn request'), 'INVALID_ARGUMENT'],
    ['same lease', grpc(9, 'etcdserver: lease already exists'), 'FAILED_PRECONDITION'],
    [
      'password',
      grpc(3, 'etcdserver: authentication failed, invalid user ID or password'),
      'UNAUTHENTICATED',
    ],
    ['a mistake of ours', new TypeError('x is not a function'), 'UNKNOWN'],
  ])('%s: refused', (_name, error, code) => {
    expect(failureOf(error)).toMatchObject({ kind: 'refused', code });
  });

  test.each([
    ['token', new EtcdInvalidAuthTokenError('etcdserver: invalid auth token'), 'login'],
    ['token on a stream', grpc(16, 'etcdserver: invalid auth token'), 'login'],
    ['old revision', grpc(3, 'etcdserver: revision of auth store is old'), 'login'],
    ['no user', grpc(3, 'etcdserver: user name is empty'), 'login'],
    ['permission', grpc(7, 'etcdserver: permission denied'), 'login'],
    ['no users at all', grpc(9, 'etcdserver: authentication is not enabled'), 'noLogin'],
    ['lease', new EtcdLeaseInvalidError('1'), 'leaseGone'],
    ['lease on the wire', grpc(5, 'etcdserver: requested lease not found'), 'leaseGone'],
  ])('%s', (_name, error, kind) => {
    expect(failureOf(error).kind).toBe(kind);
    expect(failureOf(castGrpcError(error)).kind).toBe(kind);
  });

  test('anything can be thrown', () => {
    expect(failureOf('text')).toMatchObject({ kind: 'refused', message: 'text' });
    expect(failureOf(undefined)).toMatchObject({ kind: 'refused' });
  });
});
