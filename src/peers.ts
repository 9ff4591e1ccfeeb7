/**
 * Asks the other agents for their state over REST: in parallel, bounded in time and size, never
 * twice. What cannot be understood is an unknown fact, never a position of zero (rule S4).
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { z } from 'zod';
import type { PeerFacts } from './core/model.ts';
import type { Tags } from './core/settings.ts';
import { sharedLookup } from './lookup.ts';
import { connectionProblem, type TlsNames, tlsName } from './tls.ts';

export interface PeerAddress {
  readonly name: string;
  /** `http(s)://host:port/patroni` as the member published it; null when it published none. */
  readonly apiUrl: string | null;
}

export interface Peers {
  /**
   * One answer for each member, in the same order. Takes at most `timeoutMs` in all; never rejects.
   */
  ask(members: readonly PeerAddress[], timeoutMs: number): Promise<PeerFacts[]>;
  /**
   * Asks each of them to let this node go on without the store (contract 5.4): one answer for each, in
   * the same order. Takes at most `timeoutMs` in all; never rejects.
   */
  failsafe(
    members: readonly PeerAddress[],
    body: Readonly<Record<string, unknown>>,
    timeoutMs: number,
  ): Promise<FailsafeAnswer[]>;
  /** True when anything at that address answers in HTTP, whatever it says, in `timeoutMs`. */
  liveness(apiUrl: string, timeoutMs: number): Promise<boolean>;
}

export interface FailsafeAnswer {
  readonly name: string;
  readonly accepted: boolean;
  /** Why not; '' when it was accepted. */
  readonly why: string;
  /** Where the member's WAL ends, bytes; null when it did not say. */
  readonly position: number | null;
}

type Answer = PeerFacts['answer'];

const lookup = sharedLookup();

/** Largest answer that is read, bytes. A cluster of hundreds of members stays far below. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** For the Basic header of requests that change something; null: none. */
export type Credentials = { readonly username: string; readonly password: string } | null;

/** With what other members are asked (C-3.8); PEM. */
export interface PeerTls {
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly passphrase?: string;
  /** Absent: the authorities that Node.js trusts. */
  readonly ca?: Buffer;
  /** Their certificates are not verified. */
  readonly insecure: boolean;
  readonly names: TlsNames;
}

export interface PeerAccess {
  readonly credentials: Credentials;
  readonly tls: PeerTls;
}

const NOTHING_SET: PeerAccess = {
  credentials: null,
  tls: {
    insecure: false,
    names: {
      authority: tlsName('ctl.cacert', undefined),
      own: tlsName('ctl.certfile', undefined),
    },
  },
};

export class HttpPeers implements Peers {
  readonly #access: () => PeerAccess;

  /** @param access asked for each request */
  constructor(access: () => PeerAccess = () => NOTHING_SET) {
    this.#access = access;
  }

  ask(members: readonly PeerAddress[], timeoutMs: number): Promise<PeerFacts[]> {
    const { tls } = this.#access();
    return Promise.all(
      members.map(async ({ name, apiUrl }) => ({
        name,
        answer: await askOne(name, apiUrl, timeoutMs, tls),
      })),
    );
  }

  failsafe(
    members: readonly PeerAddress[],
    body: Readonly<Record<string, unknown>>,
    timeoutMs: number,
  ): Promise<FailsafeAnswer[]> {
    const { tls, credentials } = this.#access();
    const post = { body: JSON.stringify(body), credentials };
    return Promise.all(members.map((member) => askToGoOn(member, post, timeoutMs, tls)));
  }

  async liveness(apiUrl: string, timeoutMs: number): Promise<boolean> {
    // Whoever it is and whomever it lets in: that somebody is there is all that is asked.
    const tls = { ...this.#access().tls, insecure: true };
    let secured = false;
    const onSecured = (): void => {
      secured = true;
    };
    try {
      const url = new URL('/liveness', apiUrl);
      await exchange({ url, tls, onSecured }, timeoutMs, async () => undefined);
      return true;
    } catch {
      return secured;
    }
  }
}

async function askOne(
  name: string,
  apiUrl: string | null,
  timeoutMs: number,
  tls: PeerTls,
): Promise<Answer> {
  if (apiUrl === null) return unknown('it publishes no api_url');
  try {
    return parsePeer(name, await exchange({ url: new URL(apiUrl), tls }, timeoutMs, readBody));
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}

/** One try and, where there was no answer at all, a second one in the time that is left (C-3.8). */
async function askToGoOn(
  { name, apiUrl }: PeerAddress,
  post: Post,
  timeoutMs: number,
  tls: PeerTls,
): Promise<FailsafeAnswer> {
  const refused = (why: string): FailsafeAnswer => ({ name, accepted: false, why, position: null });
  if (apiUrl === null || !URL.canParse(apiUrl)) return refused('its api_url cannot be used');
  const until = performance.now() + timeoutMs;
  const attempt = (): Promise<FailsafeAnswer> =>
    exchange(
      { url: new URL('/failsafe', apiUrl), tls, post },
      Math.max(1, until - performance.now()),
      (response) => readAcceptance(name, response),
    );
  const reason = (error: unknown): string =>
    error instanceof Error ? error.message : String(error);
  return attempt().catch((first: unknown) =>
    performance.now() < until
      ? attempt().catch(() => refused(reason(first)))
      : refused(reason(first)),
  );
}

async function readAcceptance(name: string, response: IncomingMessage): Promise<FailsafeAnswer> {
  const text = await bodyOf(response);
  const lsn = response.headers.lsn;
  const position = typeof lsn === 'string' && /^\d{1,16}$/.test(lsn) ? Number(lsn) : null;
  const accepted = response.statusCode === 200 && text === 'Accepted';
  const said = text.replace(/\s+/g, ' ').slice(0, 200);
  return { name, accepted, why: accepted ? '' : `${response.statusCode} ${said}`, position };
}

interface Post {
  readonly body: string;
  readonly credentials: Credentials;
}

interface Question {
  readonly url: URL;
  readonly tls: PeerTls;
  /** Absent: GET. */
  readonly post?: Post;
  /** The other side has answered the TLS handshake. */
  readonly onSecured?: () => void;
}

/**
 * One GET, or POST, on a connection of its own. Each ask is far from the next, and a kept connection that
 * the other side has just closed would need the second try that there is no time for.
 * @throws Error what went wrong, in words; the connection is gone in any case
 */
function exchange<T>(
  question: Question,
  timeoutMs: number,
  read: (response: IncomingMessage) => Promise<T>,
): Promise<T> {
  const { tls, post, onSecured } = question;
  return new Promise((resolve, reject) => {
    const request = open(question);
    // One timer over name look-up, connection and body: a drip of bytes does not extend it.
    const timer = setTimeout(
      () => fail(new Error(`no answer in ${Math.round(timeoutMs)} ms`)),
      timeoutMs,
    );
    const end = (): void => {
      clearTimeout(timer);
      request.destroy();
    };
    const fail = (error: Error): void => {
      reject(error);
      end();
    };
    let answered = false;
    let secured = false;
    request.on('socket', (socket) => {
      socket.once('secureConnect', () => {
        secured = true;
        onSecured?.();
      });
    });
    request.on('error', (error) => fail(explained(error, tls, secured && !answered)));
    // A connection can end with neither an answer nor an error: after a 101, for one.
    request.on('close', () => {
      if (!answered) fail(new Error('the connection ended without an answer'));
    });
    request.on('response', (response) => {
      answered = true;
      read(response).then(resolve, fail).finally(end);
    });
    request.end(post?.body);
  });
}

/** Node.js turns clients without a good certificate away by hanging up, without a word. */
function explained(error: Error, { names }: PeerTls, hungUp: boolean): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (hungUp && (code === 'ECONNRESET' || code === 'EPIPE')) {
    const text = `it hung up after the TLS handshake: it may not accept ${names.own} as a client certificate`;
    return new Error(text, { cause: error });
  }
  return new Error(connectionProblem(error, names), { cause: error });
}

function open({ url, tls, post }: Question): ReturnType<typeof httpRequest> {
  const options = {
    agent: false,
    lookup,
    method: post === undefined ? 'GET' : 'POST',
    headers: { accept: 'application/json', ...(post && headersOf(post)) },
  };
  if (url.protocol === 'http:') return httpRequest(url, options);
  if (url.protocol !== 'https:') throw new Error(`${url.protocol} is neither http: nor https:`);
  const { names: _names, insecure, ...material } = tls;
  return httpsRequest(url, { ...options, ...material, rejectUnauthorized: !insecure });
}

function headersOf({ body, credentials }: Post): Readonly<Record<string, string | number>> {
  const length = { 'content-length': Buffer.byteLength(body) };
  if (credentials === null) return length;
  const pair = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
  return { ...length, authorization: `Basic ${pair}` };
}

async function readBody(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) throw new Error(`HTTP status ${response.statusCode}`);
  return await bodyOf(response);
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const Position = z.number().int().nonnegative();

const Xlog = z.object({
  location: Position.nullish(),
  received_location: Position.nullish(),
  replayed_location: Position.nullish(),
});

/** What is used of `GET /patroni` (C-3.3); everything else is left alone. */
const Body = z.object({
  role: z.string().optional(),
  xlog: Xlog.nullish(),
  /** The name of `xlog` in some versions. */
  wal: Xlog.nullish(),
  timeline: z.number().int().nullish(),
  tags: z.record(z.string(), z.unknown()).nullish(),
  watchdog_failed: z.boolean().optional(),
  patroni: z.object({ name: z.string().optional() }).optional(),
  replication_state: z.string().nullish(),
  tenure: z.object({ receiving: z.boolean().optional() }).optional(),
});

/** Reads an answer of a Tenure or Patroni agent that was asked as `name`. Never throws. */
export function parsePeer(name: string, text: string): Answer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return unknown('the answer is not JSON');
  }
  const parsed = Body.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return unknown(`the answer has a bad ${issue?.path.join('.') || 'shape'}: ${issue?.message}`);
  }
  const { role, timeline, tags, watchdog_failed, replication_state, patroni, tenure } = parsed.data;
  // A reused address must not lend one member's position to another.
  if (patroni?.name !== undefined && patroni.name !== name) {
    return unknown(`the answer is from ${patroni.name}`);
  }
  const xlog = parsed.data.xlog ?? parsed.data.wal;
  if (!xlog) return unknown('its PostgreSQL gives no answer: no xlog');
  const inRecovery = !(xlog.location || role === 'master' || role === 'primary');
  const position = inRecovery
    ? furthest(xlog.received_location, xlog.replayed_location)
    : (xlog.location ?? 0); // That it is a primary matters more than where it stands (C-3.3).
  if (position === null) return unknown('the answer has no position');
  return {
    known: true,
    value: {
      inRecovery,
      position,
      // 0 is how some versions say that they do not know it.
      timeline: timeline || null,
      tags: parseTags(tags ?? {}),
      watchdogFailed: watchdog_failed === true,
      receiving: tenure?.receiving ?? replication_state === 'streaming',
    },
  };
}

function furthest(...positions: readonly (number | null | undefined)[]): number | null {
  const known = positions.filter((position) => typeof position === 'number');
  return known.length === 0 ? null : Math.max(...known);
}

function unknown(why: string): Answer {
  return { known: false, why };
}

/** Tags as published. `nofailover` wins over `failover_priority` (C-5.12). */
function parseTags(raw: Readonly<Record<string, unknown>>): Tags {
  const priority = String(raw.failover_priority);
  const published = /^-?\d+$/.test(priority) ? Number(priority) : 1;
  const nofailover = raw.nofailover === undefined ? published <= 0 : Boolean(raw.nofailover);
  const syncPriority = /^-?\d+$/.test(String(raw.sync_priority)) ? Number(raw.sync_priority) : 1;
  const nosync = raw.nosync === undefined ? syncPriority <= 0 : Boolean(raw.nosync);
  return {
    nofailover,
    failoverPriority: nofailover ? 0 : Math.max(1, published),
    noloadbalance: Boolean(raw.noloadbalance),
    clonefrom: Boolean(raw.clonefrom),
    nostream: Boolean(raw.nostream),
    nosync,
    syncPriority: nosync ? 0 : Math.max(1, syncPriority),
    replicatefrom: typeof raw.replicatefrom === 'string' ? raw.replicatefrom : null,
    raw,
  };
}
