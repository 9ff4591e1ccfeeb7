/** The dynamic configuration: what `/config` holds and `bootstrap.dcs` begins it with. */
import * as z from 'zod';
import { unsupported } from './marks.ts';
import { sharedPostgresql } from './schema-shared.ts';
import { slotMap, slotMatchers } from './slots.ts';
import { boolean, bytes, duration, integer, oneOf } from './values.ts';

/** `postgresql` of the dynamic configuration: what may be set there and is acted on. */
export const dynamicPostgresqlSchema = z
  .looseObject(
    {
      ...sharedPostgresql,
      use_slots: boolean()
        .optional()
        .meta({ description: 'Replicas stream through their own replication slots. Default: on.' }),
    },
    { error: 'a map' },
  )
  .meta({ description: 'Settings of PostgreSQL that all members share.' });

export const dynamicSchema = z.looseObject(
  {
    ttl: duration(1).optional().meta({
      description:
        'Life of the leader lease, seconds. Default: 30; at least 3 (20 in a mixed cluster).',
    }),
    loop_wait: duration(1)
      .optional()
      .meta({ description: 'Longest time between two looks, seconds. Default: 10; at least 1.' }),
    retry_timeout: duration(1).optional().meta({
      description:
        'Time for one round of requests to etcd, seconds. Default: 10; at least 1 (3 in a mixed cluster).',
    }),
    maximum_lag_on_failover: bytes(0).optional().meta({
      description: 'A replica further behind than this does not become primary. Default: 1048576.',
    }),
    check_timeline: boolean().optional().meta({
      description: 'Only replicas on the latest known timeline become primary. Default: off.',
    }),
    max_timelines_history: integer(0)
      .optional()
      .meta({ description: 'Entries kept in the history key; 0: all. Default: 0.' }),
    primary_start_timeout: duration(0).optional().meta({
      description:
        'Time a crashed primary has to come back in place, seconds; 0: fail over at once. Default: 300.',
    }),
    master_start_timeout: duration(0)
      .optional()
      .meta({ description: 'Old name of primary_start_timeout, which wins.' }),
    member_slots_ttl: duration(0).optional().meta({
      description:
        'How long the slot of a member that is gone is kept; 0: not at all. Default: 30min.',
    }),
    pause: boolean().optional().meta({ description: 'Watch, and change nothing. Default: off.' }),
    failsafe_mode: boolean().optional().meta({
      description:
        'A primary goes on without etcd for as long as all other members agree. Default: off.',
    }),
    postgresql: dynamicPostgresqlSchema.optional(),
    synchronous_mode: oneOf('off', 'on', 'quorum', 'false', 'true', 'no', 'yes', '0', '1')
      .optional()
      .meta({
        description:
          'on: a commit is acknowledged when every standby named in /sync has it; quorum: when synchronous_node_count of them have. Default: off.',
      }),
    synchronous_mode_strict: boolean().optional().meta({
      description: 'Without a standby that confirms nothing is acknowledged. Default: off.',
    }),
    synchronous_node_count: integer(1)
      .optional()
      .meta({ description: 'Standbys that have to confirm, where so many are there. Default: 1.' }),
    maximum_lag_on_syncnode: bytes(-1).optional().meta({
      description:
        'A standby further behind than this does not become synchronous; 0 or less: no bound. Default: -1.',
    }),
    standby_cluster: z
      .unknown()
      .optional()
      .meta({ description: 'Not supported yet. In bootstrap.dcs it is refused.' }),
    primary_stop_timeout: duration(0).optional().meta({
      description:
        'In synchronous modes: time for a fast stop of a primary, seconds, then it is stopped at once; 0: 60, as without synchronous mode. Default: 0.',
    }),
    master_stop_timeout: duration(0)
      .optional()
      .meta({ description: 'Old name of primary_stop_timeout, which wins.' }),
    primary_race_backoff: unsupported('the race is not delayed'),
    slots: slotMap().optional().meta({
      description:
        'Physical slots that every member which may lead keeps, on replicas at the position of the leader’s. One that is taken out of here is left as it is. Logical slots are not supported yet (warning).',
    }),
    permanent_slots: slotMap()
      .optional()
      .meta({ description: 'Other name of slots, which it takes the place of.' }),
    permanent_replication_slots: slotMap()
      .optional()
      .meta({ description: 'Other name of slots, which it takes the place of.' }),
    ignore_slots: slotMatchers().optional().meta({
      description:
        'Slots that are never dropped. Only slots of members that are gone for member_slots_ttl are; all others are left alone anyway.',
    }),
  },
  { error: 'a map' },
);

/** Keys of the dynamic `postgresql` section that belong to one member and are ignored there (C-6.1c). */
export const LOCAL_ONLY_POSTGRESQL = new Set([
  'connect_address',
  'proxy_address',
  'listen',
  'config_dir',
  'data_dir',
  'pgpass',
  'authentication',
]);
