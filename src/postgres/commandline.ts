/**
 * The settings that must be alike on all members: they stand on the postmaster's command line, so
 * that neither ALTER SYSTEM nor a local file can change them (C-6.4).
 */
import type { RequiredSettings } from './controlfile.ts';

type Rule =
  | {
      readonly name: string;
      readonly kind: 'integer';
      readonly fallback: string;
      readonly minimum: number;
    }
  | {
      readonly name: string;
      readonly kind: 'boolean';
      readonly fallback: string;
      readonly onlyOn: boolean;
    }
  | {
      readonly name: string;
      readonly kind: 'word';
      readonly fallback: string;
      readonly words: readonly string[];
    };

/** In the order of the command line. */
const RULES: readonly Rule[] = [
  {
    name: 'wal_level',
    kind: 'word',
    fallback: 'replica',
    words: ['hot_standby', 'replica', 'logical'],
  },
  { name: 'hot_standby', kind: 'boolean', fallback: 'on', onlyOn: true },
  { name: 'max_connections', kind: 'integer', fallback: '100', minimum: 25 },
  { name: 'max_wal_senders', kind: 'integer', fallback: '10', minimum: 3 },
  { name: 'max_prepared_transactions', kind: 'integer', fallback: '0', minimum: 0 },
  { name: 'max_locks_per_transaction', kind: 'integer', fallback: '64', minimum: 32 },
  { name: 'track_commit_timestamp', kind: 'boolean', fallback: 'off', onlyOn: false },
  { name: 'max_replication_slots', kind: 'integer', fallback: '10', minimum: 4 },
  { name: 'max_worker_processes', kind: 'integer', fallback: '8', minimum: 2 },
  { name: 'wal_log_hints', kind: 'boolean', fallback: 'on', onlyOn: false },
];

/** `wal_keep_size`: in the file only. */
const KEEP_SIZE = { name: 'wal_keep_size', fallback: '128MB', minimumMb: 16 } as const;

export interface Identity {
  readonly listenAddresses: string;
  readonly port: number;
  readonly scope: string;
}

export interface Controlled {
  /** Name and value in the order of the command line. */
  readonly commandLine: readonly (readonly [string, string])[];
  /** All of the above and wal_keep_size: what the file has to say too (recipe A). */
  readonly file: Readonly<Record<string, string>>;
  /** One sentence for each value that was not taken. */
  readonly warnings: readonly string[];
}

/**
 * Values that are fit for the command line. One that is not is replaced by its default, with a
 * warning: bad input must not keep a database from starting.
 * @param required of a standby: pg_control's values, below which it would refuse to start
 */
export function controlledSettings(
  parameters: Readonly<Record<string, string>>,
  identity: Identity,
  required: RequiredSettings | null,
): Controlled {
  const warnings: string[] = [];
  const commandLine: (readonly [string, string])[] = [
    ['listen_addresses', identity.listenAddresses],
    ['port', String(identity.port)],
    ['cluster_name', parameters.cluster_name ?? identity.scope],
  ];
  for (const rule of RULES) {
    const asked = parameters[rule.name];
    const fit = asked === undefined ? rule.fallback : fitting(rule, asked);
    if (fit === null) {
      warnings.push(
        `${rule.name} = ${JSON.stringify(asked)} ${expectation(rule)}; using ${rule.fallback}`,
      );
    }
    const least = required?.[rule.name];
    const value = fit ?? rule.fallback;
    commandLine.push([
      rule.name,
      least !== undefined && Number(value) < least ? String(least) : value,
    ]);
  }
  const keep = keepSize(parameters, warnings);
  return {
    commandLine,
    file: { ...Object.fromEntries(commandLine), [KEEP_SIZE.name]: keep },
    warnings,
  };
}

/** Is the name one that only {@link controlledSettings} may decide on? */
export function isControlled(name: string): boolean {
  return (
    name === 'listen_addresses' ||
    name === 'port' ||
    name === 'cluster_name' ||
    name === 'wal_keep_segments' ||
    name === KEEP_SIZE.name ||
    RULES.some((rule) => rule.name === name)
  );
}

function fitting(rule: Rule, asked: string): string | null {
  const text = asked.trim();
  switch (rule.kind) {
    case 'integer':
      return /^\d{1,9}$/.test(text) && Number(text) >= rule.minimum ? String(Number(text)) : null;
    case 'boolean': {
      const value = /^(?:on|true|yes|1)$/i.test(text)
        ? 'on'
        : /^(?:off|false|no|0)$/i.test(text)
          ? 'off'
          : null;
      return rule.onlyOn && value === 'off' ? null : value;
    }
    case 'word':
      return rule.words.includes(text.toLowerCase()) ? text.toLowerCase() : null;
  }
}

function expectation(rule: Rule): string {
  switch (rule.kind) {
    case 'integer':
      return `is not an integer of at least ${rule.minimum}`;
    case 'boolean':
      return rule.onlyOn ? 'is not on' : 'is neither on nor off';
    case 'word':
      return `is none of ${rule.words.join(', ')}`;
  }
}

const UNIT_MB: Readonly<Record<string, number>> = {
  kb: 1 / 1024,
  mb: 1,
  gb: 1024,
  tb: 1024 * 1024,
};

/** PostgreSQL 13 replaced wal_keep_segments, which old dynamic configurations still have. */
function keepSize(parameters: Readonly<Record<string, string>>, warnings: string[]): string {
  const segments = parameters.wal_keep_segments;
  const asked =
    parameters.wal_keep_size ??
    (segments !== undefined && /^\d+$/.test(segments) ? `${Number(segments) * 16}MB` : undefined);
  if (asked === undefined) return KEEP_SIZE.fallback;
  const match = /^(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)?$/i.exec(asked.trim());
  const mb =
    match === null ? 0 : Number(match[1]) * (UNIT_MB[(match[2] ?? 'MB').toLowerCase()] ?? 1);
  if (mb >= KEEP_SIZE.minimumMb) return asked.trim();
  warnings.push(
    `wal_keep_size = ${JSON.stringify(asked)} is not a size of at least ${KEEP_SIZE.minimumMb}MB; using ${KEEP_SIZE.fallback}`,
  );
  return KEEP_SIZE.fallback;
}

/** Arguments of the postmaster, without the program (C-6.4, order of the fixture). */
export function postmasterArguments(
  dataDir: string,
  configFile: string,
  controlled: Controlled,
): string[] {
  return [
    '-D',
    dataDir,
    `--config-file=${configFile}`,
    ...controlled.commandLine.map(([name, value]) => `--${name}=${value}`),
  ];
}
