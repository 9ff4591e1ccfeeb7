/**
 * What the simulated PostgreSQL and the real one must have in common: the same short stories, through
 * the same interface, with the same observable end. Run by simulated.test.ts and real.real.test.ts.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Upstream } from '../../../src/core/model.ts';
import type { Postgres } from '../../../src/postgres/postgres.ts';

/** One server and the agent's hands on it. */
export interface Subject {
  readonly name: string;
  readonly postgres: Postgres;
  readonly upstream: Upstream;
  /** Commits one more write; rejects when the server takes none. */
  write(number: number): Promise<void>;
  /** The writes that it shows, in order. The server must run. */
  rows(): Promise<readonly number[]>;
}

export interface Rig {
  node(name: string): Promise<Subject>;
  /** @throws when it does not hold in time */
  until(what: string, holds: () => Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 20_000;
const quiet = (): void => undefined;
const granted = async (): Promise<void> => undefined;
const never = new AbortController().signal;

interface Seen {
  readonly directory: string;
  readonly control: string;
  readonly standbySignal: boolean;
  readonly runs: boolean;
  readonly ready: string;
  /** Null: no answers. */
  readonly role: 'primary' | 'standby' | null;
  readonly timeline: number | null;
  readonly streamsFrom: string | null;
  readonly interrupted: string | null;
}

async function look(node: Subject, others: readonly Subject[] = []): Promise<Seen> {
  const facts = await node.postgres.observe({ searchWalEnd: false });
  const sql = facts.sql.known ? facts.sql.value : null;
  const receiver = sql?.walReceiver?.status === 'streaming' ? sql.walReceiver : null;
  const source = others.find(
    ({ upstream }) => upstream.host === receiver?.host && upstream.port === receiver.port,
  );
  return {
    directory: facts.dataDirectory.kind,
    control: facts.control.known ? facts.control.value.state : 'unknown',
    standbySignal: facts.standbySignal,
    runs: facts.postmaster.kind === 'alive',
    ready: facts.ready,
    role: sql === null ? null : sql.inRecovery ? 'standby' : 'primary',
    timeline: sql?.timeline ?? null,
    streamsFrom: source?.name ?? null,
    interrupted: facts.interrupted,
  };
}

const PRIMARY = {
  directory: 'cluster',
  control: 'in production',
  standbySignal: false,
  runs: true,
  ready: 'accepting',
  role: 'primary',
  timeline: 1,
  streamsFrom: null,
  interrupted: null,
} as const satisfies Seen;

const STANDBY = {
  ...PRIMARY,
  control: 'in archive recovery',
  standbySignal: true,
  role: 'standby',
} as const satisfies Seen;

const STOPPED = {
  ...PRIMARY,
  control: 'shut down',
  runs: false,
  ready: 'no answer',
  role: null,
  timeline: null,
} as const satisfies Seen;

export function describeFidelity(name: string, build: () => Rig): void {
  let rig: Rig;
  beforeEach(() => {
    rig = build();
  });
  afterEach(async () => {
    await rig.close();
  });

  const primary = async (called: string): Promise<Subject> => {
    const node = await rig.node(called);
    await node.postgres.bootstrap(quiet, never);
    return node;
  };
  const start = (node: Subject, as: 'primary' | 'standby', from: Subject | null): Promise<void> =>
    node.postgres.start(as, from?.upstream ?? null, TIMEOUT_MS, quiet, never);
  const stop = (node: Subject, mode: 'fast' | 'immediate'): Promise<void> =>
    node.postgres.stop(mode, { becomeStandby: true, timeoutMs: TIMEOUT_MS });
  const standby = async (called: string, from: Subject): Promise<Subject> => {
    const node = await rig.node(called);
    await node.postgres.clone(from.upstream, quiet, never);
    await start(node, 'standby', from);
    await streams(node, from);
    return node;
  };
  const streams = (node: Subject, from: Subject): Promise<void> =>
    rig.until(
      `${node.name} streams from ${from.name}`,
      async () => (await look(node, [from])).streamsFrom === from.name,
    );
  const shows = async (node: Subject, rows: readonly number[]): Promise<void> => {
    await rig.until(
      `${node.name} shows ${rows.join()}`,
      async () => (await node.rows()).length >= rows.length,
    );
    expect(await node.rows()).toEqual(rows);
  };
  const crash = async (node: Subject): Promise<void> => {
    node.postgres.killEverything();
    await rig.until(`${node.name} is gone`, async () => !(await look(node)).runs);
  };
  /** a leads, b follows; b is promoted behind the back of a, and both go on writing. */
  const diverged = async (claim: number): Promise<{ a: Subject; b: Subject }> => {
    const a = await primary('a');
    await a.write(1);
    const b = await standby('b', a);
    expect(await b.postgres.promote(claim, TIMEOUT_MS, granted)).toBe(claim);
    await a.write(2);
    await b.write(3);
    await b.postgres.checkpoint(TIMEOUT_MS);
    return { a, b };
  };

  describe(`${name} PostgreSQL`, () => {
    test('is a primary after its bootstrap, and shut down as a standby-to-be after a fast stop', async () => {
      const a = await primary('a');
      await a.write(1);
      expect(await look(a)).toEqual(PRIMARY);
      let told: { readonly timeline: number; readonly lsn: number } | null = null;
      await a.postgres.stop('fast', {
        becomeStandby: true,
        timeoutMs: TIMEOUT_MS,
        onShutDown: (end) => {
          told = end;
        },
      });
      expect(await look(a)).toEqual({ ...STOPPED, standbySignal: true });
      const { walEnd } = await a.postgres.observe({ searchWalEnd: true });
      expect(walEnd).toEqual({ known: true, value: told });
      await expect(a.write(2)).rejects.toThrow();
    });

    test('comes back from a crash on its timeline, with what it had acknowledged', async () => {
      const a = await primary('a');
      await a.write(1);
      await crash(a);
      expect(await look(a)).toEqual({ ...STOPPED, control: 'in production' });
      await start(a, 'primary', null);
      expect(await look(a)).toEqual(PRIMARY);
      await shows(a, [1]);
    });

    test('cloned, streams as a standby; stopped, it is shut down in recovery', async () => {
      const a = await primary('a');
      await a.write(1);
      const b = await standby('b', a);
      await a.write(2);
      await shows(b, [1, 2]);
      expect(await look(b, [a])).toEqual({ ...STANDBY, streamsFrom: 'a' });
      await expect(b.write(3)).rejects.toThrow();
      await stop(b, 'fast');
      expect(await look(b)).toEqual({
        ...STOPPED,
        control: 'shut down in recovery',
        standbySignal: true,
      });
    });

    test('promoted with a claim takes that timeline; the former primary follows it', async () => {
      const a = await primary('a');
      const b = await standby('b', a);
      await a.write(1);
      await shows(b, [1]);
      await stop(a, 'fast');
      expect(await b.postgres.promote(4, TIMEOUT_MS, granted)).toBe(4);
      expect(await look(b)).toEqual({ ...PRIMARY, timeline: 4 });
      const { entries } = await b.postgres.history(4);
      expect(entries.map(({ timeline }) => timeline)).toEqual([1]);
      await b.write(2);
      await start(a, 'standby', b);
      await streams(a, b);
      await shows(a, [1, 2]);
      expect(await look(a, [b])).toEqual({ ...STANDBY, timeline: 4, streamsFrom: 'b' });
    });

    test('is promoted once: a claim at or below its own timeline is refused', async () => {
      const a = await primary('a');
      const b = await standby('b', a);
      await expect(b.postgres.promote(1, TIMEOUT_MS, granted)).rejects.toThrow('already on 1');
      expect(await look(b, [a])).toEqual({ ...STANDBY, streamsFrom: 'a' });
    });

    test('follows another upstream over a promotion, and tells whether that was a change', async () => {
      const a = await primary('a');
      const b = await standby('b', a);
      const c = await standby('c', a);
      await a.write(1);
      await shows(b, [1]);
      await shows(c, [1]);
      await stop(a, 'fast');
      await b.postgres.promote(2, TIMEOUT_MS, granted);
      expect(await c.postgres.follow(b.upstream)).toBe(true);
      expect(await c.postgres.follow(b.upstream)).toBe(false);
      await streams(c, b);
      await b.write(2);
      await shows(c, [1, 2]);
      expect(await look(c, [a, b])).toEqual({ ...STANDBY, timeline: 2, streamsFrom: 'b' });
    });

    test('that has diverged streams from the other once it is rewound, and shows its rows alone', async () => {
      const { a, b } = await diverged(3);
      await stop(a, 'fast');
      expect(await a.postgres.askUpstream(b.upstream, 3000)).toMatchObject({
        name: 'b',
        timeline: 3,
        inRecovery: false,
      });
      await a.postgres.rewind(b.upstream, quiet);
      expect(await look(a)).toMatchObject({ directory: 'cluster', runs: false, interrupted: null });
      await start(a, 'standby', b);
      await streams(a, b);
      await shows(a, [1, 3]);
      expect(await look(a, [b])).toEqual({ ...STANDBY, timeline: 3, streamsFrom: 'b' });
    });

    test('that has diverged is no standby of the other: it does not start once it has the history', async () => {
      const { a, b } = await diverged(2);
      await stop(a, 'fast');
      // Nothing here tells yet that there is another timeline: it starts, and streams nothing.
      await start(a, 'standby', b);
      await rig.until('a has the history of 2', () =>
        a.postgres.history(2).then(
          () => true,
          () => false,
        ),
      );
      expect(await look(a, [b])).toEqual(STANDBY);
      await stop(a, 'fast');
      await expect(start(a, 'standby', b)).rejects.toThrow('ended while starting');
    });

    test('that has diverged is cloned over, too', async () => {
      const { a, b } = await diverged(3);
      await crash(a);
      await a.postgres.clone(b.upstream, quiet, never);
      expect(await look(a)).toMatchObject({ directory: 'cluster', runs: false, interrupted: null });
      await start(a, 'standby', b);
      await streams(a, b);
      await shows(a, [1, 3]);
    });

    test('a crashed standby comes back and streams on', async () => {
      const a = await primary('a');
      const b = await standby('b', a);
      await crash(b);
      expect(await look(b)).toMatchObject({ runs: false, role: null, standbySignal: true });
      await a.write(1);
      await start(b, 'standby', a);
      await streams(b, a);
      await shows(b, [1]);
    });

    test('refuses work that needs it stopped while it runs, and the other way round', async () => {
      const a = await primary('a');
      const b = await standby('b', a);
      await expect(start(b, 'standby', a)).rejects.toThrow('already runs');
      await expect(b.postgres.clone(a.upstream, quiet, never)).rejects.toThrow();
      await expect(b.postgres.rewind(a.upstream, quiet)).rejects.toThrow();
      await expect(b.postgres.history(7)).rejects.toThrow('not in pg_wal');
      await expect(b.postgres.bootstrap(quiet, never)).rejects.toThrow();
      await stop(b, 'immediate');
      await expect(b.postgres.follow(a.upstream)).rejects.toThrow();
      await expect(b.postgres.checkpoint(TIMEOUT_MS)).rejects.toThrow();
      await expect(b.postgres.askUpstream(b.upstream, 3000)).rejects.toThrow();
    });

    test('a clone that is broken off leaves nothing that must not be started', async () => {
      const a = await primary('a');
      const b = await rig.node('b');
      const cut = new AbortController();
      await expect(
        b.postgres.clone(a.upstream, () => cut.abort('enough'), cut.signal),
      ).rejects.toThrow();
      const { dataDirectory, interrupted } = await b.postgres.observe({ searchWalEnd: false });
      expect(['absent', 'empty']).toContain(dataDirectory.kind);
      expect(interrupted).toBeNull();
      await b.postgres.clone(a.upstream, quiet, never);
      await start(b, 'standby', a);
      await streams(b, a);
    });
  });
}
