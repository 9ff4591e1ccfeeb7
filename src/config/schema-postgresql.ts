/** The local `postgresql` section. */
import * as z from 'zod';
import { connectAddress, listenAddress } from './address.ts';
import { unsupported } from './marks.ts';
import { scripts } from './schema-scripts.ts';
import {
  boolean,
  duration,
  lines,
  oneOf,
  postgresSettings,
  secret,
  text,
  toolOptions,
} from './values.ts';

function user<T extends z.ZodType>(what: string, username: T) {
  return z.looseObject(
    {
      username: username.meta({ description: `Name of the ${what} role.` }),
      password: secret().optional().meta({ description: 'Its password.' }),
      sslmode: oneOf('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full')
        .optional()
        .meta({ description: 'As libpq has it.' }),
      sslcert: text().optional().meta({ description: 'As libpq has it.' }),
      sslkey: text().optional().meta({ description: 'As libpq has it.' }),
      sslpassword: secret().optional().meta({ description: 'As libpq has it.' }),
      sslrootcert: text().optional().meta({ description: 'As libpq has it.' }),
      sslcrl: text().optional().meta({ description: 'As libpq has it.' }),
      sslcrldir: text().optional().meta({ description: 'As libpq has it.' }),
      gssencmode: oneOf('disable', 'prefer', 'require')
        .optional()
        .meta({ description: 'As libpq has it.' }),
      channel_binding: oneOf('disable', 'prefer', 'require')
        .optional()
        .meta({ description: 'As libpq has it.' }),
      sslnegotiation: oneOf('postgres', 'direct')
        .optional()
        .meta({ description: 'As libpq has it.' }),
    },
    { error: 'a map' },
  );
}

const authenticationSchema = z
  .looseObject(
    {
      superuser: user('superuser', text().default('postgres'))
        .prefault({})
        .meta({ description: 'The superuser. Default name: postgres.' }),
      replication: user('replication', text()).meta({
        description: 'The role that replicas stream and clone with.',
      }),
      rewind: user('rewind', text())
        .optional()
        .meta({ description: 'The role that pg_rewind connects with. Not set: the superuser.' }),
    },
    { error: 'a map' },
  )
  .meta({ description: 'Roles that the daemon makes at bootstrap and connects with.' });

const binaryNames = z
  .looseObject(
    Object.fromEntries(
      [
        'pg_ctl',
        'initdb',
        'pg_controldata',
        'pg_basebackup',
        'postgres',
        'pg_isready',
        'pg_rewind',
      ].map((name) => [
        name,
        text()
          .optional()
          .meta({ description: `Name of ${name} in bin_dir.` }),
      ]),
    ),
    { error: 'a map' },
  )
  .prefault({})
  .meta({ description: 'Names of the programs where they differ.' });

/** Files, addresses and programs: things of this machine. */
const placement = {
  listen: listenAddress(5432).meta({
    description: 'Where PostgreSQL listens; several hosts separated by commas.',
  }),
  connect_address: connectAddress(5432).optional().meta({
    description: 'Where others reach it. Default: listen, if that names one reachable host.',
  }),
  data_dir: text('a folder').meta({ description: 'The data directory.' }),
  config_dir: text('a folder')
    .optional()
    .meta({ description: 'Folder of the configuration files. Default: data_dir.' }),
  bin_dir: text('a folder')
    .optional()
    .meta({ description: 'Folder of the programs. Default: PATH is searched.' }),
  bin_name: binaryNames,
  custom_conf: text('a file').optional().meta({
    description: 'File that the generated configuration includes instead of postgresql.base.conf.',
  }),
  config_base_name: text()
    .default('postgresql')
    .meta({ description: 'Name of the configuration file without .conf. Default: postgresql.' }),
  use_unix_socket: boolean().default(false).meta({
    description: 'The daemon connects to its PostgreSQL through the socket folder. Default: off.',
  }),
  database: text()
    .default('postgres')
    .meta({ description: 'Database to connect to. Default: postgres.' }),
  pgpass: text('a file')
    .optional()
    .meta({ description: 'Password file that is generated. Default: ~/pgpass.' }),
  pg_ctl_timeout: duration(0)
    .default(60_000)
    .meta({ description: 'Time for PostgreSQL to start, seconds. Default: 60.' }),
  authentication: authenticationSchema,
};

/** What may also come from the dynamic configuration; the local value wins. */
const shared = {
  ...scripts,
  parameters: postgresSettings().optional().meta({
    description:
      'Settings of PostgreSQL for this member. What is fixed on the command line can only come from /config.',
  }),
  pg_hba: lines()
    .optional()
    .meta({ description: 'Lines of pg_hba.conf. Not set: the file stays as it is.' }),
  pg_ident: lines()
    .optional()
    .meta({ description: 'Lines of pg_ident.conf. Not set: the file stays as it is.' }),
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
  create_replica_methods: z.array(text(), { error: 'a list of names' }).optional().meta({
    description: 'Only basebackup is there; other methods are passed over with a warning.',
    allowed: 'a list of names',
  }),
};

const missing = {
  use_slots: unsupported('it is a setting of the whole cluster: set it in /config'),
  proxy_address: unsupported('it is not published'),
  use_unix_socket_repl: unsupported('replication connects over TCP'),
  krbsrvname: unsupported('Kerberos is not used'),
  rewind: unsupported('pg_rewind runs with its standard options'),
  parameters_primary: unsupported('settings by role are not applied'),
  parameters_replica: unsupported('settings by role are not applied'),
  parameters_standby_leader: unsupported('settings by role are not applied'),
  pg_hba_primary: unsupported('rules by role are not applied'),
  pg_hba_replica: unsupported('rules by role are not applied'),
  pg_hba_standby_leader: unsupported('rules by role are not applied'),
  pg_ident_primary: unsupported('rules by role are not applied'),
  pg_ident_replica: unsupported('rules by role are not applied'),
  pg_ident_standby_leader: unsupported('rules by role are not applied'),
};

export const postgresqlSchema = z
  .looseObject({ ...placement, ...shared, ...missing }, { error: 'a map' })
  .meta({ description: 'The PostgreSQL beside this daemon.' });
