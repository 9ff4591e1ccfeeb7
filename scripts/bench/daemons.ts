/** The daemons under test, given by command. */
import { isAbsolute, join } from 'node:path';
import { CHECKOUT } from '../lab/index.ts';
import { run } from '../lab/run.ts';

/** As in `bootstrap.dcs`, seconds. */
export interface Timing {
  readonly ttl: number;
  readonly loop_wait: number;
  readonly retry_timeout: number;
}

export interface DaemonUnderTest {
  readonly label: string;
  /** With "{config}" where the configuration file goes. */
  readonly command: readonly string[];
  /** What `command --version` says, "unknown" when it says nothing. */
  readonly version: string;
  /** The lowest settings that it works with. */
  readonly lowest: Timing;
}

export class BadDaemon extends Error {
  override readonly name = 'BadDaemon';
}

export const DEFAULT_DAEMONS = ['tenure=bin/tenure {config}', 'patroni=patroni {config}'] as const;

const LOWEST: Timing = { ttl: 3, loop_wait: 1, retry_timeout: 1 };

/**
 * Patroni 3.0.2 takes any ttl (its documentation and later versions: not below 20), but with
 * retry_timeout 1 its replicas never get the leader key: each attempt is given up too early. 3 is
 * its documented minimum.
 */
const LOWEST_OF_PATRONI: Timing = { ttl: 3, loop_wait: 1, retry_timeout: 3 };

/**
 * `LABEL=TTL/LOOP_WAIT/RETRY_TIMEOUT`, seconds.
 * @throws BadDaemon
 */
export function parseTiming(text: string): readonly [label: string, timing: Timing] {
  const found = /^([\w.-]+)=(\d+)\/(\d+)\/(\d+)$/.exec(text);
  if (found === null) {
    throw new BadDaemon(`--lowest: found "${text}"; allowed: LABEL=TTL/LOOP_WAIT/RETRY_TIMEOUT`);
  }
  const [, label = '', ttl, loopWait, retryTimeout] = found;
  return [
    label,
    { ttl: Number(ttl), loop_wait: Number(loopWait), retry_timeout: Number(retryTimeout) },
  ];
}

/**
 * `label=command {config}`. A program with a relative path is one of this checkout.
 * @throws BadDaemon
 */
export function parseDaemon(text: string): Pick<DaemonUnderTest, 'label' | 'command'> {
  const [, label, rest] = /^([\w.-]+)=(.+)$/s.exec(text) ?? [];
  const [program, ...args] = (rest ?? '').split(' ').filter((part) => part !== '');
  if (label === undefined || program === undefined) {
    throw new BadDaemon(`--daemon: found "${text}"; allowed: LABEL=COMMAND {config}`);
  }
  const inCheckout = program.includes('/') && !isAbsolute(program);
  return { label, command: [inCheckout ? join(CHECKOUT, program) : program, ...args] };
}

/**
 * @param lowest settings by label, where the usual ones are not meant
 * @throws BadDaemon it cannot be started at all
 */
export async function findDaemon(
  text: string,
  lowest: ReadonlyMap<string, Timing> = new Map(),
): Promise<DaemonUnderTest> {
  const { label, command } = parseDaemon(text);
  const version = await versionOf(label, command[0] ?? '');
  const usual = version.startsWith('patroni') ? LOWEST_OF_PATRONI : LOWEST;
  return { label, command, version, lowest: lowest.get(label) ?? usual };
}

async function versionOf(label: string, program: string): Promise<string> {
  try {
    const said = await run([program, '--version'], { deadlineMs: 20_000 });
    return said.trim().split('\n')[0] || 'unknown';
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (!/ENOENT|EACCES/.test(why)) return 'unknown';
    throw new BadDaemon(`--daemon ${label}: cannot start ${program}: ${why}. ${adviceFor(label)}`);
  }
}

function adviceFor(label: string): string {
  return label === 'patroni'
    ? "Install it (apt-get install --no-install-recommends patroni), name it (--daemon patroni='PATH/patroni {config}'), or measure one daemon alone: --daemon tenure='bin/tenure {config}'"
    : 'Give a program that exists: --daemon LABEL=COMMAND {config}';
}
