/** What depends on a value or on several keys, and so cannot stand in the schema. */
import { faultLine, valueAt } from './errors.ts';
import type { Config } from './load.ts';
import type { Tree } from './merge.ts';
import { methodFaults, methodSections } from './methods.ts';
import { tagConflicts } from './tags.ts';

/** Values with which the daemon does not start: acting as if they were not there could cost data. */
export function refusals(tree: Tree): string[] {
  const faults: string[] = [];
  const refuse = (path: readonly string[], allowed: string): void => {
    faults.push(faultLine(tree, path, allowed));
  };
  const at = (...path: string[]): unknown => valueAt(tree, path);
  if (at('bootstrap', 'dcs', 'standby_cluster') !== undefined) {
    refuse(
      ['bootstrap', 'dcs', 'standby_cluster'],
      'not set (standby clusters are not supported yet: a second primary would be made)',
    );
  }
  const rest = at('restapi', 'listen');
  if (typeof rest === 'string' && rest.includes(','))
    refuse(['restapi', 'listen'], 'host:port, one host: the REST API listens in one place');
  for (const [section, name] of methodSections(tree)) {
    for (const [key, allowed] of methodFaults(at(section, name), section === 'bootstrap'))
      refuse(key === '' ? [section, name] : [section, name, key], allowed);
  }
  const verify = at('restapi', 'verify_client');
  const verified = typeof verify === 'string' && ['optional', 'required'].includes(verify);
  if (
    verified &&
    at('restapi', 'certfile') !== undefined &&
    at('restapi', 'cafile') === undefined
  ) {
    // Without it the authorities that everybody trusts would be asked: anybody has a certificate of those.
    refuse(['restapi', 'cafile'], `a file, because verify_client is ${verify}`);
  }
  faults.push(...storeFaults(tree));
  return faults;
}

function storeFaults(tree: Tree): string[] {
  const faults: string[] = [];
  const etcd = (key: string): unknown => valueAt(tree, ['etcd3', key]);
  if (
    tree.etcd3 !== undefined &&
    ['hosts', 'host', 'url', 'srv', 'proxy'].every((key) => etcd(key) === undefined)
  ) {
    faults.push(
      faultLine(tree, ['etcd3', 'hosts'], 'host:port, a comma-separated text or a list of them'),
    );
  }
  const url = etcd('url');
  if (typeof url === 'string' && !/^https?:\/\/[^/@\s]+\/?$/.test(url)) {
    faults.push(faultLine(tree, ['etcd3', 'url'], 'http://host:port or https://host:port'));
  }
  if (etcd('password') !== undefined && etcd('username') === undefined) {
    faults.push(faultLine(tree, ['etcd3', 'username'], 'text, because etcd3.password is set'));
  }
  if (etcd('cert') === undefined && etcd('key') !== undefined) {
    faults.push(faultLine(tree, ['etcd3', 'cert'], 'a file, because etcd3.key is set'));
  }
  return faults;
}

/** Warnings that need the whole configuration. */
export function remarks(config: Config): string[] {
  const warnings = [...tagConflicts(config.tags)];
  warnings.push(...tlsRemarks(config));
  if (valueAt(config.bootstrapDynamic, ['postgresql', 'authentication']) !== undefined)
    warnings.push(
      'bootstrap.dcs.postgresql.authentication has no effect and is left out of /config, which everybody may read',
    );
  return warnings;
}

/** What is set and does nothing, and what keeps members from asking each other. */
function tlsRemarks(config: Config): string[] {
  const { restapi, ctl, etcd3 } = config;
  const without = (section: string, set: object, keys: readonly string[], why: string): string[] =>
    keys
      .filter((key) => (set as Readonly<Record<string, unknown>>)[key] !== undefined)
      .map((key) => `${section}.${key} has no effect: ${why}`);
  const own = ['keyfile', 'keyfile_password'];
  const warnings: string[] = [];
  if (storeProtocol(config) === 'http')
    warnings.push(...without('etcd3', etcd3, ['cacert', 'cert', 'key'], 'the protocol is http'));
  if (ctl.certfile === undefined)
    warnings.push(...without('ctl', ctl, own, 'ctl.certfile is not set'));
  if (restapi.certfile === undefined) {
    const keys = [...own, 'ciphers', 'https_extra_headers'];
    warnings.push(...without('restapi', restapi, keys, 'restapi.certfile is not set'));
    if (restapi.verify_client !== 'none')
      warnings.push('restapi.verify_client has no effect: restapi.certfile is not set');
    return warnings;
  }
  if (restapi.verify_client !== 'none' && ctl.certfile === undefined) {
    const what = restapi.verify_client === 'required' ? 'anything' : 'to go on in failsafe mode';
    warnings.push(
      `restapi.verify_client is ${restapi.verify_client} and ctl.certfile is not set: members that are configured like this one cannot ask each other ${what}`,
    );
  }
  if (ctl.insecure)
    warnings.push('ctl.insecure is on: certificates of other members are not verified');
  return warnings;
}

function storeProtocol(config: Config): 'http' | 'https' {
  if (config.etcd3.url !== undefined)
    return config.etcd3.url.startsWith('https:') ? 'https' : 'http';
  return config.etcd3.protocol ?? 'http';
}
