/** pgbench on the primary, and twice as many busy processes as there are processors. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { ACCOUNTS, binDir, type Lab, type LabProcess, type Node } from '../lab/index.ts';
import { run } from '../lab/run.ts';

const SCALE = 5;
const CLIENTS = 8;
const ENV = { PGPASSWORD: ACCOUNTS.superuser.password };
const WHERE = ['-h', '127.0.0.1', '-U', ACCOUNTS.superuser.username];

/** @param primary runs and takes writes */
export async function makeTables(primary: Node): Promise<void> {
  const port = ['-p', String(primary.postgresPort)];
  const command = [join(binDir(), 'pgbench'), '-i', '-q', '-s', String(SCALE), ...WHERE, ...port];
  await run([...command, 'postgres'], { env: ENV, deadlineMs: 120_000 });
}

export async function startPgbench(lab: Lab, primary: Node, seed: number): Promise<LabProcess> {
  const port = ['-p', String(primary.postgresPort)];
  const load = ['-c', String(CLIENTS), '-j', '2', '-T', '86400', '-n', `--random-seed=${seed}`];
  return lab.spawn([join(binDir(), 'pgbench'), ...load, ...WHERE, ...port, 'postgres'], {
    name: 'pgbench',
    cwd: lab.path('pgbench'),
    env: ENV,
  });
}

/** @returns how many */
export async function startBurners(lab: Lab, seed: number): Promise<number> {
  const count = 2 * cpus().length;
  for (let number = 1; number <= count; number += 1) {
    const program = join(import.meta.dirname, 'burner.ts');
    await lab.spawn([process.execPath, program, `${seed} ${number}`], {
      name: `burner-${number}`,
      cwd: lab.path('burners'),
    });
  }
  return count;
}
