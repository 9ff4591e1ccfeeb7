/** Programs of the operator that make a cluster or a replica (C-6.7): a name, and a section of that name. */
import type { OwnMethod } from '../postgres/options.ts';
import { isTree, type Tree } from './merge.ts';
import { parseBoolean } from './values.ts';

/** Words of a section that are said to the daemon; everything else is handed to the program. */
const OWN_WORDS = new Set([
  'command',
  'no_params',
  'no_leader',
  'no_master',
  'keep_data',
  'recovery_conf',
  'keep_existing_recovery_conf',
]);

/** The method called `name`, out of its section. Without a command the name is the command. */
export function methodOf(name: string, section: unknown): OwnMethod {
  const words: Tree = isTree(section) ? section : {};
  const flag = (key: string): boolean => parseBoolean(words[key]) ?? false;
  const command = words.command;
  return {
    name,
    command: typeof command === 'string' && command.trim() !== '' ? command : name,
    options: Object.fromEntries(
      Object.entries(words).flatMap(([key, value]) =>
        OWN_WORDS.has(key) || isTree(value) || Array.isArray(value) || value === null
          ? []
          : [[key, String(value)]],
      ),
    ),
    noParameters: flag('no_params'),
    keepData: flag('keep_data'),
  };
}

/** It could make a replica while nobody leads. */
export function needsNoLeader(section: unknown): boolean {
  return (
    isTree(section) && [section.no_leader, section.no_master].some((value) => parseBoolean(value))
  );
}

/**
 * One pair of key and allowed value for each word of a method's section that cannot be used; key '':
 * the section itself. What would make the cluster has to be there, or an empty one would take the
 * place of the one that was to be restored.
 */
export function methodFaults(
  section: unknown,
  required: boolean,
): readonly (readonly [string, string])[] {
  if (section === undefined && !required) return [];
  if (!isTree(section)) return [['', 'a map with a command']];
  const faults: [string, string][] = [];
  const { command } = section;
  if (command === undefined && required) faults.push(['command', 'a command line']);
  if (command !== undefined && (typeof command !== 'string' || command.trim() === ''))
    faults.push(['command', 'a command line']);
  for (const key of ['no_params', 'no_leader', 'keep_data', 'keep_existing_recovery_conf']) {
    if (section[key] !== undefined && parseBoolean(section[key]) === undefined)
      faults.push([key, 'on, off, true, false, yes, no, 1 or 0']);
  }
  if (section.recovery_conf !== undefined && !isTree(section.recovery_conf))
    faults.push(['recovery_conf', 'a map of settings']);
  return faults;
}

/** Keys that are sections of methods, so that nobody calls them unknown: path and name. */
export function methodSections(tree: Tree): readonly (readonly [string, string])[] {
  const postgresql = isTree(tree.postgresql) ? tree.postgresql : {};
  const bootstrap = isTree(tree.bootstrap) ? tree.bootstrap : {};
  const names = Array.isArray(postgresql.create_replica_methods)
    ? postgresql.create_replica_methods.filter((name) => typeof name === 'string')
    : [];
  const found: [string, string][] = names
    .filter((name) => name !== 'basebackup')
    .map((name) => ['postgresql', name]);
  if (typeof bootstrap.method === 'string' && bootstrap.method !== 'initdb')
    found.push(['bootstrap', bootstrap.method]);
  return found;
}
