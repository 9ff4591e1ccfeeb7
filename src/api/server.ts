/**
 * The REST API's HTTP side: Fastify around the route table. It knows no policy and keeps no state:
 * each answer is a view of the latest snapshot (rule F6).
 */
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { RealClock, TimeoutError, within } from '../clock.ts';
import type { StatusSource } from '../status.ts';
import type { View } from './answer.ts';
import { ApiListenError, problem, problemOf } from './errors.ts';
import { withoutAnswers } from './facts.ts';
import { boundAddresses, type Rate, RateLimit, Refusals } from './limits.ts';
import type { Operator } from './operator.ts';
import { ENDPOINTS, FRESH_ENDPOINTS, healthCheck, unsupported } from './routes.ts';
import { type ApiTls, renewSecure, secureOptions, watchHandshakes } from './secure.ts';
import { answerUnsafe, type Gate, send, unsafeEndpoint } from './unsafe.ts';

export interface ApiOptions {
  readonly status: StatusSource;
  /** Name or address to listen on; `*` or empty: every address, IPv6 and IPv4. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /**
   * Brings the snapshot's facts about PostgreSQL up to date; awaited by `GET /patroni` alone, and
   * not for long: a PostgreSQL that hangs must not hang the answer. Without it: the latest snapshot.
   */
  readonly freshen?: () => Promise<void>;
  /** For requests that change something; without it they are 501. */
  readonly operator?: Operator;
  /** Told of each error of ours that became a 500; the API has no log of its own. */
  readonly onError?: (error: unknown) => void;
  /** Told of callers that were turned away; each kind is said once a minute for each address. */
  readonly onRefusal?: (text: string) => void;
  /** With it the API speaks https, and nothing else. */
  readonly tls?: ApiTls | null;
  /** Added to every answer; asked for each. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Of requests that change something, for each address. */
  readonly rate?: Rate;
}

export interface ApiServer {
  /** The port that is open. */
  readonly port: number;
  /**
   * Another certificate, authority or rule for clients, from the next connection on; those that are
   * open stay. Only where the API speaks https already.
   */
  renew(tls: ApiTls): void;
  /** Stops listening and ends all connections, in at most 300 ms. May be called twice. */
  close(): Promise<void>;
}

/** Limits, ms and bytes. A caller that is slower or larger than these is cut off. */
const KEEP_ALIVE_MS = 2_000;
const REQUEST_MS = 5_000;
const IDLE_SOCKET_MS = 10_000;
const BODY_BYTES = 256 * 1024;
/** Further connections are closed at once: descriptors are for etcd and PostgreSQL too. */
const MOST_CONNECTIONS = 1000;
/** Of one address: a stranger must not keep load balancers and members out. */
const MOST_OF_ONE_ADDRESS = 200;
/** Longest wait for fresh facts. Peers in a race give an answer about two seconds. */
const FRESH_MS = 500;
/** Time that running requests have to end when the API closes; close() promises 300 ms. */
const CLOSE_GRACE_MS = 150;

/** With the version of Prometheus's text format, which `/metrics` has (C-3.1, C-4). */
const PLAIN_TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const HTTP = {
  // HAProxy's `httpchk … HTTP/1.1` without a Host header works with Patroni, so it does here.
  requireHostHeader: false,
  headersTimeout: REQUEST_MS,
  connectionsCheckingInterval: 1_000,
} as const;

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** Opens the REST API. @throws ApiListenError when the address cannot be opened */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const app = buildApi(options);
  await app.ready();
  try {
    await listen(app, options.host, options.port);
  } catch (error) {
    await app.close();
    throw new ApiListenError(`${options.host || '*'}:${options.port}`, error);
  }
  const { port } = app.server.address() as AddressInfo;
  return { port, close: () => close(app), renew: (tls) => renewSecure(app.server, tls) };
}

function buildApi(options: ApiOptions): FastifyInstance {
  const { status, headers, onError = () => undefined, tls = null } = options;
  const clock = options.operator?.clock ?? new RealClock();
  const refusals = new Refusals(clock, options.onRefusal ?? (() => undefined));
  const gate = { rate: new RateLimit(clock, options.rate), refusals };
  const refuse = (error: unknown, _request: FastifyRequest, reply: FastifyReply): void => {
    const name = problemOf(error);
    if (name === 'internal') onError(error);
    const { status: code, body } = problem(name);
    reply.code(code).send(body?.());
  };
  const limits = {
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    connectionTimeout: IDLE_SOCKET_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    frameworkErrors: refuse,
  } as const;
  const app =
    tls === null
      ? fastify({ ...limits, http: HTTP })
      : (fastify({
          ...limits,
          https: { ...HTTP, ...secureOptions(tls) },
        }) as unknown as FastifyInstance);
  app.server.maxConnections = MOST_CONNECTIONS;
  boundAddresses(app.server, MOST_OF_ONE_ADDRESS);
  if (tls !== null) watchHandshakes(app.server, refusals);
  app.setErrorHandler(refuse);
  if (headers !== undefined) {
    app.addHook('onRequest', (_request, reply, done) => {
      reply.headers(headers());
      done();
    });
  }
  // Bodies are JSON texts without a content type in Patroni's own requests (C-3.8).
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  for (const [segment, view] of Object.entries(ENDPOINTS)) {
    for (const url of [`/${segment}`, `/${segment}/*`]) {
      const fresh = FRESH_ENDPOINTS.has(segment);
      const handler = fresh ? answeringFresh(options, view) : answering(status, view);
      app.route({ method: SAFE_METHODS, url, handler });
    }
  }
  app.route({ method: SAFE_METHODS, url: '*', handler: answering(status, healthCheck) });
  // Every other method, whatever the path.
  app.setNotFoundHandler(changing(options, gate));
  return app;
}

/** What the table of unsafe endpoints does not name is not supported. */
function changing({ status, operator }: ApiOptions, gate: Gate): Handler {
  const otherwise = answering(status, unsupported);
  return async (request, reply) => {
    const found = unsafeEndpoint(request.method, request.raw.url ?? '/');
    if (operator === undefined || found === null) return otherwise(request, reply);
    return send(reply, await answerUnsafe(operator, found, request, gate));
  };
}

/**
 * The view of facts that have just been looked at. Where PostgreSQL does not say them in time, the
 * answer has none (S4, appendix B 7): a candidate that hangs must not look as it did before.
 */
function answeringFresh({ status, freshen, onError }: ApiOptions, view: View): Handler {
  const clock = new RealClock();
  const plain = answering(status, view);
  const blind = answering({ snapshot: () => withoutAnswers(status.snapshot()) }, view);
  return async (request, reply) => {
    if (freshen === undefined || request.method !== 'GET') return plain(request, reply);
    try {
      await within(clock, FRESH_MS, 'looking at PostgreSQL', freshen());
    } catch (error) {
      if (!(error instanceof TimeoutError)) onError?.(error);
      return blind(request, reply);
    }
    return plain(request, reply);
  };
}

type Handler = (
  request: FastifyRequest,
  reply: FastifyReply,
) => FastifyReply | Promise<FastifyReply>;

function answering(source: StatusSource, view: View): Handler {
  return (request, reply) => {
    const url = request.raw.url ?? '/';
    const mark = url.indexOf('?');
    const { status, body } = view(source.snapshot(), {
      path: mark < 0 ? url : url.slice(0, mark),
      query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
    });
    reply.code(status);
    if (body === null || request.method === 'HEAD' || request.method === 'OPTIONS') {
      return reply.send();
    }
    const content = body();
    if (typeof content === 'string') return reply.type(PLAIN_TEXT).send(content);
    return reply.type('application/json').send(JSON.stringify(content));
  };
}

/**
 * Node's own listen, not Fastify's: without a host it takes `::` for both families and falls back
 * to `0.0.0.0` where there is no IPv6, and it opens one server, so that close can end everything.
 */
function listen({ server }: FastifyInstance, host: string, port: number): Promise<void> {
  const everywhere = host === '' || host === '*';
  // An IPv6 address may come in brackets, as in a URL.
  const where = everywhere ? { port } : { port, host: host.replace(/^\[(.*)\]$/, '$1') };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function close(app: FastifyInstance): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), CLOSE_GRACE_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
  }
}
