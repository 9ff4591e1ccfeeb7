/** The store's contracts over a real etcd. */
import { afterAll, beforeAll } from 'vitest';
import { Etcd, Lab, waitFor } from '../../scripts/lab/index.ts';
import { RealClock } from '../../src/clock.ts';
import { EtcdKeyValueStore } from '../../src/store/etcd.ts';
import { describeCluster } from './cluster-contract.ts';
import { describeContract, type Subject } from './contract.ts';
import { describeGuards } from './guards-contract.ts';

const clock = new RealClock();
let lab: Lab;
let etcd: Etcd;
beforeAll(async () => {
  lab = Lab.open();
  etcd = await Etcd.start(lab);
});
afterAll(() => lab.close());

const subject: Subject = {
  client: () => new EtcdKeyValueStore({ urls: etcd.urls }, clock),
  until: async (what, condition) => {
    await waitFor(what, 20_000, async () => ((await condition()) ? true : undefined));
  },
};

describeContract('etcd', () => subject);
describeCluster(
  'etcd',
  () => subject,
  () => clock,
);
describeGuards(
  'etcd',
  () => subject,
  () => clock,
);
