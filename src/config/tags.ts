/** Tags of this member: what they mean and what is published (C-5.12). */
import type { Tags } from '../core/settings.ts';
import type { LocalConfig } from './schema.ts';

type LocalTags = LocalConfig['tags'];

/** False ones of these are left out of what is published. */
const BOOLEAN_TAGS = ['clonefrom', 'nofailover', 'noloadbalance', 'nosync', 'nostream'];
/** A false boolean is published all the same when its priority is set. */
const PRIORITY_OF: Readonly<Record<string, string>> = {
  nofailover: 'failover_priority',
  nosync: 'sync_priority',
};

export function effectiveTags(tags: LocalTags): Tags {
  // The boolean wins over the priority: with nofailover false, priority 0 counts as the default.
  const priority = tags.failover_priority ?? 1;
  const nofailover = tags.nofailover ?? priority <= 0;
  const syncPriority = tags.sync_priority ?? 1;
  const nosync = tags.nosync ?? syncPriority <= 0;
  return {
    nofailover,
    failoverPriority: nofailover ? 0 : priority <= 0 ? 1 : priority,
    noloadbalance: tags.noloadbalance ?? false,
    clonefrom: tags.clonefrom ?? false,
    nostream: tags.nostream ?? false,
    nosync,
    syncPriority: nosync ? 0 : syncPriority <= 0 ? 1 : syncPriority,
    replicatefrom: tags.replicatefrom ?? null,
    raw: publishedTags(tags),
  };
}

function publishedTags(tags: LocalTags): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(tags).filter(([name, value]) => {
      if (value === undefined) return false;
      if (value !== false || !BOOLEAN_TAGS.includes(name)) return true;
      return PRIORITY_OF[name] !== undefined && tags[PRIORITY_OF[name]] !== undefined;
    }),
  );
}

/** In Patroni's words. */
export function tagConflicts(tags: LocalTags): string[] {
  return [
    conflict('nofailover', tags.nofailover, 'failover_priority', tags.failover_priority),
    conflict('nosync', tags.nosync, 'sync_priority', tags.sync_priority),
  ].filter((line) => line !== null);
}

function conflict(
  name: string,
  value: boolean | undefined,
  priorityName: string,
  priority: number | undefined,
): string | null {
  if (value === undefined || priority === undefined || value === priority <= 0) return null;
  const shown = value ? 'True' : 'False';
  return `Conflicting configuration between ${name}: ${shown} and ${priorityName}: ${priority}. Defaulting to ${name}: ${shown}`;
}
