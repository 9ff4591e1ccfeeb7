/** The guard on a real cluster: no writes on a node whose daemon is dead or stopped, and no outage for nothing (rule S1). */
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Cluster,
  Lab,
  type Node,
  type ProcessId,
  SteadyWriter,
  signalProcess,
  TENURE,
  waitFor,
} from '../../scripts/lab/index.ts';
import { processTitle } from '../../src/postgres/proc.ts';
import { allGone, guardIs, guardOf, LeaderWatch, LONG_TTL, leaseOf } from './guarded.ts';

const DEADLINE_MS = 60_000;
/** Several failovers, each as long as a lease and a rejoin. */
const TEST_MS = 180_000;
const KEY = '/service/guard/leader';
let lab: Lab;
let cluster: Cluster;
let watch: LeaderWatch | null = null;

beforeAll(async () => {
  lab = Lab.open();
  cluster = await Cluster.start(lab, { scope: 'guard', haproxy: false, dcs: { ttl: 5 } });
}, 90_000);
afterAll(async () => {
  watch?.end();
  await lab.close();
});

/** Writes on the node itself, as a client does that nobody has told of a failover. */
const attached = (node: Node, table: string): Promise<SteadyWriter> =>
  SteadyWriter.start({ port: node.postgresPort, table });

const postmasters = (): (ProcessId | undefined)[] => cluster.nodes.map((node) => node.postmaster());

/** `disable` does away with the primary's daemon; everything of its PostgreSQL is gone before the lease. */
async function fenced(
  table: string,
  disable: (primary: Node) => Promise<void> | void,
): Promise<Node> {
  const primary = await cluster.healthy(DEADLINE_MS);
  await guardIs(primary, 'armed');
  const others = cluster.others(primary.name);
  const before = others.map((node) => node.postmaster());
  const writer = await attached(primary, table);
  await writer.acknowledges(20);
  watch = await LeaderWatch.begin(cluster.etcd, KEY);
  const processes = primary.postgresProcesses();
  await disable(primary);
  const gone = await allGone(primary, processes);
  const lease = await watch.changed();
  await writer.stop();
  watch.end();
  expect(gone, 'PostgreSQL is gone before the lease is').toBeLessThan(lease);
  expect(writer.acknowledged.at(-1)?.at ?? 0).toBeLessThan(lease);
  // Their PostgreSQLs run on the same machine, by the same user.
  expect(others.map((node) => node.postmaster())).toEqual(before);
  await cluster.waitForPrimary({ not: primary.name, deadlineMs: DEADLINE_MS });
  return primary;
}

/** A daemon of this node that the node does not know of. */
const another = (node: Node, env: Record<string, string> = {}): ReturnType<Lab['spawn']> =>
  lab.spawn([...TENURE, node.configFile], {
    name: `another-${node.name}`,
    cwd: node.folder,
    log: node.log,
    env,
  });

const isPrimary = (node: Node): Promise<boolean> =>
  waitFor('/primary', DEADLINE_MS, async () => (await node.rest('/primary')).status === 200);

async function withLongLease(work: (primary: Node) => Promise<void>): Promise<void> {
  const primary = await cluster.healthy(DEADLINE_MS);
  await leaseOf(cluster, primary, LONG_TTL);
  await work(primary);
  await leaseOf(cluster, primary, 5);
}

/** The node whose PostgreSQL was shot is a replica again, and stays one. */
async function rejoins(node: Node): Promise<void> {
  await cluster.healthy(DEADLINE_MS);
  await guardIs(node, 'disarmed');
  expect(readFileSync(node.log, 'utf8')).toMatch(/the guard killed \d+ processes of PostgreSQL at/);
  const running = postmasters();
  await waitFor('a second look at the same servers', DEADLINE_MS, async () => {
    await guardIs(node, 'disarmed');
    return cluster.streaming().then((streaming) => streaming.includes(node.name));
  });
  expect(postmasters()).toEqual(running);
}

describe('a primary without its daemon', { timeout: TEST_MS }, () => {
  it('kill -9: takes no writes by the time that the lease ends; the node comes back as a replica', async () => {
    const node = await fenced('killed', (primary) => primary.kill());
    await node.start();
    await rejoins(node);
  });

  it('SIGSTOP: the same; the daemon that goes on later finds itself replaced and follows', async () => {
    const node = await fenced('stopped', (primary) => primary.pause());
    node.resume();
    await rejoins(node);
  });

  it('takes no writes either with a frozen postmaster and a frozen backend', async () => {
    const node = await fenced('frozen', async (primary) => {
      const backend = await primary.connect();
      backend.on('error', () => undefined);
      const [row] = (await backend.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows;
      const frozen = primary.postgresProcesses().filter(({ pid }) => pid === row?.pid);
      const postmaster = primary.postmaster();
      for (const one of [...frozen, ...(postmaster ? [postmaster] : [])])
        signalProcess(one, 'SIGSTOP');
      expect(frozen.length).toBe(1);
      await primary.kill();
    });
    await node.start();
    await rejoins(node);
  });

  it('takes no writes either in backends that outlived the postmaster', async () => {
    const node = await fenced('orphaned', async (primary) => {
      const busy = await primary.connect({ statementMs: 60_000 });
      busy.on('error', () => undefined);
      // Never waits, so it does not see that its postmaster is gone.
      busy.query('DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$').catch(() => undefined);
      await waitFor('the endless loop to run', DEADLINE_MS, async () => {
        const rows = await primary.query(
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'",
        );
        return rows.length > 0;
      });
      primary.pause();
      primary.killPostmaster();
    });
    node.resume();
    await cluster.healthy(DEADLINE_MS);
  });

  it('goes on as if nothing had been when the daemon is back in time', () =>
    withLongLease(async (primary) => {
      const writer = await attached(primary, 'in_time');
      const postmaster = primary.postmaster();
      const guard = guardOf(primary);
      await primary.kill();
      await primary.start();
      await guardIs(primary, 'armed');
      await isPrimary(primary);
      await writer.acknowledges(50);
      await writer.stop();
      expect(primary.postmaster()).toEqual(postmaster);
      expect(guardOf(primary)).toEqual(guard);
      expect(writer.unknown).toEqual([]);
    }));
});

describe('the guard', { timeout: TEST_MS }, () => {
  it.each([
    ['killed', 'SIGKILL'],
    ['stopped', 'SIGSTOP'],
  ] as const)('is replaced when it is %s, and the new one shoots as well', async (word, signal) => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const former = guardOf(primary);
    process.kill(former.pid, signal);
    await waitFor('another guard', DEADLINE_MS, () => guardOf(primary).pid !== former.pid);
    await guardIs(primary, 'armed');
    expect(readFileSync(primary.log, 'utf8')).toContain(`${former.pid} was ${word}; `);
    const node = await fenced(`replaced_${word}`, (one) => one.kill());
    expect(node.name).toBe(primary.name);
    await node.start();
    await cluster.healthy(DEADLINE_MS);
  });

  it('fences a daemon that is stopped between winning and promoting', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const candidate = cluster.others(old.name)[0] as Node;
    // Recovery is what a promotion waits for: without it, it goes on when its daemon does not.
    const recovery = candidate
      .postgresProcesses()
      .find(({ pid }) => /startup recovering/.test(processTitle(pid)));
    if (recovery === undefined) throw new Error('no recovery process');
    watch = await LeaderWatch.begin(cluster.etcd, KEY);
    const changes = watch.changes;
    signalProcess(recovery, 'SIGSTOP');
    const body = { leader: old.name, candidate: candidate.name };
    const asked = old
      .rest('/switchover', { method: 'POST', body, deadlineMs: DEADLINE_MS })
      .catch(() => undefined);
    await guardIs(candidate, 'armed');
    const processes = candidate.postgresProcesses();
    candidate.pause();
    // The guard may hear of it before this test does.
    const hasWon = (): boolean => changes.at(-1)?.leader === candidate.name;
    await waitFor('the candidate to have won', DEADLINE_MS, hasWon, 5);
    const won = changes.length;
    signalProcess(recovery, 'SIGCONT');
    const gone = await allGone(candidate, processes);
    const lease = await waitFor('the end of its lease', DEADLINE_MS, () => changes[won]?.at, 5);
    watch.end();
    expect(gone).toBeLessThan(lease);
    await cluster.waitForPrimary({ not: candidate.name, deadlineMs: DEADLINE_MS });
    candidate.resume();
    await asked;
    await rejoins(candidate);
  });

  it('that is frozen with its daemon holds up nobody, though its PostgreSQL goes on writing', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    await guardIs(old, 'armed');
    const port = old.postgresPort;
    const writer = await SteadyWriter.start({ port, table: 'unstoppable' });
    await old.query('CREATE TABLE flood (row int)');
    // So much that no two looks at a standby find it in one place.
    const flood = await old.connect({ statementMs: TEST_MS });
    flood.on('error', () => undefined);
    flood
      .query('DO $$ BEGIN LOOP INSERT INTO flood VALUES (1); COMMIT; END LOOP; END $$')
      .catch(() => undefined);
    await writer.acknowledges(20);
    const guard = guardOf(old);
    old.pause();
    process.kill(guard.pid, 'SIGSTOP');
    await cluster.waitForPrimary({ not: old.name, deadlineMs: DEADLINE_MS });
    // What no process can prevent: both have to be frozen for it.
    await writer.acknowledges(20);
    process.kill(guard.pid, 'SIGCONT');
    old.resume();
    await writer.stop();
    await rejoins(old);
  });

  it('is off in pause, and armed again afterwards', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const writer = await attached(primary, 'paused');
    const postmaster = primary.postmaster();
    const pause = (wanted: boolean): Promise<unknown> =>
      primary.rest('/config', { method: 'PATCH', body: { pause: wanted || null } });
    await pause(true);
    await guardIs(primary, 'disarmed');
    watch = await LeaderWatch.begin(cluster.etcd, KEY);
    await primary.kill();
    await watch.changed();
    watch.end();
    await writer.acknowledges(20);
    await primary.start();
    await isPrimary(primary);
    await guardIs(primary, 'disarmed');
    await pause(false);
    await guardIs(primary, 'armed');
    await writer.acknowledges(20);
    await writer.stop();
    expect(writer.unknown).toEqual([]);
    expect(primary.postmaster()).toEqual(postmaster);
  });

  it('that cannot be started keeps the daemon from starting, and the database from nothing', () =>
    withLongLease(async (primary) => {
      const postmaster = primary.postmaster();
      await primary.kill();
      process.kill(guardOf(primary).pid, 'SIGKILL');
      // A machine without perl.
      const tools = lab.path('tools');
      for (const tool of ['dirname', 'readlink', 'find'])
        symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
      const env = { PATH: tools, TENURE_NODE: process.execPath };
      const { exited } = await another(primary, env);
      expect((await exited).code).toBe(1);
      expect(readFileSync(primary.log, 'utf8')).toMatch(/CRITICAL: .*perl-base.*tenure.guard: off/);
      expect(primary.postmaster()).toEqual(postmaster);
      await primary.start();
      await isPrimary(primary);
      await guardIs(primary, 'armed');
      expect(primary.postmaster()).toEqual(postmaster);
    }));

  it('ends with a daemon that was told to stop', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const replica = cluster.others(primary.name)[0] as Node;
    await replica.stop();
    await waitFor('the end of its guard', DEADLINE_MS, () => {
      try {
        return guardOf(replica) === undefined;
      } catch {
        return true;
      }
    });
    await replica.start();
    await cluster.healthy(DEADLINE_MS);
  });
});

describe('two daemons of one node', { timeout: TEST_MS }, () => {
  it('the second is refused while the first is healthy', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const { exited } = await another(primary);
    expect((await exited).code).toBe(1);
    expect(readFileSync(primary.log, 'utf8')).toContain('already looks after this node');
    expect((await cluster.healthy(DEADLINE_MS)).name).toBe(primary.name);
  });

  it('the second ends a stopped first, which never wakes up; PostgreSQL goes on', () =>
    withLongLease(async (primary) => {
      const postmaster = primary.postmaster();
      primary.pause();
      const next = await another(primary);
      await waitFor('the end of the first', DEADLINE_MS, () => !primary.isRunning());
      primary.resume();
      await guardIs(primary, 'armed');
      await isPrimary(primary);
      expect(primary.postmaster()).toEqual(postmaster);
      expect(readFileSync(primary.log, 'utf8')).toContain(
        'the daemon before this one: it was stopped',
      );
      await next.end('SIGKILL', DEADLINE_MS);
      await primary.start();
      await isPrimary(primary);
      expect(primary.postmaster()).toEqual(postmaster);
    }));
});
