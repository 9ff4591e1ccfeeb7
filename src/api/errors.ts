/**
 * Everything the REST API can refuse, in one table. Bodies say what a caller may know and never
 * carry the message of an inner error.
 */
import type { Answer } from './answer.ts';

const PROBLEMS = {
  bad_request: { status: 400, message: 'The request cannot be understood.' },
  length_required: { status: 411, message: 'The request needs a body and its Content-Length.' },
  config_changed: {
    status: 409,
    message: 'The configuration was changed by somebody else meanwhile.',
  },
  payload_too_large: { status: 413, message: 'The request body is too large.' },
  too_many_requests: { status: 429, message: 'Too many requests from this address.' },
  internal: { status: 500, message: 'Internal error; see the log of this node.' },
  not_supported: { status: 501, message: 'Not supported yet by this version of Tenure.' },
  no_config: { status: 502, message: 'The cluster has no valid dynamic configuration.' },
  config_not_written: { status: 502, message: 'The configuration could not be written.' },
  no_config_to_patch: { status: 503, message: 'The cluster has no valid dynamic configuration.' },
  no_store: { status: 503, message: 'The store cannot be read or written now.' },
  no_failsafe: { status: 502, message: 'Failsafe mode is not active.' },
  no_view: { status: 503, message: 'This node has not been able to read the store yet.' },
} as const;

export type ProblemName = keyof typeof PROBLEMS;

/** The answer to a request that is refused: `{"error": name, "message": sentence}`. */
export function problem(name: ProblemName): Answer {
  const { status, message } = PROBLEMS[name];
  return { status, body: () => ({ error: name, message }) };
}

/** Sorts what Fastify or a handler threw; anything that is not the caller's fault is internal. */
export function problemOf(error: unknown): ProblemName {
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : 500;
  if (status === 413) return 'payload_too_large';
  return typeof status === 'number' && status >= 400 && status < 500 ? 'bad_request' : 'internal';
}

const LISTEN_CAUSES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use by another process',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'this user may not open that port',
  ENOTFOUND: 'the host name cannot be resolved',
  EAI_AGAIN: 'the host name cannot be resolved now',
};

/** The REST API could not open its port. The message names the address and the cause. */
export class ApiListenError extends Error {
  override readonly name = 'ApiListenError';
  /** `host:port` as configured. */
  readonly address: string;
  /** System error code such as EADDRINUSE; null when there is none. */
  readonly code: string | null;

  constructor(address: string, cause: unknown) {
    const code = codeOf(cause);
    const text = (code !== null && LISTEN_CAUSES[code]) || String(cause);
    super(`REST API cannot listen on ${address}: ${text}${code === null ? '' : ` (${code})`}`, {
      cause,
    });
    this.address = address;
    this.code = code;
  }
}

function codeOf(cause: unknown): string | null {
  if (typeof cause !== 'object' || cause === null || !('code' in cause)) return null;
  return typeof cause.code === 'string' ? cause.code : null;
}
