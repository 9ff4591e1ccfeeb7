/** Keys of `postgresql` that may stand in the file of a member and in `/config`; the file wins. */
import * as z from 'zod';
import { unsupported } from './marks.ts';
import { scripts } from './schema-scripts.ts';
import { boolean, lines, postgresSettings, text, toolOptions } from './values.ts';

const standbyClusters = 'standby clusters are not supported yet';

export const sharedPostgresql = {
  ...scripts,
  parameters: postgresSettings().optional().meta({
    description:
      'Settings of PostgreSQL. What is fixed on the command line can only come from /config; what this version of PostgreSQL does not know is left out, with a warning.',
  }),
  parameters_primary: postgresSettings()
    .optional()
    .meta({ description: 'Laid over parameters while this member is the primary.' }),
  parameters_replica: postgresSettings()
    .optional()
    .meta({ description: 'Laid over parameters while this member is a replica.' }),
  parameters_standby_leader: unsupported(standbyClusters),
  pg_hba: lines()
    .optional()
    .meta({ description: 'Lines of pg_hba.conf. Not set: the file stays as it is.' }),
  pg_hba_primary: lines()
    .optional()
    .meta({ description: 'Takes the place of pg_hba while this member is the primary.' }),
  pg_hba_replica: lines()
    .optional()
    .meta({ description: 'Takes the place of pg_hba while this member is a replica.' }),
  pg_hba_standby_leader: unsupported(standbyClusters),
  pg_ident: lines()
    .optional()
    .meta({ description: 'Lines of pg_ident.conf. Not set: the file stays as it is.' }),
  pg_ident_primary: lines()
    .optional()
    .meta({ description: 'Takes the place of pg_ident while this member is the primary.' }),
  pg_ident_replica: lines()
    .optional()
    .meta({ description: 'Takes the place of pg_ident while this member is a replica.' }),
  pg_ident_standby_leader: unsupported(standbyClusters),
  recovery_conf: postgresSettings()
    .optional()
    .meta({ description: 'Recovery settings, such as restore_command.' }),
  use_pg_rewind: boolean()
    .optional()
    .meta({ description: 'Rejoin with pg_rewind where possible. Default: off.' }),
  remove_data_directory_on_rewind_failure: boolean()
    .optional()
    .meta({ description: 'Clone again when pg_rewind fails. Default: off.' }),
  remove_data_directory_on_diverged_timelines: boolean().optional().meta({
    description: 'Clone again when timelines diverged and pg_rewind is off. Default: off.',
  }),
  basebackup: toolOptions().optional().meta({ description: 'Options for pg_basebackup.' }),
  rewind: toolOptions().optional().meta({ description: 'Options for pg_rewind.' }),
  create_replica_methods: z
    .array(text(), { error: 'a list of names' })
    .min(1, { error: 'a list of names' })
    .optional()
    .meta({
      description:
        'How replicas are made, in the order of trying: basebackup, or the name of a section with command, no_params, keep_data and options for the command. Programs work in the data directory itself. Default: basebackup.',
      allowed: 'a list of names',
    }),
};
