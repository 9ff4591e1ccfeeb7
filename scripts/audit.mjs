// Asks the registry whether versions that the daemon needs are known to be vulnerable. One line; exit code 1 only when
// some are, from high on. Registries that do not know, do not answer, or answer something else say nothing about them.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What npm has printed → the line, and whether the versions are known to be bad. */
export function verdict(printed) {
  let answer;
  try {
    answer = JSON.parse(printed);
  } catch {
    return { bad: false, line: 'not done: the registry gave no answer that can be read' };
  }
  const counts = answer?.metadata?.vulnerabilities;
  if (typeof counts?.high !== 'number' || typeof counts.critical !== 'number') {
    const why = answer?.message ?? answer?.error?.summary ?? 'no report';
    return { bad: false, line: `not done: ${String(why).split('\n')[0].slice(0, 200)}` };
  }
  const grave = Object.entries(answer.vulnerabilities ?? {})
    .filter(([, { severity }]) => severity === 'high' || severity === 'critical')
    .map(([name, { severity }]) => `${name} (${severity})`);
  const bad = counts.high + counts.critical > 0;
  const total = counts.total ?? counts.high + counts.critical;
  return {
    bad,
    line: bad ? `FAILED: ${grave.join(', ')}` : `passed: none from high on, ${total} below`,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  const options = ['--omit=dev', '--audit-level=high', '--json', '--fetch-retries=0'];
  const { stdout } = spawnSync('npm', ['audit', ...options, '--fetch-timeout=20000'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { bad, line } = verdict(stdout ?? '');
  console.log(`== dependency audit ${line}`);
  process.exitCode = bad ? 1 : 0;
}
