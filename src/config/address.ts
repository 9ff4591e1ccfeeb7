/** Addresses as people write them: `host:port`, `[::1]:5432`, `*:8008`. */
import * as z from 'zod';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a server listens: several hosts share one port. */
export interface ListenAddress {
  readonly hosts: readonly string[];
  readonly port: number;
}

const EVERYWHERE = new Set(['', '*', '0.0.0.0', '::']);

/** True for a host that means "every interface": nobody can connect to it. */
export function isWildcard(host: string): boolean {
  return EVERYWHERE.has(host);
}

/** Undefined: not an address, or without a port when there is no default. */
export function parseAddress(value: string, defaultPort?: number): Address | undefined {
  if (value.includes('://') || /[\s/@]/.test(value)) return undefined;
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(value);
  const colons = value.split(':').length - 1;
  const cut = bracketed || colons === 0 ? -1 : value.lastIndexOf(':');
  const host = bracketed ? (bracketed[1] ?? '') : cut < 0 ? value : value.slice(0, cut);
  const digits = bracketed ? bracketed[2] : cut < 0 ? undefined : value.slice(cut + 1);
  if (digits !== undefined && !/^\d+$/.test(digits)) return undefined;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

/** `host:port` again, with brackets where IPv6 needs them. */
export function addressText(address: Address): string {
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

function described<T>(allowed: string, parse: (value: string) => T | undefined) {
  return z
    .union([z.string(), z.number()], { error: allowed })
    .transform((value, context): T => {
      const parsed = parse(String(value).trim());
      if (parsed !== undefined) return parsed;
      context.addIssue({ code: 'custom', message: allowed });
      return z.NEVER;
    })
    .meta({ allowed });
}

/** An address that others connect to. */
export function connectAddress(defaultPort?: number) {
  const port = defaultPort === undefined ? '' : ` (port ${defaultPort} if none is given)`;
  return described(`host:port${port}, a host that other members can reach`, (value) => {
    const address = parseAddress(value, defaultPort);
    return address && !isWildcard(address.host) ? address : undefined;
  });
}

/** An address, or several hosts with one port, to listen on. */
export function listenAddress(defaultPort?: number) {
  const port = defaultPort === undefined ? '' : ` (port ${defaultPort} if none is given)`;
  return described(`host:port or host,host:port${port}`, (value): ListenAddress | undefined => {
    const parts = value.split(',').map((part) => part.trim());
    const last = parseAddress(parts.at(-1) ?? '', defaultPort);
    if (!last) return undefined;
    const hosts = [...parts.slice(0, -1), last.host].map((host) => (host === '' ? '*' : host));
    return hosts.some((host) => /[\s/]/.test(host)) ? undefined : { hosts, port: last.port };
  });
}
