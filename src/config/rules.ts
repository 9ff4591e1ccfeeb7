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
  if (at('watchdog', 'mode') === 'required') {
    refuse(['watchdog', 'mode'], 'off or automatic (the watchdog is not supported yet)');
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
  if ((etcd('cert') === undefined) !== (etcd('key') === undefined)) {
    faults.push(
      faultLine(
        tree,
        ['etcd3', etcd('cert') === undefined ? 'cert' : 'key'],
        'a file: cert and key belong together',
      ),
    );
  }
  return faults;
}

/** Warnings that need the whole configuration. */
export function remarks(config: Config): string[] {
  const warnings = [...tagConflicts(config.tags)];
  const mode = config.watchdog?.mode;
  if (mode !== undefined && mode !== 'off')
    warnings.push('watchdog is not supported yet: the hardware watchdog is not used');
  if (config.etcd3.cacert !== undefined && storeProtocol(config) === 'http') {
    warnings.push('etcd3.cacert has no effect: the protocol is http');
  }
  return warnings;
}

function storeProtocol(config: Config): 'http' | 'https' {
  if (config.etcd3.url !== undefined)
    return config.etcd3.url.startsWith('https:') ? 'https' : 'http';
  return config.etcd3.protocol ?? 'http';
}
