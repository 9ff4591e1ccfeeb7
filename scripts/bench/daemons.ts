/** The daemons under test, given by command. */
import { isAbsolute, join } from 'node:path';
import { CHECKOUT } from '../lab/index.ts';
import { run } from '../lab/run.ts';

export interface DaemonUnderTest {
  readonly label: string;
  /** With "{config}" where the configuration file goes. */
  readonly command: readonly string[];
  /** What `command --version` says, "unknown" when it says nothing. */
  readonly version: string;
}

export class BadDaemon extends Error {
  override readonly name = 'BadDaemon';
}

export const DEFAULT_DAEMONS = ['tenure=bin/tenure {config}', 'patroni=patroni {config}'] as const;

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

/** @throws BadDaemon it cannot be started at all */
export async function findDaemon(text: string): Promise<DaemonUnderTest> {
  const { label, command } = parseDaemon(text);
  const [program] = command;
  try {
    const said = await run([program ?? '', '--version'], { deadlineMs: 20_000 });
    return { label, command, version: said.trim().split('\n')[0] || 'unknown' };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (!/ENOENT|EACCES/.test(why)) return { label, command, version: 'unknown' };
    throw new BadDaemon(`--daemon ${label}: cannot start ${program}: ${why}. ${adviceFor(label)}`);
  }
}

function adviceFor(label: string): string {
  return label === 'patroni'
    ? "Install it (apt-get install --no-install-recommends patroni), name it (--daemon patroni='PATH/patroni {config}'), or measure one daemon alone: --daemon tenure='bin/tenure {config}'"
    : 'Give a program that exists: --daemon LABEL=COMMAND {config}';
}
