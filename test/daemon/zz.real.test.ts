import { test } from 'vitest';
import { Cluster, Lab, waitFor } from '../../scripts/lab/index.ts';
import { pair, saidBy } from './watching.ts';
test('x', async () => {
  const lab = Lab.open();
  try {
    const cluster = await Cluster.start(lab, { nodes: 2, haproxy: false });
    const granted = await cluster.etcd.etcdctl(['lease', 'grant', '300', '-w', 'json']);
    const lease = /"ID":(\d+)/.exec(granted)?.[1] ?? '0';
    for (let i = 0; i < 6; i += 1) {
      const { primary } = await pair(cluster);
      const before = await cluster.etcd.get('/service/demo/leader');
      await cluster.etcd.put('/service/demo/members/x', 'rubbish', lease);
      await waitFor('moved', 5000, async () => (await cluster.etcd.get('/service/demo/leader'))?.lease !== before?.lease).catch(async (e) => { console.log(await cluster.etcd.list('/service/demo/members/'), saidBy(primary).slice(-1500)); throw e; });
      await cluster.etcd.delete('/service/demo/members/x');
      await cluster.etcd.put('/service/demo/leader', 'nobody');
      await waitFor('gone', 10000, () => primary.postmaster() === undefined);
      await cluster.etcd.delete('/service/demo/leader');
      const from = performance.now();
      await cluster.healthy(20000).catch((e) => {
        console.log(String(e), primary.name);
        for (const n of cluster.nodes) console.log(n.name, saidBy(n).slice(-7000));
        throw e;
      });
      console.log('healthy after', performance.now() - from);
    }
  } finally {
    await lab.close();
  }
}, 300000);
