/** deploy/systemd with a real systemd: start, reload, crash, stop; and Debian's own service beside it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../scripts/lab/index.ts';
import { Booted } from './booted.ts';

const A = 5432;
const B = 5433;
const C = 5434;

describe('tenure@.service, hardened', () => {
  let machine: Booted;

  beforeAll(async () => {
    machine = await Booted.boot();
    await machine.configure('a', A);
    await machine.configure('b', B);
    await machine.run('systemctl start tenure@a');
    await machine.answers(A, '/primary');
    await machine.run('systemctl start tenure@b');
    await machine.answers(B, '/replica');
  });
  afterAll(async () => {
    await machine?.remove();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    const { output } = await machine.exec('journalctl --no-pager | tail -n 150');
    process.stderr.write(`${output}\n`);
  });

  const postmaster = (name: string) =>
    machine.run(`head -1 /var/lib/postgresql/${name}/postmaster.pid`);
  const shown = (name: string, property: string) =>
    machine.run(`systemctl show --value -p ${property} tenure@${name}`);

  it('is a correct unit', async () => {
    expect(await machine.run('systemd-analyze verify tenure@a.service 2>&1')).toBe('');
  });

  it('keeps the OOM killer from the daemon and the postmaster, not from a session', async () => {
    const pid = await postmaster('a');
    // Not even root may lower it everywhere; then systemd goes on without.
    const may = await machine.exec('echo -900 > /proc/self/oom_score_adj');
    const kept = may.code === 0 ? '-900' : '0';
    expect(await machine.run(`cat /proc/${pid}/oom_score_adj`)).toBe(kept);
    expect(await machine.run(`cat /proc/${await shown('a', 'MainPID')}/oom_score_adj`)).toBe(kept);
    const own = 'psql -p 5432 -Atc "SELECT pg_read_file(\'/proc/self/oom_score_adj\')"';
    expect(
      await machine.run(`setpriv --reuid=postgres --regid=postgres --init-groups ${own}`),
    ).toBe('0');
  });

  it('reads its configuration again at a reload', async () => {
    await machine.configure('a', A, { tags: { rack: 'west' } });
    await machine.run('systemctl reload tenure@a');
    await machine.says('tenure@a', 'the local configuration has been read again');
  });

  it('starts a daemon again that was killed, which finds its PostgreSQL', async () => {
    const before = await postmaster('a');
    await machine.run('systemctl kill --signal=KILL --kill-whom=main tenure@a');
    await waitFor('the restart', 30_000, async () => (await shown('a', 'NRestarts')) === '1');
    await machine.answers(A, '/primary');
    expect(await postmaster('a')).toBe(before);
  });

  it('hands the lease over when it is stopped, and stops PostgreSQL', async () => {
    await machine.run('systemctl stop tenure@a');
    expect(await shown('a', 'Result')).toBe('success');
    await machine.says('tenure@a', 'released the lease; b holds everything');
    await machine.answers(B, '/primary');
    expect((await machine.exec('test -e /var/lib/postgresql/a/postmaster.pid')).code).toBe(1);
    await machine.run('systemctl start tenure@a');
    await machine.answers(A, '/replica');
  });

  it('names Debian’s service that has our port, or started our PostgreSQL', async () => {
    await machine.run(`pg_createcluster 17 main -p ${C} && systemctl start postgresql@17-main`);
    await machine.configure('c', C);
    await machine.run('systemctl start tenure@c');
    await machine.says(
      'tenure@c',
      `port ${C} is taken by the PostgreSQL in /var/lib/postgresql/17/main`,
    );
    await machine.says('tenure@c', 'systemctl disable --now postgresql@17-main');
    await machine.run('systemctl stop tenure@c');

    const place = { data_dir: '/var/lib/postgresql/17/main', listen: `127.0.0.1:${C}` };
    const authentication = {
      superuser: { username: 'postgres', password: 'geheim' },
      replication: { username: 'replicator', password: 'geheim' },
    };
    await machine.configure('d', C, { postgresql: { ...place, authentication } });
    await machine.run('systemctl start tenure@d');
    await machine.says('tenure@d', 'was started by the service postgresql@17-main');
    await machine.run('systemctl stop tenure@d');
  });
});
