/** Carries the faults of a schedule out, and undoes them. */
import type { Ask } from '../../src/requests.ts';
import type { Node } from './node.ts';
import type { Fault } from './schedule.ts';
import { STORE, type TrapEvent, type World } from './world.ts';

export interface FaultTarget {
  readonly world: World;
  readonly nodes: readonly Node[];
  readonly synchronous: boolean;
  /** Who leads by the store at present. */
  leader(): Node | null;
  /** Writes to the store as an operator with etcdctl. */
  put(key: 'failover' | 'config', value: string): void;
  deleteLeaderKey(): void;
  /** `/config` as it stands. */
  config(): Readonly<Record<string, unknown>>;
  /** Calls back once, a moment after this next happens anywhere. */
  trap(event: TrapEvent, afterMs: number, call: (node: Node) => void): () => void;
  /** A data directory was destroyed on purpose. */
  diskLost(node: Node): void;
}

type Undo = () => void;

/** From step to step of a daemon that is hardly ever given the processor, ms, and how many those are. */
const STARVED_MS = 300;
const STARVED_STEPS = 30;

/** Does it; what it returns ends it. */
export function inflict(target: FaultTarget, fault: Fault): { undo: Undo; on: string } {
  const node = chosen(target, fault);
  const undo = APPLY[fault.kind](target, node, fault) ?? (() => undefined);
  return { undo, on: node.name };
}

function chosen({ nodes, leader, world }: FaultTarget, { who, amount }: Fault): Node {
  const first = nodes[0] as Node;
  const leads = leader();
  if (who === 'leader') return leads ?? world.random('who').pick(nodes);
  if (who !== 'standby') return nodes.find(({ name }) => name === who) ?? first;
  const others = nodes.filter((node) => node !== leads);
  return others[Math.floor(amount * others.length)] ?? first;
}

type Apply = (target: FaultTarget, node: Node, fault: Fault) => Undo | undefined;

const APPLY: Readonly<Record<Fault['kind'], Apply>> = {
  'kill postmaster': (_target, node, { amount }) => {
    node.server.killPostmaster(amount < 0.4 ? 1 + Math.floor(amount * 10) : 0);
    return undefined;
  },
  'stop postmaster': (_target, { server }) => {
    if (!server.alive) return undefined;
    server.postmasterStopped = true;
    const { generation } = server;
    return () => {
      if (server.generation === generation) server.postmasterGoesOn();
    };
  },
  'stop hangs': (_target, { server }) => {
    server.stopHangs = true;
    return () => {
      server.stopHangs = false;
    };
  },
  'slow disk': (_target, { server }, { amount }) => {
    server.slowness = 1 + amount * 40;
    return () => {
      server.slowness = 1;
    };
  },
  'kill at promotion': (target, _node, { amount }) =>
    target.trap('promoting', amount * 60, ({ server }) => server.killPostmaster(0)),
  'crash at promotion': (target, _node, { amount }) =>
    target.trap('promoting', amount * 60, (node) => {
      node.killDaemon();
      node.later(1000, () => node.startDaemon());
    }),
  'pause at hand-over': (target, _node, { amount }) => pauseAt(target, 'shut down', amount * 40),
  'pause at start': (target, _node, { amount }) => pauseAt(target, 'starting', amount * 40),
  'pause at promotion': (target, _node, { amount }) =>
    pauseAt(target, amount < 0.5 ? 'permitted' : 'promoting', amount * 20),
  'daemon starves': starve,
  'guard crash': (_target, node) => {
    node.killGuard();
    return undefined;
  },
  'guard pause': (_target, node) => node.stopGuard(),
  'daemon crash': (_target, node) => {
    node.killDaemon();
    return () => node.startDaemon();
  },
  'daemon pause': (_target, node) => {
    const process = node.daemon?.process;
    process?.stop('signal');
    return () => process?.goOn('signal');
  },
  'daemon restart': (_target, node) => {
    node.supervised = false;
    node.terminateDaemon();
    return () => {
      node.supervised = true;
      // Still busy with leaving: the supervisor has its turn when it is gone.
      node.startDaemon();
    };
  },
  'machine pause': (_target, node) => {
    node.freeze();
    return () => node.thaw();
  },
  'node crash': (_target, node) => {
    node.crash();
    return () => node.boot();
  },
  'disk lost': (target, node) => {
    node.crash();
    target.diskLost(node);
    node.disk.replace();
    return () => node.boot();
  },
  'cut from store': (target, { name }) => cut(target, [[STORE, name]]),
  'cut to store': (target, { name }) => cut(target, [[name, STORE]]),
  'cut off store': (target, { name }) => cut(target, both(name, STORE)),
  'cut nodes': (target, { name }, { other }) =>
    name === other ? undefined : cut(target, both(name, other)),
  'cut nodes one way': (target, { name }, { other }) =>
    name === other ? undefined : cut(target, [[name, other]]),
  isolate,
  'cut in turn': cutInTurn,
  'store outage': ({ world }) => {
    world.weather.outage = true;
    return () => {
      world.weather.outage = false;
      world.store.breakWatches('watch: the store was away');
    };
  },
  'store slow': ({ world }, _node, { amount }) => {
    world.weather.slowMs = 50 + amount * 2500;
    return () => {
      world.weather.slowMs = 0;
    };
  },
  'store lossy': ({ world }, _node, { amount }) => {
    world.weather.lossRate = 0.05 + amount * 0.45;
    return () => {
      world.weather.lossRate = 0;
    };
  },
  'store leader': ({ world }) => {
    world.store.changeLeader();
    world.store.breakWatches('watch: the store has a new leader');
    return undefined;
  },
  'deposed member': deposedMember,
  'no space': ({ world }) => {
    world.store.full = true;
    return () => {
      world.store.full = false;
    };
  },
  'watch break': ({ world }) => {
    world.store.breakWatches('watch: compacted');
    return undefined;
  },
  'wall jump': (_target, node, { amount }) => {
    node.wallOffset += (amount - 0.5) * 7_200_000;
    return undefined;
  },
  'delete leader key': (target) => {
    target.deleteLeaderKey();
    return undefined;
  },
  switchover: (target, _node, { other, amount }) => {
    const candidate = amount < 0.5 ? other : undefined;
    const leads = target.leader()?.name;
    // Without a leader's name it is a failover, by which an operator takes losses upon himself.
    const named = target.synchronous || amount % 0.2 < 0.1;
    const from = named ? leads : undefined;
    if ((candidate === undefined || target.synchronous) && from === undefined) return undefined;
    target.put('failover', JSON.stringify({ leader: from, member: candidate }));
    return undefined;
  },
  restart: (_target, node) => {
    const filter = { role: null, olderThan: null, pendingOnly: false };
    return ask(node, { do: 'restart', filter, timeoutMs: null });
  },
  reinitialize: (_target, node, { amount }) =>
    ask(node, { do: 'reinitialize', force: amount < 0.3, fromLeader: amount % 0.2 < 0.1 }),
  pause: (target) => {
    target.put('config', JSON.stringify({ ...target.config(), pause: true }));
    return () => target.put('config', JSON.stringify({ ...target.config(), pause: undefined }));
  },
  'pause, then cut': pauseThenCut,
  ttl: (target, _node, { amount }) => {
    const ttl = Number(target.config().ttl ?? 10);
    const changed = Math.max(5, Math.round(ttl * (amount < 0.5 ? 0.8 : 1.2)));
    target.put('config', JSON.stringify({ ...target.config(), ttl: changed }));
    return undefined;
  },
};

/** Over the REST API; whoever asked waits as long as the fault lasts. */
function ask({ daemon }: Node, request: Ask): Undo {
  const patience = new AbortController();
  const { signal } = patience;
  daemon?.process.deliver(() => void daemon.runtime.requests.submit(request, signal));
  return () => daemon?.process.deliver(() => patience.abort());
}

/** The daemon is stopped at a moment that matters. */
function pauseAt(target: FaultTarget, event: TrapEvent, afterMs: number): Undo {
  let stopped: Node['daemon'] = null;
  const cancel = target.trap(event, afterMs, ({ daemon }) => {
    stopped = daemon;
    daemon?.process.stop('trap');
  });
  return () => {
    cancel();
    stopped?.process.goOn('trap');
  };
}

/** Stopped before it starts or promotes what it may; afterwards it gets on by single steps for a while. */
function starve(target: FaultTarget, _node: Node, { amount }: Fault): Undo {
  let starved: Node['daemon'] = null;
  const { scheduler } = target.world;
  const cancel = target.trap('permitted', amount * 3, ({ daemon }) => {
    starved = daemon;
    daemon?.process.stop('starved');
  });
  return () => {
    cancel();
    const process = starved?.process;
    let steps = STARVED_STEPS;
    const step = (): void => {
      steps -= 1;
      if (steps <= 0) process?.goOn('starved');
      else if (process?.step() === true) scheduler.after(STARVED_MS, step);
    };
    step();
  };
}

function isolate(target: FaultTarget, { name }: Node): Undo {
  return cut(target, [
    ...both(name, STORE),
    ...target.nodes.flatMap((other) => (other.name === name ? [] : both(name, other.name))),
  ]);
}

/** First the store cannot be reached, then nobody. */
function cutInTurn(target: FaultTarget, node: Node, { forMs, amount }: Fault): Undo {
  const first = cut(target, both(node.name, STORE));
  let then: Undo = () => undefined;
  const cancel = target.world.scheduler.after(forMs * amount, () => {
    then = isolate(target, node);
  });
  return () => {
    cancel();
    first();
    then();
  };
}

/** Maintenance mode ends, and the leader loses the store before it could renew. */
function pauseThenCut(target: FaultTarget, { name }: Node, { forMs, amount }: Fault): Undo {
  const { scheduler } = target.world;
  const put = (pause: true | undefined): void =>
    target.put('config', JSON.stringify({ ...target.config(), pause }));
  let undo: Undo | null = null;
  let over = false;
  put(true);
  scheduler.after(forMs * 0.2, () => {
    scheduler.entered = true;
    put(undefined);
  });
  scheduler.after(forMs * 0.2 + amount * 1500, () => {
    if (!over) undo = cut(target, both(name, STORE));
  });
  return () => {
    over = true;
    undo?.();
  };
}

/**
 * The store's leader changes, and the member that led does not know it for a while: it goes on
 * answering this node's keep-alives. Soon after, the node loses sight of the store altogether.
 */
function deposedMember(
  target: FaultTarget,
  { name }: Node,
  { forMs, amount }: Fault,
): Undo | undefined {
  const { store, weather, scheduler } = target.world;
  store.changeLeader();
  weather.deposed.set(name, scheduler.now + forMs);
  if (amount < 0.3) return undefined;
  let undo: Undo | null = null;
  let over = false;
  scheduler.after(forMs * amount, () => {
    if (!over) undo = cut(target, both(name, STORE));
  });
  return () => {
    over = true;
    weather.deposed.delete(name);
    undo?.();
  };
}

function both(one: string, other: string): [string, string][] {
  return [
    [one, other],
    [other, one],
  ];
}

function cut({ world, nodes }: FaultTarget, links: readonly (readonly [string, string])[]): Undo {
  for (const { server } of nodes) server.replication.advance();
  for (const [from, to] of links) world.network.cut(from, to);
  for (const { server } of nodes) server.replication.linkChanged();
  return () => {
    for (const [from, to] of links) world.network.heal(from, to);
  };
}
