/**
 * `postgresql.parameters` of all layers. What replication depends on is the same on every member:
 * it comes from the dynamic configuration alone (C-6.4).
 */
import { parseBoolean, parseBytes, parseInteger } from './values.ts';

interface Controlled {
  readonly standard: string;
  readonly accepts: (value: string) => boolean;
  readonly allowed: string;
}

const atLeast = (standard: number, minimum: number): Controlled => ({
  standard: String(standard),
  accepts: (value) => (parseInteger(value) ?? Number.NaN) >= minimum,
  allowed: `a whole number, at least ${minimum}`,
});

const onOff = (standard: 'on' | 'off'): Controlled => ({
  standard,
  accepts: (value) => parseBoolean(value) !== undefined,
  allowed: 'on or off',
});

const CONTROLLED: Readonly<Record<string, Controlled>> = {
  wal_level: {
    standard: 'replica',
    accepts: (value) => ['hot_standby', 'replica', 'logical'].includes(value.toLowerCase()),
    allowed: 'replica or logical',
  },
  hot_standby: { standard: 'on', accepts: (value) => parseBoolean(value) === true, allowed: 'on' },
  max_connections: atLeast(100, 25),
  max_wal_senders: atLeast(10, 3),
  max_prepared_transactions: atLeast(0, 0),
  max_locks_per_transaction: atLeast(64, 32),
  track_commit_timestamp: onOff('off'),
  max_replication_slots: atLeast(10, 4),
  max_worker_processes: atLeast(8, 2),
  wal_log_hints: onOff('on'),
  wal_keep_size: {
    standard: '128MB',
    // PostgreSQL counts a bare number in megabytes.
    accepts: (value) => {
      const size = /^\d+$/.test(value) ? `${value}MB` : value;
      return (parseBytes(size) ?? -1) >= 16 * 1024 ** 2;
    },
    allowed: 'at least 16MB',
  },
};

/** Known from `listen` and `scope`: nobody else may set them. */
const FROM_ELSEWHERE = new Set(['listen_addresses', 'port', 'cluster_name']);

type Parameters = Readonly<Record<string, string>>;

/** Everything with its default where nobody says otherwise; names in lower case. */
export function effectiveParameters(
  dynamic: Parameters,
  local: Parameters,
  warnings: string[],
): Parameters {
  const effective: Record<string, string> = {};
  for (const [name, controlled] of Object.entries(CONTROLLED)) {
    const value = dynamic[name];
    const usable = value !== undefined && controlled.accepts(value);
    effective[name] = usable ? value : controlled.standard;
    if (value !== undefined && !usable) {
      warnings.push(
        `/config postgresql.parameters.${name}: found ${JSON.stringify(value)}, allowed: ${controlled.allowed}: ${controlled.standard} is used`,
      );
    }
  }
  for (const [name, value] of Object.entries(dynamic)) {
    if (!(name in CONTROLLED) && !FROM_ELSEWHERE.has(name)) effective[name] = value;
  }
  for (const [name, value] of Object.entries(local)) {
    if (name in CONTROLLED) {
      if (effective[name] !== value)
        warnings.push(
          `postgresql.parameters.${name} is ignored: it is the same on every member and comes from /config`,
        );
    } else if (FROM_ELSEWHERE.has(name)) {
      warnings.push(
        `postgresql.parameters.${name} is ignored: it comes from ${name === 'cluster_name' ? 'scope' : 'postgresql.listen'}`,
      );
    } else effective[name] = value;
  }
  return effective;
}

/** Recovery settings that the daemon writes itself. */
const OWN_RECOVERY =
  /^(primary_|recovery_target|standby_mode$|trigger_file$|promote_trigger_file$)/;

export function effectiveRecovery(
  dynamic: Parameters,
  local: Parameters,
  warnings: string[],
): Parameters {
  const all = { ...dynamic, ...local };
  const ignored = Object.keys(all).filter((name) => OWN_RECOVERY.test(name));
  for (const name of ignored)
    warnings.push(`postgresql.recovery_conf.${name} is ignored: the daemon sets it itself`);
  return Object.fromEntries(Object.entries(all).filter(([name]) => !ignored.includes(name)));
}
