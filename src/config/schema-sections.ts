/** Local sections other than `postgresql`. */
import * as z from 'zod';
import { unsupported, withoutEffect } from './marks.ts';
import { dynamicSchema } from './schema-dynamic.ts';
import {
  boolean,
  bytes,
  duration,
  fileMode,
  integer,
  lines,
  oneOf,
  safetyMargin,
  text,
  toolOptions,
} from './values.ts';

export const logSchema = z
  .looseObject(
    {
      type: oneOf('plain', 'json')
        .default('plain')
        .meta({ description: 'One line of text, or one JSON object, each. Default: plain.' }),
      level: oneOf('DEBUG', 'INFO', 'WARNING', 'WARN', 'ERROR', 'CRITICAL', 'FATAL')
        .default('INFO')
        .meta({ description: 'Lowest level that is written. Default: INFO.' }),
      format: z.unknown().optional().meta({
        description:
          'Layout of plain lines, such as %(asctime)s %(levelname)s: %(message)s; for type json a list of fields, such as [message, {levelname: level}].',
        allowed: 'text or a list',
      }),
      dateformat: text()
        .optional()
        .meta({ description: 'strftime layout of asctime. Default: 2026-07-01 12:00:00,123.' }),
      static_fields: z
        .record(z.string(), z.unknown(), { error: 'a map' })
        .default({})
        .meta({ description: 'Fields added to each JSON object.', allowed: 'a map' }),
      max_queue_size: withoutEffect(
        'at most 1 MiB of lines waits for a slow reader; what is dropped is counted',
      ),
      traceback_level: withoutEffect('errors are always written with their cause'),
      deduplicate_heartbeat_logs: withoutEffect('only changes are written anyway'),
      dir: text('a folder').optional().meta({
        description:
          'Folder of the log: patroni.log, and full ones as patroni.log.1 and so on. Not set: lines go to standard output.',
      }),
      file_size: bytes(1024)
        .optional()
        .meta({ description: 'Size from which on the next file is begun. Default: 25000000.' }),
      file_num: integer(0, 1000).optional().meta({
        description: 'Full files that are kept; 0: one file that grows for ever. Default: 4.',
      }),
      mode: fileMode()
        .optional()
        .meta({ description: 'Mode of the files, whatever the umask is. Default: 0600.' }),
      loggers: unsupported('it names parts of a Python program; log.level is for everything here'),
    },
    { error: 'a map' },
  )
  .prefault({})
  .meta({ description: 'The log, on standard output unless log.dir is set.' });

export const bootstrapSchema = z
  .looseObject(
    {
      dcs: dynamicSchema.prefault({}).meta({
        description: 'What /config begins with when the cluster is created. Of no effect later.',
      }),
      method: text().default('initdb').meta({
        description:
          'initdb, or the name of a section with command, no_params, recovery_conf, keep_existing_recovery_conf and options for the command: a program that fills data_dir. Default: initdb.',
      }),
      initdb: toolOptions().default([]).meta({ description: 'Options for initdb.' }),
      pg_hba: lines().optional().meta({
        description: 'Lines added to pg_hba.conf at bootstrap, if postgresql.pg_hba is not set.',
      }),
      post_bootstrap: text('a command')
        .optional()
        .meta({ description: 'Command run once, on the new primary, with a connection string.' }),
      post_init: text('a command')
        .optional()
        .meta({ description: 'Old name of post_bootstrap, which wins.' }),
      users: unsupported('roles are made by bootstrap.post_bootstrap'),
    },
    { error: 'a map' },
  )
  .meta({
    description: 'How the cluster is created. Without this section this member never creates one.',
  });

export const watchdogSchema = z
  .looseObject(
    {
      mode: oneOf('off', 'automatic', 'required').default('automatic').meta({
        description:
          'automatic: used while this member leads, if it can be; required: without it this member does not lead. Default: automatic.',
      }),
      device: text('a device').default('/dev/watchdog').meta({
        description: 'The daemon has to be allowed to write to it. Default: /dev/watchdog.',
      }),
      safety_margin: safetyMargin().default(5000).meta({
        description:
          'The watchdog resets the machine so long before the lease could end, seconds; -1: after half of ttl. PostgreSQL is stopped half a second before that. Default: 5.',
      }),
      driver: oneOf('default', 'testing').default('default').meta({
        description: 'testing: the device is a FIFO, which is told what the kernel would be.',
      }),
    },
    { error: 'a map' },
  )
  .prefault({})
  .meta({
    description:
      'The hardware watchdog, which resets the machine when nothing else stops PostgreSQL. Needs perl, and a device that waits in whole seconds.',
  });

export const tagsSchema = z
  .looseObject(
    {
      nofailover: boolean().optional().meta({ description: 'This member never becomes primary.' }),
      failover_priority: integer(-1_000_000)
        .optional()
        .meta({ description: 'Among equals the highest wins; 0: never primary. Default: 1.' }),
      noloadbalance: boolean().optional().meta({ description: 'GET /replica answers 503.' }),
      clonefrom: boolean()
        .optional()
        .meta({ description: 'Others prefer to clone from this member.' }),
      nostream: boolean().optional().meta({ description: 'Replicates from the archive only.' }),
      replicatefrom: text()
        .optional()
        .meta({ description: 'Member to stream from instead of the primary.' }),
      nosync: boolean().optional().meta({ description: 'Never a synchronous standby.' }),
      sync_priority: integer(-1_000_000)
        .optional()
        .meta({ description: 'Preference as synchronous standby; 0: never. Default: 1.' }),
    },
    { error: 'a map' },
  )
  .prefault({})
  .meta({
    description: 'Tags of this member; others than these are published as they are.',
    open: true,
  });

export const tenureSchema = z
  .looseObject(
    {
      state_dir: text('a folder').optional().meta({
        description:
          'Where the daemon remembers unfinished work; never inside data_dir. Default: data_dir with .tenure appended.',
      }),
      failsafe_timeout: duration(0.1).optional().meta({
        description:
          'Time that the other members have to agree in failsafe mode, seconds; never more than a quarter of ttl. Default: 2.',
      }),
      guard: oneOf('required', 'off').default('required').meta({
        description:
          'The process that kills PostgreSQL before the lease ends while the daemon is dead or stopped. Default: required.',
      }),
    },
    { error: 'a map' },
  )
  .prefault({})
  .meta({ description: 'Settings that only Tenure has.' });
