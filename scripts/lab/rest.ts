/** One request over http or https, on a connection of its own; fetch knows no certificates. */
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Certificate } from './certificates.ts';

/** What the lab trusts, and what it shows. */
export interface Trust {
  /** File of the authority. */
  readonly authority: string;
  readonly client?: Certificate;
}

export interface RestRequest {
  readonly method?: string;
  /** Text; sent as JSON. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds, default 2000. */
  readonly deadlineMs?: number;
  /** For https. */
  readonly trust?: Trust | undefined;
}

export interface Answered {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

/** In the form in which Node.js and pg take them. */
export function material(trust: Trust | undefined): {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
} {
  if (trust === undefined) return {};
  const { authority, client } = trust;
  const own = client && {
    cert: readFileSync(client.certfile),
    key: readFileSync(client.keyfile),
  };
  return { ca: readFileSync(authority), ...own };
}

/** Throws when there is no answer in time. */
export function ask(url: string, options: RestRequest = {}): Promise<Answered> {
  const { method = 'GET', body, headers = {}, deadlineMs = 2000, trust } = options;
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? httpsRequest : httpRequest;
    const sent = request(url, {
      method,
      agent: false,
      signal: AbortSignal.timeout(deadlineMs),
      headers: {
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...headers,
      },
      ...material(trust),
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      });
    });
    sent.end(body);
  });
}
