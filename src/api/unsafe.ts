/**
 * Requests that change something (C-3.6): who may, what the body has to be, and who answers. The
 * first segment of the path and the method name the handler.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { denied, listedOnly } from './access.ts';
import { patchConfig, putConfig } from './configuring.ts';
import { type ProblemName, problem } from './errors.ts';
import { agree } from './failsafe.ts';
import { deleteSwitchover, handOver } from './handover.ts';
import { type RateLimit, type Refusals, WRONG_PASSWORD_COST } from './limits.ts';
import type { Operator, Reply } from './operator.ts';
import { deleteRestart, reinitialize, reload, restart } from './restarting.ts';
import { isCertified } from './secure.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Endpoint {
  readonly body: 'required' | 'optional' | 'ignored';
  /** Members are not let in for being members: who they are may be known no more (C-3.6). */
  readonly listedOnly?: boolean;
  readonly handle: (operator: Operator, fields: Fields) => Reply | Promise<Reply>;
}

/** What a caller has to get past before it is looked at. */
export interface Gate {
  readonly rate: RateLimit;
  readonly refusals: Refusals;
}

export const UNSAFE_ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  'POST switchover': { body: 'required', handle: (o, f) => handOver(o, 'switchover', f) },
  'POST failover': { body: 'required', handle: (o, f) => handOver(o, 'failover', f) },
  'DELETE switchover': { body: 'ignored', handle: deleteSwitchover },
  'POST restart': { body: 'optional', handle: restart },
  'DELETE restart': { body: 'ignored', handle: deleteRestart },
  'POST reload': { body: 'ignored', handle: reload },
  'POST reinitialize': { body: 'optional', handle: reinitialize },
  'POST failsafe': { body: 'required', handle: agree, listedOnly: true },
  'PATCH config': { body: 'required', handle: patchConfig },
  'PUT config': { body: 'required', handle: putConfig },
};

/** The endpoint that is meant, with its name; null: none that can change anything. */
export function unsafeEndpoint(
  method: string,
  url: string,
): { readonly name: string; readonly endpoint: Endpoint } | null {
  const path = url.split('?')[0] ?? '';
  const name = `${method} ${path.split('/')[1] ?? ''}`;
  const endpoint = Object.hasOwn(UNSAFE_ENDPOINTS, name) ? UNSAFE_ENDPOINTS[name] : undefined;
  return endpoint === undefined ? null : { name, endpoint };
}

/** @throws what the store throws: it has no answer, and the caller gets 503 for it */
export async function answerUnsafe(
  operator: Operator,
  { name, endpoint }: { readonly name: string; readonly endpoint: Endpoint },
  request: FastifyRequest,
  gate: Gate,
): Promise<Reply> {
  const refusal = refusalOf(operator, name, endpoint, request, gate);
  if (refusal !== null) return refusal;
  const fields = endpoint.body === 'ignored' ? {} : fieldsOf(request, endpoint.body === 'optional');
  if (typeof fields === 'string') return problemReply(fields);
  // The caller is told how it ended: that may take longer than a socket may be idle.
  request.raw.socket.setTimeout(0);
  try {
    return await endpoint.handle(operator, fields);
  } catch (error) {
    if (error instanceof Error && /^Store/.test(error.name)) return problemReply('no_store');
    throw error;
  }
}

/** Null when the caller may go on. What is said of a refusal holds nothing that the caller has sent. */
function refusalOf(
  operator: Operator,
  name: string,
  endpoint: Endpoint,
  request: FastifyRequest,
  { rate, refusals }: Gate,
): Reply | null {
  const { ip: address } = request;
  // A leader that asks to go on shares no account with the operators on its machine.
  const account = endpoint.listedOnly ? `${address} ${name}` : address;
  if (!rate.admits(account)) {
    refusals.add(address, `${name} was refused: too many requests`);
    return { ...problemReply('too_many_requests'), headers: { 'retry-after': '1' } };
  }
  const access = endpoint.listedOnly ? listedOnly(operator.access()) : operator.access();
  const { authorization } = request.headers;
  const caller = { address, authorization, certified: isCertified(request.raw.socket) };
  const refusal = denied(access, caller, operator.snapshot().cluster);
  if (refusal === null) return null;
  refusals.add(address, `${name} was refused: ${String(refusal.body)}`);
  if (refusal.status === 401 && authorization !== undefined)
    rate.charge(account, WRONG_PASSWORD_COST);
  return refusal;
}

/** The body as an object, or the name of what is wrong with it. */
function fieldsOf(request: FastifyRequest, optional: boolean): Fields | ProblemName {
  const { headers, body } = request;
  const length = headers['content-length'];
  const missing = length === undefined && headers['transfer-encoding'] === undefined;
  if (missing) return optional ? {} : 'length_required';
  if (optional && (body === undefined || body === '')) return {};
  try {
    const parsed: unknown = JSON.parse(typeof body === 'string' ? body : '');
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
    if (!isObject) return 'bad_request';
    const empty = Object.keys(parsed).length === 0;
    return empty && !optional ? 'bad_request' : (parsed as Fields);
  } catch {
    return 'bad_request';
  }
}

function problemReply(name: ProblemName): Reply {
  const { status, body } = problem(name);
  return { status, body: (body?.() ?? {}) as Fields };
}

export function send(reply: FastifyReply, { status, body, headers }: Reply): FastifyReply {
  reply.code(status);
  if (headers !== undefined) reply.headers(headers);
  return typeof body === 'string'
    ? reply.type('text/plain; charset=utf-8').send(body)
    : reply.type('application/json').send(JSON.stringify(body));
}
