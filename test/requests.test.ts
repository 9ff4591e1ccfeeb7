/** One request at a time until it is begun; nobody waits for ever (rule S9). */
import { describe, expect, it } from 'vitest';
import type { RestartFilter, ScheduledRestart } from '../src/core/model.ts';
import { parseScheduled, scheduledFields } from '../src/core/published.ts';
import { type Ask, Requests } from '../src/requests.ts';

const ANY: RestartFilter = { role: null, olderThan: null, pendingOnly: false };
const RESTART: Ask = { do: 'restart', filter: ANY, timeoutMs: null };
const DONE = { status: 200, text: 'restarted successfully', why: null };
const never = new AbortController().signal;

describe('requests', () => {
  it('are waited for until they are settled', async () => {
    const hints: string[] = [];
    const requests = new Requests((why) => hints.push(why));
    const answer = requests.submit(RESTART, never);
    expect(requests.waiting).toMatchObject({ do: 'restart', id: 1 });
    expect(hints).toEqual(['restart was asked for']);
    requests.begun(1);
    expect(requests.waiting).toBeNull();
    requests.settle(1, DONE);
    expect(await answer).toEqual(DONE);
  });

  it('are refused while another one waits, and not when it has been begun', async () => {
    const requests = new Requests(() => undefined);
    const first = requests.submit(RESTART, never);
    expect(await requests.submit(RESTART, never)).toMatchObject({
      status: 503,
      text: 'restart already in progress',
    });
    requests.begun(1);
    const second = requests.submit(RESTART, never);
    expect(requests.waiting?.id).toBe(2);
    requests.settle(2, DONE);
    requests.settle(1, DONE);
    expect(await Promise.all([first, second])).toEqual([DONE, DONE]);
  });

  it('are withdrawn when nobody waits any more; work that has begun goes on', async () => {
    const requests = new Requests(() => undefined);
    const patience = new AbortController();
    const unbegun = requests.submit(RESTART, patience.signal);
    patience.abort();
    expect(await unbegun).toMatchObject({ status: 503, text: 'restart failed' });
    expect(requests.waiting).toBeNull();
    const again = new AbortController();
    const begun = requests.submit(RESTART, again.signal);
    requests.begun(2);
    again.abort();
    expect(await begun).toMatchObject({ status: 503, text: 'restart status unknown' });
  });

  it('are refused by an agent that is being stopped', async () => {
    const requests = new Requests(() => undefined);
    const waiting = requests.submit(RESTART, never);
    requests.close('this node is being stopped');
    const why = 'this node is being stopped';
    expect(await waiting).toEqual({ status: 503, text: 'restart failed', why });
    expect(await requests.submit(RESTART, never)).toMatchObject({ status: 503, why });
  });
});

describe('a scheduled restart', () => {
  const plan: ScheduledRestart = {
    at: '2026-12-01T03:00:00+00:00',
    postmasterStartTime: '2026-11-20 11:35:41.199757+00:00',
    timeoutMs: 60_000,
    filter: { role: 'replica', olderThan: 150_021, pendingOnly: true },
  };

  it("is published in Patroni's fields, and read again by the agent's next life", () => {
    expect(scheduledFields(plan)).toEqual({
      schedule: plan.at,
      postmaster_start_time: plan.postmasterStartTime,
      role: 'replica',
      postgres_version: '15.21',
      restart_pending: true,
      timeout: 60,
    });
    expect(parseScheduled(scheduledFields(plan))).toEqual(plan);
    const plain = { ...plan, timeoutMs: null, filter: ANY };
    expect(parseScheduled(scheduledFields(plain))).toEqual(plain);
  });

  it.each([{}, { schedule: 'soon' }, { schedule: plan.at, postgres_version: 'x' }])(
    '%j is none',
    (fields) => {
      expect(parseScheduled(fields)).toBeNull();
    },
  );
});
