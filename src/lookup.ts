/**
 * Addresses of names, with one question under way for each name at a time. Node asks for them in a few
 * threads, and an answer can take twenty seconds (a container that is gone is asked for outside of
 * Docker): a node that is asked for every second would leave no thread for etcd's names.
 */
import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Asked = (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void;
type Ask = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** A `lookup` for sockets. `ask` is the system's, but for tests. */
export function sharedLookup(ask: Ask = lookup): LookupFunction {
  const underWay = new Map<string, Asked[]>();
  return (hostname, options, callback) => {
    const answer: Asked = (error, addresses) => {
      const [first] = addresses;
      if (error !== null || first === undefined) callback(error ?? notFound(hostname), '', 0);
      else if (options.all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    };
    const family = options.family ?? 0;
    const key = `${family} ${hostname}`;
    const waiting = underWay.get(key);
    if (waiting) {
      waiting.push(answer);
      return;
    }
    const all = [answer];
    underWay.set(key, all);
    ask(hostname, { family, all: true }, (error, addresses) => {
      underWay.delete(key);
      for (const one of all) one(error, addresses ?? []);
    });
  };
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no address is known for ${hostname}`), { code: 'ENOTFOUND' });
}
