/** The command-line options that demo, drill and overload share. */
import { parseArgs } from 'node:util';
import type { ClusterOptions } from './lab/index.ts';

type Kinds = Readonly<Record<string, 'string' | 'boolean'>>;

const CLUSTER_KINDS = {
  ttl: 'string',
  'loop-wait': 'string',
  'retry-timeout': 'string',
  daemon: 'string',
  help: 'boolean',
} as const satisfies Kinds;

const CLUSTER_HELP = `  --ttl N            seconds a lease lasts without renewal (default 5)
  --loop-wait N      seconds between two looks of an idle daemon (default 1)
  --retry-timeout N  seconds until a silent etcd or PostgreSQL counts as failed (default 2)
  --daemon CMD       start this command with the configuration file instead of bin/tenure
  --help             this text`;

export class Options {
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;

  private constructor(values: Readonly<Record<string, string | boolean | undefined>>) {
    this.#values = values;
  }

  /** Parses process.argv; ends the process after --help (0) or with what is wrong (2). */
  static parse(usage: string, kinds: Kinds, help: string): Options {
    const all: Kinds = { ...kinds, ...CLUSTER_KINDS };
    const options = Object.fromEntries(Object.entries(all).map(([name, type]) => [name, { type }]));
    try {
      const { values } = parseArgs({ options, strict: true, allowPositionals: false });
      const parsed = new Options(values as Readonly<Record<string, string | boolean>>);
      if (parsed.flag('help')) {
        console.log(`usage: ${usage}\n${help}\n${CLUSTER_HELP}`);
        process.exit(0);
      }
      return parsed;
    } catch (error) {
      console.error(`${(error as Error).message}\nusage: ${usage}\n${help}\n${CLUSTER_HELP}`);
      process.exit(2);
    }
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** A positive number; undefined when the option is not given. Ends the process (2) when it is none. */
  number(name: string): number | undefined {
    const text = this.#values[name];
    if (typeof text !== 'string') return undefined;
    const value = Number(text);
    if (Number.isFinite(value) && value > 0) return value;
    console.error(`--${name}: found "${text}"; allowed: a number greater than 0`);
    return process.exit(2);
  }

  /** Undefined when the option is not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  cluster(): ClusterOptions {
    const daemon = this.#values.daemon;
    return {
      dcs: {
        ttl: this.number('ttl') ?? 5,
        loop_wait: this.number('loop-wait') ?? 1,
        retry_timeout: this.number('retry-timeout') ?? 2,
      },
      ...(typeof daemon === 'string' ? { daemon: daemon.split(' ') } : {}),
    };
  }
}
