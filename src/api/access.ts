/** Who may change something: allowlist, certificate, Basic authentication (C-3.6, in this order). */
import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { ClusterView } from '../core/model.ts';
import type { Access, Reply } from './operator.ts';

export interface Caller {
  /** Of the connection. */
  readonly address: string;
  readonly authorization: string | undefined;
  /** It has shown a certificate of an authority that is trusted with clients. */
  readonly certified: boolean;
}

/** Null when the caller may go on. */
export function denied(access: Access, caller: Caller, view: ClusterView | null): Reply | null {
  if (!isListed(access, caller.address, view)) return { status: 403, body: 'Access is denied' };
  if (access.clientCertificates && !caller.certified)
    return { status: 403, body: 'client certificate required' };
  const { credentials } = access;
  if (credentials === null) return null;
  const headers = { 'WWW-Authenticate': 'Basic realm="Patroni"' };
  if (caller.authorization === undefined)
    return { status: 401, body: 'no auth header received', headers };
  const wanted = `${credentials.username}:${credentials.password}`;
  const encoded = /^Basic\s+(\S+)\s*$/i.exec(caller.authorization)?.[1] ?? '';
  const given = Buffer.from(encoded, 'base64').toString('utf8');
  return sameSecret(given, wanted) ? null : { status: 401, body: 'not authenticated', headers };
}

/** The same without the members: an allowlist that names nobody else keeps nobody out then. */
export function listedOnly(access: Access): Access {
  const allowlist = access.allowlist?.length ? access.allowlist : null;
  return { ...access, allowlist, includeMembers: false };
}

/** In a time that says nothing about where they differ. */
function sameSecret(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

function isListed(access: Access, address: string, view: ClusterView | null): boolean {
  const { allowlist, includeMembers } = access;
  if (allowlist === null && !includeMembers) return true;
  const members = includeMembers ? memberAddresses(view) : [];
  const list = new BlockList();
  for (const entry of [...(allowlist ?? []), ...members]) {
    const [base = '', bits] = entry.split('/');
    const version = isIP(base);
    if (version === 0) continue;
    const family = version === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(base, family);
    else list.addSubnet(base, Number(bits), family);
  }
  // A connection to a dual-stack socket shows an IPv4 address in IPv6 clothes.
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}

/** Only literal addresses: a name could be looked up to anything at the moment of asking. */
function memberAddresses(view: ClusterView | null): string[] {
  return (view?.members ?? []).flatMap(({ apiUrl }) => {
    if (apiUrl === null || !URL.canParse(apiUrl)) return [];
    const host = new URL(apiUrl).hostname.replace(/^\[|\]$/g, '');
    return isIP(host) === 0 ? [] : [host];
  });
}
