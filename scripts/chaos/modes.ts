/** The configurations that are tried. */

/** Seconds; the daemons' other times follow from it. */
export const TTL = 5;
const LOOP_WAIT = 1;

export const MODES = ['asynchronous', 'synchronous', 'quorum', 'failsafe'] as const;
export type Mode = (typeof MODES)[number];

/** Bytes a replica may be behind the last published position and still lead (`maximum_lag_on_failover`). */
export const MAXIMUM_LAG = 1_048_576;

const OWN: Readonly<Record<Mode, Readonly<Record<string, unknown>>>> = {
  asynchronous: {},
  synchronous: { synchronous_mode: true },
  quorum: { synchronous_mode: 'quorum' },
  failsafe: { failsafe_mode: true },
};

/** No acknowledged write may be lost: promise P1 of docs/reliability.md. */
export const isSynchronous = (mode: Mode): boolean => mode === 'synchronous' || mode === 'quorum';

/**
 * What goes into /config. WAL is kept small, as the disks of this cluster are; the errors of writers whom a
 * standby refuses are not logged.
 */
export function dynamicConfiguration(mode: Mode): Readonly<Record<string, unknown>> {
  return {
    ttl: TTL,
    loop_wait: LOOP_WAIT,
    retry_timeout: 2,
    maximum_lag_on_failover: MAXIMUM_LAG,
    postgresql: {
      parameters: {
        max_wal_size: '128MB',
        wal_keep_size: '64MB',
        min_wal_size: '32MB',
        log_min_messages: 'log',
      },
    },
    ...OWN[mode],
  };
}
