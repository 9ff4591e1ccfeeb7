/** What operators ask for over REST, on a real cluster of three. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, Lab, type Node, SteadyWriter, waitFor } from '../../scripts/lab/index.ts';

const DEADLINE_MS = 45_000;
let lab: Lab;
let cluster: Cluster;

beforeAll(async () => {
  lab = Lab.open();
  // A daemon that is started again finds what it published while its former lease lives.
  const dcs = { ttl: 20, loop_wait: 3, retry_timeout: 3 };
  cluster = await Cluster.start(lab, { scope: 'operations', dcs });
}, 90_000);
afterAll(() => lab.close());

const key = (name: string): string => `/service/operations/${name}`;

/** A request that is waited for until it has been carried out. */
async function ask(
  node: Node,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(`http://127.0.0.1:${node.restPort}${path}`, {
    method,
    signal: AbortSignal.timeout(DEADLINE_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const write = (table: string): Promise<SteadyWriter> =>
  SteadyWriter.start({ port: cluster.haproxy.ports.primary, table });

/** Every acknowledged row is on every node, and no node has a row that another has not. */
async function nothingIsLost(writer: SteadyWriter): Promise<void> {
  await writer.stop();
  await cluster.healthy(DEADLINE_MS);
  await waitFor('every row on every node', DEADLINE_MS, async (seen) => {
    const contents = await Promise.all(
      cluster.nodes.map(async (node) => {
        const client = await node.connect();
        try {
          const missing = await writer.missing(client);
          const ids = [...(await writer.ids(client))].sort((a, b) => a - b);
          return { missing, ids: ids.join() };
        } finally {
          await client.end();
        }
      }),
    );
    seen(contents.map(({ missing }) => `${missing.length} missing`).join(', '));
    const same = new Set(contents.map(({ ids }) => ids)).size === 1;
    return same && contents.every(({ missing }) => missing.length === 0);
  });
}

async function keyIsEmpty(): Promise<void> {
  await waitFor('an empty failover key', DEADLINE_MS, async (seen) => {
    const value = (await cluster.etcd.get(key('failover')))?.value;
    seen(String(value));
    return value === undefined || value === '{}';
  });
}

async function startedAt(node: Node): Promise<string> {
  const [row] = await node.query<{ at: string }>('SELECT pg_postmaster_start_time()::text AS at');
  return row?.at ?? '';
}

describe('a switchover', () => {
  it('to a named member, asked of the leader, loses nothing and says how long it took', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const candidate = cluster.others(old.name)[0] as Node;
    const writer = await write('named');
    await writer.acknowledges(50);
    const body = { leader: old.name, candidate: candidate.name };
    const answer = await ask(old, 'POST', '/switchover', body);
    expect(answer).toMatchObject({
      status: 200,
      text: `Successfully switched over to "${candidate.name}"`,
    });
    expect(answer.headers.get('tenure-outage-ms')).toMatch(/^\d+$/);
    await writer.acknowledges(50, DEADLINE_MS);
    expect((await cluster.waitForPrimary()).name).toBe(candidate.name);
    await nothingIsLost(writer);
    await keyIsEmpty();
    expect(readFileSync(old.log, 'utf8')).not.toContain('pg_rewind');
  });

  it('to the best member, asked of a replica, loses nothing', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const replica = cluster.others(old.name)[1] as Node;
    const writer = await write('unnamed');
    await writer.acknowledges(50);
    const answer = await ask(replica, 'POST', '/switchover', { leader: old.name });
    expect(answer.text).toMatch(/^Successfully switched over to "n\d"$/);
    expect(answer.headers.get('tenure-outage-ms')).toMatch(/^\d+$/);
    await writer.acknowledges(50, DEADLINE_MS);
    await cluster.waitForPrimary({ not: old.name });
    await nothingIsLost(writer);
    await keyIsEmpty();
  });

  it('happens at the time it is scheduled for, and can be withdrawn before', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const candidate = cluster.others(old.name)[0] as Node;
    const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
    const request = { leader: old.name, candidate: candidate.name };
    const later = { ...request, scheduled_at: at(3_600_000) };
    expect(await ask(candidate, 'POST', '/switchover', later)).toMatchObject({
      status: 202,
      text: 'Switchover scheduled',
    });
    await waitFor('the schedule in GET /cluster', DEADLINE_MS, async () => {
      const { json } = await old.rest('/cluster');
      return (json as { scheduled_switchover?: { to?: string } }).scheduled_switchover?.to;
    });
    expect((await ask(old, 'DELETE', '/switchover')).text).toBe('scheduled switchover deleted');
    expect((await ask(old, 'DELETE', '/switchover')).status).toBe(404);
    expect((await cluster.waitForPrimary()).name).toBe(old.name);
    const due = at(1500);
    await ask(candidate, 'POST', '/switchover', { ...request, scheduled_at: due });
    expect((await cluster.waitForPrimary({ not: old.name })).name).toBe(candidate.name);
    expect(Date.now(), 'not before its time').toBeGreaterThanOrEqual(Date.parse(due));
    await cluster.healthy(DEADLINE_MS);
    await keyIsEmpty();
  });

  it('in pause goes to the named member, and to it alone', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const candidate = cluster.others(old.name)[0] as Node;
    const paused = async (wanted: boolean): Promise<void> => {
      await ask(old, 'PATCH', '/config', { pause: wanted || null });
      for (const node of cluster.nodes) {
        await waitFor(`pause ${wanted} on ${node.name}`, DEADLINE_MS, async () => {
          const { pause } = (await node.rest('/patroni')).json as { pause?: boolean };
          return (pause === true) === wanted;
        });
      }
    };
    await paused(true);
    expect((await ask(old, 'POST', '/switchover', { leader: old.name })).status).toBe(400);
    const writer = await write('paused');
    await writer.acknowledges(50);
    const body = { leader: old.name, candidate: candidate.name };
    expect((await ask(old, 'POST', '/switchover', body)).text).toBe(
      `Successfully switched over to "${candidate.name}"`,
    );
    await writer.acknowledges(50, DEADLINE_MS);
    await nothingIsLost(writer);
    await keyIsEmpty();
    await paused(false);
    expect((await cluster.healthy(DEADLINE_MS)).name).toBe(candidate.name);
  });

  it('to a member whose PostgreSQL hangs is refused with the reason', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const candidate = cluster.others(old.name)[0] as Node;
    const frozen = candidate.postgresProcesses();
    for (const { pid } of frozen) process.kill(pid, 'SIGSTOP');
    try {
      const body = { leader: old.name, candidate: candidate.name };
      const answer = await ask(old, 'POST', '/switchover', body);
      expect(answer).toMatchObject({
        status: 412,
        text: 'switchover is not possible: no good candidates have been found',
      });
      expect(answer.headers.get('tenure-why')).toContain(`${candidate.name} does not answer`);
    } finally {
      for (const { pid } of frozen) process.kill(pid, 'SIGCONT');
    }
    expect((await cluster.healthy(DEADLINE_MS)).name).toBe(old.name);
  });

  it('D28: keeps the lease when the named candidate misses the end, and serves again', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    const candidate = cluster.others(old.name)[0] as Node;
    const writer = await write('missed');
    await writer.acknowledges(50);
    await writer.stop();
    // The receiver alone: the candidate answers, and looks as healthy as it was a moment ago.
    const [receiver] = await candidate.query<{ pid: number }>(
      'SELECT pid FROM pg_stat_wal_receiver',
    );
    process.kill(receiver?.pid ?? 0, 'SIGSTOP');
    try {
      const body = { leader: old.name, candidate: candidate.name };
      const answer = await ask(old, 'POST', '/switchover', body);
      expect(answer).toMatchObject({ status: 503, text: 'Switchover failed' });
      expect(answer.headers.get('tenure-why')).toMatch(/keeping the lease/);
      expect((await cluster.waitForPrimary()).name).toBe(old.name);
    } finally {
      process.kill(receiver?.pid ?? 0, 'SIGCONT');
    }
    await keyIsEmpty();
    await nothingIsLost(writer);
    expect((await cluster.waitForPrimary()).name).toBe(old.name);
  });
});

describe('a restart', () => {
  it('of the primary keeps its lease and loses nothing', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const before = await startedAt(primary);
    const leader = await cluster.etcd.get(key('leader'));
    const writer = await write('restarted');
    await writer.acknowledges(50);
    expect(await ask(primary, 'POST', '/restart', { role: 'replica' })).toMatchObject({
      status: 503,
      text: 'restart conditions are not satisfied',
    });
    expect(await ask(primary, 'POST', '/restart')).toMatchObject({
      status: 200,
      text: 'restarted successfully',
    });
    await writer.acknowledges(50, DEADLINE_MS);
    expect(await startedAt(primary)).not.toBe(before);
    expect((await cluster.etcd.get(key('leader')))?.value).toBe(leader?.value);
    await nothingIsLost(writer);
  });

  it('of a replica brings it back streaming', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const replica = cluster.others(primary.name)[0] as Node;
    const before = await startedAt(replica);
    const body = { role: 'replica', timeout: 30 };
    expect((await ask(replica, 'POST', '/restart', body)).text).toBe('restarted successfully');
    expect(await startedAt(replica)).not.toBe(before);
    expect((await cluster.healthy(DEADLINE_MS)).name).toBe(primary.name);
  });

  it('can be scheduled', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const replica = cluster.others(primary.name)[1] as Node;
    const before = await startedAt(replica);
    const schedule = new Date(Date.now() + 1500).toISOString();
    expect((await ask(replica, 'POST', '/restart', { schedule })).text).toBe('Restart scheduled');
    expect((await ask(replica, 'POST', '/restart', { schedule })).status).toBe(409);
    await waitFor('another postmaster', DEADLINE_MS, async () => {
      return (await startedAt(replica)) !== before;
    });
    await cluster.healthy(DEADLINE_MS);
    expect((await ask(replica, 'DELETE', '/restart')).status).toBe(404);
  });
});

describe('a scheduled restart', () => {
  it('survives its daemon, and is shown by the others', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const replica = cluster.others(primary.name)[1] as Node;
    const schedule = '2099-12-01T03:00:00+00:00';
    const shown = async (): Promise<boolean> =>
      (await primary.rest('/cluster')).text.includes(
        `"scheduled_restart":{"schedule":"${schedule}"`,
      );
    await ask(replica, 'POST', '/restart', { schedule, role: 'replica' });
    await waitFor('the schedule in GET /cluster', DEADLINE_MS, shown);
    await replica.kill();
    await replica.start();
    await waitFor('the schedule in GET /patroni again', DEADLINE_MS, async () => {
      return (await replica.rest('/patroni')).text.includes(schedule);
    });
    expect((await ask(replica, 'DELETE', '/restart')).status).toBe(200);
    await waitFor('no schedule in GET /cluster', DEADLINE_MS, async () => !(await shown()));
    await cluster.healthy(DEADLINE_MS);
  });
});

describe('a primary that crashes', () => {
  it('D69: for the third time within minutes is not restarted in place once more', async () => {
    const old = await cluster.healthy(DEADLINE_MS);
    for (const time of [1, 2]) {
      const { pid } = old.killPostmaster();
      await waitFor(`restart ${time} in place`, DEADLINE_MS, async () => {
        const now = old.postmaster();
        return now !== undefined && now.pid !== pid && (await old.rest('/primary')).status === 200;
      });
    }
    old.killPostmaster();
    await cluster.waitForPrimary({ not: old.name, deadlineMs: DEADLINE_MS });
    await cluster.healthy(DEADLINE_MS);
    expect(readFileSync(old.log, 'utf8')).toContain('[lead.crash-loop]');
  });
});

describe('a reinitialization', () => {
  it('is refused by the leader, and makes a replica anew', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    expect(await ask(primary, 'POST', '/reinitialize')).toMatchObject({
      status: 503,
      text: 'I am the leader, can not reinitialize',
    });
    const replica = cluster.others(primary.name)[0] as Node;
    const life = async (): Promise<unknown> => {
      const record = (await cluster.etcd.get(key(`members/${replica.name}`)))?.value ?? '{}';
      return (JSON.parse(record) as { tenure?: { incarnation?: string } }).tenure?.incarnation;
    };
    const before = await life();
    expect(await ask(replica, 'POST', '/reinitialize', { from_leader: true })).toMatchObject({
      status: 200,
      text: 'reinitialize started',
    });
    await waitFor('another data directory', DEADLINE_MS, async () => {
      const now = await life();
      return now !== undefined && now !== before;
    });
    expect((await cluster.healthy(DEADLINE_MS)).name).toBe(primary.name);
  });
});

describe('the configuration', () => {
  it('is patched and takes effect; what needs a restart says so until then', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const parameters = { work_mem: '7MB', max_connections: 61 };
    const patched = await ask(primary, 'PATCH', '/config', { postgresql: { parameters } });
    expect(patched.status).toBe(200);
    expect(JSON.parse(patched.text)).toMatchObject({ ttl: 20, postgresql: { parameters } });
    for (const node of cluster.nodes) {
      await waitFor(`work_mem on ${node.name}`, DEADLINE_MS, async () => {
        const [row] = await node.query<{ work_mem: string }>('SHOW work_mem');
        return row?.work_mem === '7MB';
      });
      const reason = { max_connections: { old_value: '60', new_value: '61' } };
      await waitFor(`pending_restart of ${node.name}`, DEADLINE_MS, async (seen) => {
        const { text, json } = await node.rest('/patroni');
        seen(text);
        return (json as { pending_restart?: boolean }).pending_restart;
      });
      expect((await node.rest('/patroni')).json).toMatchObject({ pending_restart_reason: reason });
      await waitFor(`the same in its key and in GET /cluster`, DEADLINE_MS, async () => {
        const record = (await cluster.etcd.get(key(`members/${node.name}`)))?.value ?? '{}';
        const { json } = await primary.rest('/cluster');
        const { members } = json as { members: { name: string; pending_restart?: boolean }[] };
        const shown = members.find(({ name }) => name === node.name)?.pending_restart;
        return record.includes(JSON.stringify(reason)) && shown;
      });
    }
    // A standby may not have fewer connections than its primary: the primary comes last.
    const early = await ask(primary, 'POST', '/restart', {});
    expect([early.status, early.text]).toEqual([503, 'restart failed']);
    for (const node of [...cluster.others(primary.name), primary]) {
      const answer = await ask(node, 'POST', '/restart', { restart_pending: true });
      expect([node.name, answer.text]).toEqual([node.name, 'restarted successfully']);
      await waitFor(`no pending_restart of ${node.name}`, DEADLINE_MS, async () => {
        const record = (await cluster.etcd.get(key(`members/${node.name}`)))?.value ?? '{}';
        const { text } = await node.rest('/patroni');
        return !text.includes('pending_restart') && !record.includes('pending_restart');
      });
      const [row] = await node.query<{ max_connections: string }>('SHOW max_connections');
      expect(row?.max_connections).toBe('61');
    }
    await cluster.healthy(DEADLINE_MS);
  });

  it('is refused where it cannot be used', async () => {
    const primary = await cluster.healthy(DEADLINE_MS);
    const answer = await ask(primary, 'PATCH', '/config', { ttl: 2, pause: 'perhaps' });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('pause: found');
    expect((await primary.rest('/config')).json).toMatchObject({ ttl: 20 });
  });
});
