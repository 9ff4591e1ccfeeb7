/** The sections about other programs: the REST API, requests to other members, etcd. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import * as z from 'zod';
import { connectAddress, listenAddress, parseAddress } from './address.ts';
import { refused, withoutEffect } from './marks.ts';
import { boolean, integer, oneOf, secret, text } from './values.ts';

function file(description: string) {
  return text('a file').optional().meta({ description });
}

function basic() {
  return z.looseObject(
    {
      username: text().meta({ description: 'User name.' }),
      password: secret().meta({ description: 'Password.' }),
    },
    { error: 'a map' },
  );
}

/** What these say is decided by the server itself: another value would break the answer in two. */
const FRAMING = ['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'upgrade'];

/** Header fields by name. */
function headers() {
  const allowed = `a map from header names to text, without ${FRAMING.join(', ')}`;
  const value = z.union([z.string(), z.number(), z.boolean()], { error: allowed });
  return z
    .record(z.string(), value.transform(String), { error: allowed })
    .refine((map) => Object.entries(map).every(([name, said]) => isHeader(name, said)), {
      error: allowed,
    })
    .meta({ allowed });
}

function isHeader(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return !FRAMING.includes(name.toLowerCase());
  } catch {
    return false;
  }
}

/** An address or a network: a host name could be looked up to anything at the moment of asking. */
const network =
  /^(?:(?:\d{1,3}\.){3}\d{1,3}(?:\/(?:[12]?\d|3[0-2]))?|[0-9a-f:.]*:[0-9a-f:.]*(?:\/(?:\d{1,2}|1[01]\d|12[0-8]))?)$/i;

function networks() {
  const allowed = 'a list of IP addresses and networks, such as 10.0.0.0/8';
  return z
    .array(z.string({ error: allowed }).regex(network, { error: allowed }), { error: allowed })
    .meta({ allowed });
}

export const restapiSchema = z
  .looseObject(
    {
      listen: listenAddress().meta({ description: 'Where the REST API listens.' }),
      connect_address: connectAddress().optional().meta({
        description:
          'Where other members reach it. Default: listen, if that names one reachable host.',
      }),
      certfile: file('Certificate (PEM, with its chain). With it the API speaks https only.'),
      keyfile: file('Its key (PEM). Default: the key is in certfile.'),
      keyfile_password: secret().optional().meta({ description: 'Password of the key.' }),
      cafile: file('Certificate authority of clients and, without ctl.cacert, of members (PEM).'),
      ciphers: text('a list of ciphers as OpenSSL has it')
        .optional()
        .meta({ description: 'Ciphers up to TLS 1.2, and of TLS 1.3 by their full names.' }),
      verify_client: oneOf('none', 'optional', 'required').default('none').meta({
        description:
          'Clients have to show a certificate of cafile: for no request, for what changes something, for everything. Default: none.',
      }),
      http_extra_headers: headers().optional().meta({ description: 'Added to every answer.' }),
      https_extra_headers: headers()
        .optional()
        .meta({ description: 'Added to every answer over https; win over http_extra_headers.' }),
      authentication: basic().optional().meta({
        description: 'What requests that change something have to show (HTTP Basic).',
      }),
      allowlist: networks().optional().meta({
        description: 'From where requests that change something may come. Default: anywhere.',
      }),
      allowlist_include_members: boolean()
        .default(false)
        .meta({ description: 'The members’ own addresses are allowed too. Default: off.' }),
      server_tokens: oneOf('original', 'productonly', 'minimal').default('original').meta({
        description:
          'Server header: none, “Patroni”, or that with its protocol version. Default: original (none).',
      }),
      request_queue_size: withoutEffect('the system decides'),
      thread_pool_size: withoutEffect('there are no threads'),
    },
    { error: 'a map' },
  )
  .meta({ description: 'The REST API of this member.' });

export const ctlSchema = z
  .looseObject(
    {
      insecure: boolean().default(false).meta({
        description: 'Certificates of other members are not verified. Default: off.',
      }),
      cacert: file(
        'Certificate authority of the members’ REST APIs (PEM). Default: restapi.cafile, else the authorities that Node.js trusts.',
      ),
      certfile: file('Certificate that is shown to other members (PEM).'),
      keyfile: file('Its key (PEM). Default: the key is in certfile.'),
      keyfile_password: secret().optional().meta({ description: 'Password of the key.' }),
      authentication: basic().optional().meta({
        description:
          'User and password that are shown to other members. Default: restapi.authentication.',
      }),
    },
    { error: 'a map' },
  )
  .prefault({})
  .meta({ description: 'How this daemon asks the REST APIs of the other members.' });

/** `a:1, b:2` or a list of the same; each `host:port`. */
function hosts() {
  const allowed = 'host:port, a comma-separated text or a list of them';
  return z
    .union([z.string(), z.array(z.string())], { error: allowed })
    .transform((value, context): readonly string[] => {
      const list = (Array.isArray(value) ? value : value.split(',')).map((host) => host.trim());
      const used = list.filter((host) => host !== '');
      if (used.length > 0 && used.every((host) => parseAddress(host, 2379))) return used;
      context.addIssue({ code: 'custom', message: allowed });
      return z.NEVER;
    })
    .meta({ allowed });
}

export const etcd3Schema = z
  .looseObject(
    {
      hosts: hosts().optional().meta({ description: 'Members of etcd.' }),
      host: hosts().optional().meta({ description: 'One member of etcd.' }),
      url: text('http://host:port or https://host:port')
        .optional()
        .meta({ description: 'One member of etcd, with its protocol.' }),
      port: integer(1, 65_535)
        .default(2379)
        .meta({ description: 'Port where none is given. Default: 2379.' }),
      protocol: oneOf('http', 'https').optional().meta({ description: 'Default: http.' }),
      username: text().optional().meta({ description: 'User of etcd.' }),
      password: secret().optional().meta({ description: 'Its password.' }),
      cacert: file(
        'Certificate authority of etcd (PEM). Default: the authorities that Node.js trusts.',
      ),
      cert: file('Client certificate (PEM).'),
      key: file('Its key (PEM, not encrypted). Default: the key is in cert.'),
      srv: refused('etcd is not looked up by DNS yet: name its members in etcd3.hosts'),
      srv_suffix: refused('etcd is not looked up by DNS yet: name its members in etcd3.hosts'),
      proxy: refused('proxies of etcd are not supported yet: name its members in etcd3.hosts'),
      use_proxies: refused(
        'proxies of etcd are not supported yet: name its members in etcd3.hosts',
      ),
    },
    { error: 'a map' },
  )
  .meta({ description: 'How to reach etcd. One of hosts, host and url is required.' });
