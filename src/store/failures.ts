/**
 * What an error of the etcd client means for the caller: try elsewhere, or final. The client hides
 * gRPC codes behind classes, and etcd mislabels some of its own (D16, D17).
 */
import {
  ClientClosedError,
  castGrpcError,
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCAbortedError,
  GRPCAlreadyExistsError,
  GRPCCancelledError,
  GRPCDeadlineExceededError,
  GRPCFailedPreconditionError,
  GRPCGenericError,
  GRPCInternalError,
  GRPCInvalidArgumentError,
  GRPCNotFoundError,
  GRPCNotImplementedError,
  GRPCOutOfRangeError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  GRPCUnavailableError,
  GRPCUnknownError,
} from 'etcd3';
import { TimeoutError } from '../clock.ts';

export type Failure =
  /** This endpoint cannot answer now. `mayHaveHappened` false: the request was not processed. */
  | { readonly kind: 'elsewhere'; readonly mayHaveHappened: boolean; readonly message: string }
  /** The token is stale or missing: the same endpoint again, with a new login. Not processed. */
  | { readonly kind: 'login'; readonly code: string; readonly message: string }
  /** The store knows no users: the same endpoint again, without a login. Not processed. */
  | { readonly kind: 'noLogin'; readonly message: string }
  | { readonly kind: 'leaseGone'; readonly message: string }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

/** The endpoint answered, but from a past that this agent has already left behind (rule S3). */
export class StaleAnswer extends Error {
  override readonly name = 'StaleAnswer';
}

/** The endpoint did not answer a question that costs nothing; the request itself was not sent. */
export class ProbeFailed extends Error {
  override readonly name = 'ProbeFailed';
}

/** A stream ended without the one answer it was opened for. */
export class StreamEnded extends Error {
  override readonly name = 'StreamEnded';
}

/** The client says RESOURCE_EXHAUSTED is worth a retry; a full store stays full (NOSPACE alarm). */
const NO_SPACE = /space exceeded|no space/i;
/** Contract 2.7: log in again and repeat. */
const LOGIN = /invalid auth token|auth store is old|user name is empty/i;
const NO_LOGIN = /authentication is not enabled/i;
/** The request never left, or was turned away at the door. */
const NOT_PROCESSED =
  /no connection established|ECONNREFUSED|too many requests|not a primary lessor/i;

const FINAL: readonly (readonly [new (message: string) => Error, string])[] = [
  [GRPCInvalidArgumentError, 'INVALID_ARGUMENT'],
  [GRPCNotFoundError, 'NOT_FOUND'],
  [GRPCAlreadyExistsError, 'ALREADY_EXISTS'],
  [GRPCFailedPreconditionError, 'FAILED_PRECONDITION'],
  [GRPCOutOfRangeError, 'OUT_OF_RANGE'],
  [GRPCNotImplementedError, 'UNIMPLEMENTED'],
  [EtcdAuthenticationFailedError, 'UNAUTHENTICATED'],
];

const ELSEWHERE: readonly (new (message: string) => Error)[] = [
  TimeoutError,
  StaleAnswer,
  StreamEnded,
  GRPCAbortedError,
  GRPCCancelledError,
  GRPCDeadlineExceededError,
  GRPCInternalError,
  GRPCResourceExhastedError,
  GRPCUnavailableError,
  GRPCUnknownError,
];

export function failureOf(thrown: unknown): Failure {
  const error = thrown instanceof Error ? castGrpcError(thrown) : new Error(String(thrown));
  const message = withoutPrefix(error.message);
  if (error instanceof ProbeFailed || error instanceof ClientClosedError) {
    return { kind: 'elsewhere', mayHaveHappened: false, message };
  }
  if (error instanceof EtcdLeaseInvalidError) return { kind: 'leaseGone', message };
  if (NO_LOGIN.test(message)) return { kind: 'noLogin', message };
  if (error instanceof EtcdInvalidAuthTokenError || LOGIN.test(message)) {
    return { kind: 'login', code: 'UNAUTHENTICATED', message };
  }
  if (error instanceof GRPCUnauthenticatedError) {
    return { kind: 'login', code: 'UNAUTHENTICATED', message };
  }
  if (error instanceof EtcdPermissionDeniedError) {
    return { kind: 'login', code: 'PERMISSION_DENIED', message };
  }
  if (error instanceof GRPCResourceExhastedError && NO_SPACE.test(message)) {
    return { kind: 'refused', code: 'RESOURCE_EXHAUSTED', message };
  }
  const final = FINAL.find(([type]) => error instanceof type);
  if (final) return { kind: 'refused', code: final[1], message };
  if (ELSEWHERE.some((type) => error instanceof type) || isBareGrpcError(error)) {
    return { kind: 'elsewhere', mayHaveHappened: !NOT_PROCESSED.test(message), message };
  }
  return { kind: 'refused', code: 'UNKNOWN', message };
}

/** Neither a class of its own nor a code: seen when a connection breaks under a stream. */
function isBareGrpcError(error: Error): boolean {
  return error.constructor === GRPCGenericError;
}

function withoutPrefix(message: string): string {
  return message.replace(/^(?:\w+Error: )?(?:\d+ [A-Z_]+: )?/, '');
}
