/** The store's contracts over memory, which the simulator builds upon. */
import { beforeEach } from 'vitest';
import { describeCluster } from './cluster-contract.ts';
import { describeContract, type Subject } from './contract.ts';
import { describeGuards } from './guards-contract.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryStore } from './memory.ts';

let clock: ManualClock;
let memory: MemoryStore;
beforeEach(() => {
  clock = new ManualClock();
  memory = new MemoryStore(clock);
});

const subject: Subject = {
  client: () => memory.client(),
  until: async (what, condition) => {
    for (let step = 0; !(await condition()); step += 1) {
      if (step > 1000) throw new Error(`waited in vain for ${what}`);
      clock.advance(100);
    }
  },
};

describeContract('memory', () => subject);
describeCluster(
  'memory',
  () => subject,
  () => clock,
);
describeGuards(
  'memory',
  () => subject,
  () => clock,
);
