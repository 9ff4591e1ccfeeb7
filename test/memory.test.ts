/** What one tick tells the next about ends that nobody asked for (field D69) and requests that failed (D28). */
import { describe, expect, it, test } from 'vitest';
import type { JobState, Memory, PostgresFacts } from '../src/core/model.ts';
import { type Look, newMemory, remember } from '../src/memory.ts';
import * as given from './core/observations.ts';

const look = (now: number, postgres: PostgresFacts, change: Partial<Look> = {}): Look => ({
  now,
  name: 'n1',
  cluster: given.known(given.cluster()),
  postgres,
  lease: given.leaderLease({ deadline: now + 20_000 }),
  job: null,
  ended: null,
  ...change,
});
const up = (pid: number): PostgresFacts =>
  given.running(given.primarySql(), {
    postmaster: { kind: 'alive', pid, startTicks: pid, adopted: false },
  });
const down = given.stopped('in production');
const after = (looks: readonly Look[]): Memory =>
  looks.reduce(remember, newMemory(0, { promotedHere: [], leaseId: null }));
const ended = (kind: JobState['kind'], ok = true): JobState => given.ended(kind, ok);

describe('crashes', () => {
  it('D69: each unplanned end of a primary counts once', () => {
    const looks = [
      look(1, up(10)),
      look(2, down),
      look(3, down),
      look(4, up(11), { ended: ended('start') }),
      look(5, down),
    ];
    expect(after(looks).crashes).toEqual([2, 5]);
  });

  it('D69: an end before the first look after the start counts too', () => {
    const looks = [look(1, up(10)), look(2, down), look(3, down, { ended: ended('start') })];
    expect(after(looks).crashes).toEqual([2, 3]);
  });

  it.each<[string, Partial<Look>]>([
    ['by a job in progress', { job: { ...ended('handover'), outcome: null } }],
    ['by a job that has ended', { ended: ended('stop') }],
    ['without a lease', { lease: given.ownLease('n1') }],
    ['by the fence, after the deadline', { lease: given.leaderLease({ deadline: 1 }) }],
  ])('an end %s does not count', (_how, change) => {
    expect(after([look(1, up(10)), look(2, down, change)]).crashes).toEqual([]);
  });

  it('nor does a process that cannot be seen', () => {
    const hidden = { ...down, postmaster: { kind: 'unknown', why: 'EIO' } as const };
    expect(after([look(1, up(10)), look(2, hidden), look(3, up(10))]).crashes).toEqual([]);
  });
});

describe('the last leader', () => {
  const seenBy = (members: readonly ReturnType<typeof given.member>[]): Memory =>
    after([look(1, down, { cluster: given.known(given.leaderless({ members })) })]);
  const n3 = given.member('n3', { role: 'primary', leaseId: 'lease-n3', timeline: 2 });

  it('of an agent that has just begun is whose record says primary under a living lease (simulator, test-8496)', () => {
    const older = given.member('n2', { role: 'primary', leaseId: 'lease-n2', timeline: 1 });
    expect(seenBy([older, n3]).lastLeader).toEqual({
      name: 'n3',
      leaseId: 'lease-n3',
      tenure: true,
    });
    expect(seenBy([{ ...n3, leaseId: null }]).lastLeader).toBeNull();
    expect(seenBy([{ ...n3, role: 'replica' }]).lastLeader).toBeNull();
    expect(seenBy([{ ...n3, name: 'n1' }]).lastLeader).toBeNull();
    expect(seenBy([{ ...n3, tenure: null }]).lastLeader).toMatchObject({ tenure: false });
  });

  it('that was seen is not replaced by a record', () => {
    const leaderless = given.known(given.leaderless({ members: [n3] }));
    const looks = [look(1, up(10)), look(2, up(10), { cluster: leaderless })];
    expect(after(looks).lastLeader?.name).toBe('n1');
  });
});

describe('a requested hand-over', () => {
  it('is remembered when it failed, until another one has succeeded', () => {
    const failed = { ...given.ended('handover', false, '', 'missed'), request: 8 };
    const looks = [look(1, up(10)), look(2, down, { ended: failed })];
    expect(after(looks).failedHandover).toEqual({ request: 8, why: 'missed' });
    const again = { ...given.ended('handover', true), request: 9 };
    expect(after([...looks, look(3, down, { ended: again })]).failedHandover).toBeNull();
  });
});

test('a rewind that never ran is remembered as such', () => {
  const job = ended('rewind', false);
  const notBegun = {
    ...job,
    outcome: { ok: false, why: 'the guard', endedAt: 2, notBegun: true },
  } as const;
  expect(after([look(2, down, { ended: notBegun })]).failures).toEqual([
    { kind: 'rewind', at: 2, why: 'the guard', notBegun: true },
  ]);
  expect(after([look(2, down, { ended: job })]).failures[0]).not.toHaveProperty('notBegun');
});
