/** Which fault comes when: decided by the seed alone, so that a run can be repeated and gone on with. */
import { Random } from '../../test/sim/random.ts';

export const KINDS = [
  'daemon killed',
  'daemon stopped',
  'guard killed',
  'guard stopped',
  'postmaster killed',
  'postmaster stopped',
  'backend killed',
  'backend stopped',
  'node killed',
  'node stopped',
  'etcd member killed',
  'etcd member stopped',
  'etcd majority stopped',
  'wall clock jump',
  'disk full',
  'node cut from etcd',
  'etcd does not hear node',
  'node does not hear etcd',
  'nodes cut',
  'nodes cut one way',
  'node isolated',
  'node and an etcd member isolated',
  'etcd member isolated',
  'all cut',
  'lossy link',
  'slow link',
] as const;
export type Kind = (typeof KINDS)[number];

/** These need members with networks, or disks, of their own. */
const OF_NAMESPACES: readonly Kind[] = KINDS.slice(KINDS.indexOf('disk full'));

export interface Fault {
  /** From 0. */
  readonly number: number;
  readonly kind: Kind;
  readonly who: 'primary' | 'standby';
  /** In [0, 1): which of several, how far, how much. */
  readonly amount: number;
  /** ms from when it is done until it is undone. */
  readonly durationMs: number;
}

export function kindsFor(network: 'namespaces' | 'loopback'): readonly Kind[] {
  return network === 'namespaces' ? KINDS : KINDS.filter((kind) => !OF_NAMESPACES.includes(kind));
}

/** Every kind comes once before any comes again. */
export function plan(seed: number, number: number, kinds: readonly Kind[]): Fault {
  const round = Math.floor(number / kinds.length);
  const order = shuffled(kinds, new Random(`${seed} order ${round}`));
  const random = new Random(`${seed} fault ${number}`);
  const kind = order[number % kinds.length];
  if (kind === undefined) throw new RangeError('no kinds of faults');
  return {
    number,
    kind,
    who: random.chance(0.75) ? 'primary' : 'standby',
    amount: random.next(),
    // Half of them end while the lease may still be renewed, the others last until well after its end.
    durationMs: Math.round(
      random.chance(0.5) ? random.between(300, 4000) : random.between(5500, 9000),
    ),
  };
}

function shuffled<T>(list: readonly T[], random: Random): readonly T[] {
  return list
    .map((item) => ({ item, place: random.next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
