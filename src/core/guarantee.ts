/**
 * The arithmetic of synchronous replication (rule S5; contract C-5.15; field D40). Pure sets.
 *
 * `/sync` makes a promise: of the voters and the leader, every set of `quorum` + 1 has a member that
 * holds every acknowledged commit. What keeps it is the requirement, synchronous_standby_names: a
 * commit is acknowledged when `count` of `names` have flushed it, and by the leader, who always has.
 * Priority mode is the case of quorum 0 and count = all names: each voter holds everything.
 *
 * Names are compared without case, as PostgreSQL and Patroni compare them.
 */

/** The promise, as `/sync` has it beside the leader's name. */
export interface Promised {
  readonly voters: readonly string[];
  readonly quorum: number;
}

/** What PostgreSQL waits for before it acknowledges; count 0: nothing. */
export interface Requirement {
  readonly count: number;
  readonly names: readonly string[];
}

export const NO_PROMISE: Promised = { voters: [], quorum: 0 };
export const NO_REQUIREMENT: Requirement = { count: 0, names: [] };

/** A name that no member can have (contract 6.2): nobody can acknowledge. Patroni's own word since 4.2. */
export const PLACEHOLDER = '__patroni_strict_sync_replica_placeholder__';
export const NOBODY: Requirement = { count: 1, names: [PLACEHOLDER] };

const key = (name: string): string => name.toLowerCase();

export function includesName(names: Iterable<string>, name: string): boolean {
  for (const one of names) if (key(one) === key(name)) return true;
  return false;
}

export function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name) => includesName(others, name));
}

export function without(names: readonly string[], others: Iterable<string>): readonly string[] {
  const left = [...others];
  return names.filter((name) => !includesName(left, name));
}

/** Sorted, each once. */
export function union(...lists: readonly (readonly string[])[]): readonly string[] {
  const found = new Map(lists.flat().map((name) => [key(name), name]));
  return [...found.values()].sort();
}

/** How many voters may lack a commit that is acknowledged under `required`. */
export function lacking(voters: readonly string[], required: Requirement): number {
  const outside = without(required.names, voters).length;
  return voters.length - Math.max(0, Math.min(required.count, required.names.length) - outside);
}

/** May PostgreSQL acknowledge under `required` while `/sync` promises `promised`? */
export function keeps(required: Requirement, promised: Promised): boolean {
  return lacking(promised.voters, required) <= promised.quorum;
}

/**
 * May `/sync` promise `next` instead of `current`?
 * @param required in force for every process of the server; null when that is not known
 * @param holders have flushed everything that was acknowledged before `required` came into force
 */
export function mayPromise(
  next: Promised,
  current: Promised,
  required: Requirement | null,
  holders: readonly string[],
): boolean {
  // Whatever is in force: a set that the new promise counts on contains one of the old promise.
  const added = without(next.voters, current.voters).length;
  if (next.quorum - added >= current.quorum || next.voters.length === 0) return true;
  if (required === null || !keeps(required, next)) return false;
  return without(next.voters, holders).length <= next.quorum;
}

export function sameRequirement(some: Requirement | null, other: Requirement): boolean {
  return some !== null && some.count === other.count && sameNames(some.names, other.names);
}

export function samePromise(some: Promised, other: Promised): boolean {
  return some.quorum === other.quorum && sameNames(some.voters, other.voters);
}

export interface GuaranteeState {
  readonly promised: Promised;
  /** As the server has it; null when it cannot be calculated with (a user's own form). */
  readonly required: Requirement | null;
  /** Whether `required` is known to be in force for every process of the server. */
  readonly inForce: boolean;
  readonly holders: readonly string[];
}

export type GuaranteeStep =
  | { readonly do: 'nothing' }
  | { readonly do: 'promise'; readonly next: Promised }
  | { readonly do: 'require'; readonly next: Requirement }
  | { readonly do: 'wait'; readonly for: readonly string[] };

/**
 * The next single safe step towards promising and requiring what is wanted. A guarantee is extended
 * before it is used, and no longer used before it is shrunk: at every moment, what may be
 * acknowledged keeps what `/sync` promises. `wanted.required` keeps `wanted.promised`.
 */
export function nextStep(
  state: GuaranteeState,
  wanted: { readonly promised: Promised; readonly required: Requirement },
): GuaranteeStep {
  const { promised, required, inForce, holders } = state;
  const agreed = samePromise(promised, wanted.promised);
  if (!agreed) {
    const known = inForce ? required : null;
    if (mayPromise(wanted.promised, promised, known, holders))
      return { do: 'promise', next: wanted.promised };
  }
  const next = keeps(wanted.required, promised)
    ? wanted.required
    : between(promised, wanted.promised);
  // Again, where it is there but not known to be in force, and something depends on that.
  if (!sameRequirement(required, next) || (!agreed && !inForce))
    return { do: 'require', next: { ...next, names: union(next.names) } };
  return agreed ? { do: 'nothing' } : { do: 'wait', for: without(wanted.promised.voters, holders) };
}

/** Keeps both promises: the present one and the one to come. */
function between(promised: Promised, wanted: Promised): Requirement {
  const names = union(promised.voters, wanted.voters);
  return { count: names.length - Math.min(promised.quorum, wanted.quorum), names };
}

/** The least that PostgreSQL has to wait for to keep `promised`. */
export function requirementOf({ voters, quorum }: Promised): Requirement {
  const count = voters.length - quorum;
  return count <= 0 ? NO_REQUIREMENT : { count, names: union(voters) };
}

/** As a value of synchronous_standby_names: `"a"`, `2 ("a","b")`, `ANY 1 ("a","b")` (contract 5.15). */
export function formatRequirement({ count, names }: Requirement, quorumMode: boolean): string {
  if (count <= 0 || names.length === 0) return '';
  const list = union(names).map((name) => `"${name.replaceAll('"', '""')}"`);
  if (quorumMode) return `ANY ${count} (${list.join(',')})`;
  return list.length === 1 ? String(list[0]) : `${count} (${list.join(',')})`;
}

/**
 * What a value of synchronous_standby_names makes PostgreSQL wait for; null when it is a form that
 * names no fixed set: `*`, or fewer than all of a list by priority.
 */
export function parseRequirement(text: string): Requirement | null {
  const trimmed = text.trim();
  if (trimmed === '') return NO_REQUIREMENT;
  const counted = /^(?:(FIRST|ANY)\s+)?(\d+)\s*\((.*)\)$/is.exec(trimmed);
  const names = parseNames(counted?.[3] ?? trimmed);
  if (names === null) return null;
  const count = counted === null ? 1 : Number(counted[2]);
  const any = counted?.[1]?.toUpperCase() === 'ANY';
  if (count < 1 || count > names.length || (!any && count < names.length)) return null;
  return { count, names: union(names) };
}

function parseNames(text: string): readonly string[] | null {
  const names: string[] = [];
  const word = /\s*(?:"((?:[^"]|"")+)"|([^\s,"()*]+))\s*(,|$)/y;
  for (;;) {
    const match = word.exec(text);
    if (match === null) return null;
    const name = match[1]?.replaceAll('""', '"') ?? (match[2] as string);
    if (includesName(names, name)) return null;
    names.push(name);
    if (match[3] === '') return names;
  }
}

/**
 * What the new leader promises in the old leader's place, before it is promoted (contract 5.15;
 * field D40): of the same set, so whoever held everything still does. A leader that the promise did
 * not cover, taken by an operator, promises nothing.
 */
export function inherited(
  promised: Promised & { readonly leader: string | null },
  name: string,
): Promised {
  const { leader, voters, quorum } = promised;
  if (leader !== null && key(leader) === key(name)) return { voters, quorum };
  if (leader === null || !includesName(voters, name)) return NO_PROMISE;
  return { voters: union(without(voters, [name]), [leader]), quorum };
}
