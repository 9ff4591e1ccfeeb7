/** A daemon that was told to stop (contract 5.13; rules F4, S1, S8). */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import { type Case, itDecides } from './decisions.ts';
import * as given from './observations.ts';

const cases: readonly Case[] = [
  {
    given: 'a leader that is told to stop',
    observation: given.leader({ stopping: true }),
    rule: 'leave.hand-over',
    steps: ['startJob'],
    because: 'somebody else can go on',
  },
  {
    given: 'a primary that others have replaced while its agent was stopped',
    observation: given.leader({
      stopping: true,
      cluster: given.known(
        given.cluster({
          leader: { name: 'n2', leaseId: 'lease-n2', createRevision: 30, modRevision: 30 },
        }),
      ),
      lease: given.ownLease('n1'),
    }),
    rule: 'leave.replaced',
    steps: ['startJob'],
    because: 'a fast stop would go on acknowledging (simulator, 2026-3716)',
  },
  {
    given: 'a replica',
    observation: given.replica({ stopping: true }),
    rule: 'leave.stop',
    steps: ['startJob'],
    because: 'it is stopped with its daemon',
  },
];

describe('an agent that is told to stop', () => {
  itDecides(cases);

  it('is immediate only with a primary that has no right to be one', () => {
    const modes = cases.map(({ observation }) =>
      decide(observation).steps.map((step) =>
        step.do === 'startJob' && step.job.kind === 'stop' ? step.job.mode : step.do,
      ),
    );
    expect(modes).toEqual([['startJob'], ['immediate'], ['fast']]);
  });
});
